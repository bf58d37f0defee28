package ssh

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/kamald/kamald/state"
)

// closed is a pipe that nobody reads.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// What cannot be written here is no fault of the connection's: neither is its rest waited for, nor does the host count as lost.
func TestACommandWhoseOutputCannotBeWrittenIsNotWaitedFor(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	u := newSetup(t)
	c := dialed(t, u.options, realServer(t, u))
	for name, run := range map[string]func(context.Context, string, state.Streams) (int, error){
		"a line":                 Shell{c}.Run,
		"a line on this machine": LocalShell{}.Run,
		"a command": func(ctx context.Context, line string, s state.Streams) (int, error) {
			return c.Run(ctx, []string{"sh", "-c", line}, nil, s.Out, s.Err)
		},
	} {
		for _, line := range []string{"head -c 8388608 /dev/zero", "head -c 8388608 /dev/zero >&2; echo much", "echo little", "echo little >&2; exec sleep 3600"} {
			code, err := run(t.Context(), line, state.Streams{Out: closed{}, Err: closed{}})
			if code != 0 || !errors.Is(err, state.ErrUnwritten) || !errors.Is(err, syscall.EPIPE) || errors.Is(err, state.ErrUnreachable) {
				t.Errorf("%s: %q: %d, %v", name, line, code, err)
			}
		}
		if code, err := run(t.Context(), "exit 3", state.Streams{Out: io.Discard, Err: io.Discard}); code != 3 || err != nil {
			t.Errorf("%s: after that: %d, %v", name, code, err)
		}
	}
}

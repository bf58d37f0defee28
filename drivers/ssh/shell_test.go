package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

func TestALineIsReadByTheUsersShell(t *testing.T) {
	u := newSetup(t)
	shell := Shell{dialed(t, u.options, realServer(t, u))}
	var out, errs bytes.Buffer
	code, err := shell.Run(t.Context(), `read a; echo "$a" | tr a-z A-Z; echo beside >&2; exit 7`, state.Streams{In: strings.NewReader("it comes\n"), Out: &out, Err: &errs})
	if code != 7 || err != nil || out.String() != "IT COMES\n" || errs.String() != "beside\n" {
		t.Errorf("%d, %v, %q, %q", code, err, out.String(), errs.String())
	}
	never, _ := io.Pipe() // nobody ends its input, and its end is seen all the same
	if code, err := shell.Run(t.Context(), "exit 3", state.Streams{In: never, Out: &out, Err: &errs}); code != 3 || err != nil {
		t.Errorf("with an input that never ends: %d, %v", code, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := shell.Run(ctx, "sleep 60", state.Streams{Out: &out, Err: &errs}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	if code, err := shell.Run(t.Context(), "kill -9 $$", state.Streams{Out: &out, Err: &errs}); code < 128 || err != nil {
		t.Errorf("killed: %d, %v", code, err)
	}
}

// shown is what a terminal shows.
type shown struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *shown) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shown) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// until waits for a text.
func (s *shown) until(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		all := s.text.String()
		s.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q never came:\n%s", text, all)
		}
	}
}

func TestALineHasATerminalThatIsAsLargeAsOurs(t *testing.T) {
	u := newSetup(t)
	shell := Shell{dialed(t, u.options, realServer(t, u))}
	in, typed := io.Pipe()
	resized, screen := make(chan state.Size, 1), &shown{}
	ended := make(chan int, 1)
	go func() {
		code, err := shell.Run(t.Context(), `trap 'echo caught' INT; echo "kind $TERM"; stty size; while read a; do echo "said $a"; stty size; [ "$a" = end ] && exit 5; done`,
			state.Streams{In: in, Out: screen, Err: screen, Terminal: &state.Terminal{Kind: "xterm-256color", Size: state.Size{Width: 91, Height: 22}, Resized: resized}})
		if err != nil {
			t.Error(err)
		}
		ended <- code
	}()
	screen.until(t, "kind xterm-256color")
	screen.until(t, "22 91")
	_, _ = io.WriteString(typed, "\x03")
	screen.until(t, "caught")
	resized <- state.Size{Width: 77, Height: 19}
	for n := 0; n < 500 && !screen.has("19 77"); n++ { // a size travels beside what is typed
		_, _ = io.WriteString(typed, "once\n")
		time.Sleep(20 * time.Millisecond)
	}
	screen.until(t, "19 77")
	_, _ = io.WriteString(typed, "end\n")
	if code := <-ended; code != 5 {
		t.Errorf("exit code %d", code)
	}
}

func TestALineRunsOnThisMachine(t *testing.T) {
	t.Setenv("SHELL", "/bin/sh")
	var out, errs bytes.Buffer
	code, err := LocalShell{}.Run(t.Context(), `cat; echo beside >&2; exit 7`, state.Streams{In: strings.NewReader("in"), Out: &out, Err: &errs})
	if code != 7 || err != nil || out.String() != "in" || errs.String() != "beside\n" {
		t.Errorf("%d, %v, %q, %q", code, err, out.String(), errs.String())
	}
	if _, err := (LocalShell{}).Run(t.Context(), "true", state.Streams{Out: &out, Err: &errs, Terminal: &state.Terminal{}}); !errors.Is(err, ErrNoTerminalHere) {
		t.Errorf("with a terminal: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (LocalShell{}).Run(ctx, "sleep 60", state.Streams{Out: &out, Err: &errs}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
}

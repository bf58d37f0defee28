package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

// leaver reads some bytes, and then no more.
type leaver struct {
	more int
	why  error
}

func (l *leaver) Write(b []byte) (int, error) {
	if l.more -= len(b); l.more < 0 {
		return 0, l.why
	}
	return len(b), nil
}

// What is only shown ends with its reader, quietly, as a shell's own commands do; a disk that is full is said.
func TestWhatNobodyReadsAnyMoreEnds(t *testing.T) {
	onServers(t, func(tr *transcript) {
		tr.kamald(tr.t.Context(), "apply")
		tr.Program("talk", talk)
		tr.Say("web-1", "shop-web-v1", "a line")
		for _, line := range []string{"app logs", "app logs -f", "app logs -f --json", "server exec talk", "server exec --primary talk", "app exec --raw --primary talk",
			"app exec --reuse talk", "app exec talk"} {
			code, errs := tr.readTo(&leaver{more: 30, why: syscall.EPIPE}, line)
			goesOn := strings.Contains(line, "--reuse") // in a container that serves
			if code != exitUnread || strings.Contains(errs, "kamald:") != goesOn || goesOn && !strings.Contains(errs, "shop-web-v1") {
				t.Errorf("%s: exit code %d, and it says %s", line, code, errs)
			}
			code, errs = tr.readTo(&leaver{why: syscall.ENOSPC}, line)
			if code != exitError || !strings.HasSuffix(errs, "kamald: the output cannot be written here: no space left on device\n") && !strings.HasSuffix(line, "--json") {
				t.Errorf("%s on a full disk: exit code %d, and it says %s", line, code, errs)
			}
		}
		for _, host := range []string{"web-1", "web-2", "jobs-1"} {
			for _, c := range tr.Containers(host, state.View{}) {
				if strings.Contains(c.Name, "-exec-") {
					t.Errorf("%s was left on %s", c.Name, host)
				}
			}
		}
	})
}

// What changes servers goes on to its end, whoever reads what it says.
func TestAChangeGoesOnWithoutAReader(t *testing.T) {
	onServers(t, func(tr *transcript) {
		if code, errs := tr.readTo(&leaver{why: syscall.EPIPE}, "apply"); code != exitDone {
			t.Errorf("exit code %d: %s", code, errs)
		}
		if runs := tr.Containers("web-1", state.View{}); len(runs) != 2 {
			t.Errorf("there are %+v", runs)
		}
	})
}

// readTo carries a command line out whose output goes to somebody, for an hour at most.
func (tr *transcript) readTo(out *leaver, line string) (code int, errs string) {
	ctx, cancel := context.WithTimeout(tr.t.Context(), time.Hour)
	defer cancel()
	var said bytes.Buffer
	code = tr.kamaldTo(ctx, out, &said, strings.Fields(line))
	return code, said.String()
}

// talk goes on until it is asked to stop.
func talk(ctx context.Context, _ []string, _ map[string]string, s state.Streams) int {
	for n := 0; ; n++ {
		_, _ = fmt.Fprintf(s.Out, "%d is all that it says\n", n)
		select {
		case <-ctx.Done():
			return 1
		case <-time.After(time.Second):
		}
	}
}

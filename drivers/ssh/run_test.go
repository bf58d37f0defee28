package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

func TestACommandIsRunToItsEnd(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	var stdout, stderr bytes.Buffer
	code, err := c.Run(t.Context(), []string{"say", "it's $HOME", "a  b"}, nil, &stdout, &stderr)
	if code != 3 || err != nil || stdout.String() != `say "it's \$HOME" 'a  b'` || stderr.String() != "a complaint" {
		t.Errorf("%d, %v, %q, %q", code, err, stdout.String(), stderr.String())
	}
	if _, err := c.Run(t.Context(), []string{"say", "two\nlines"}, nil, io.Discard, io.Discard); err == nil {
		t.Error("a word that no POSIX shell takes was passed on")
	}
}

func TestARealSSHDRunsACommandWithItsInputAndTellsItsEnd(t *testing.T) {
	u := newSetup(t)
	c := dialed(t, u.options, realServer(t, u))
	var stdout, stderr bytes.Buffer
	code, err := c.Run(t.Context(), []string{"sh", "-s", "--", "a  b"}, strings.NewReader("echo \"$1\"; echo wrong >&2; exit 7\n"), &stdout, &stderr)
	if code != 7 || err != nil || stdout.String() != "a  b\n" || stderr.String() != "wrong\n" {
		t.Errorf("%d, %v, %q, %q", code, err, stdout.String(), stderr.String())
	}
	if code, err := c.Run(t.Context(), []string{"sh", "-c", "kill -9 $$"}, nil, io.Discard, io.Discard); code < 128 || err != nil {
		t.Errorf("killed: %d, %v", code, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Run(ctx, []string{"sleep", "60"}, nil, io.Discard, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	// What came out of time has left the connection whole.
	if code, err := c.Run(t.Context(), []string{"true"}, nil, io.Discard, io.Discard); code != 0 || err != nil {
		t.Errorf("after it: %d, %v", code, err)
	}
}

// What is not to be cut short gets no signal when nobody waits for it any more; any other command does.
func TestACommandThatIsNotToBeCutShortIsLeftWithoutASignal(t *testing.T) {
	u := newSetup(t)
	s := newServer(t, u.key)
	c := dialed(t, u.options, u.trusted(t, s))
	for n, run := range []func(context.Context, []string, io.Reader, io.Writer, io.Writer) (int, error){c.RunOn, c.Run} {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := run(ctx, []string{"stay"}, nil, beginning(cancel), io.Discard); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		for s.left.Load() <= int64(n) {
			time.Sleep(time.Millisecond)
		}
		if signals := s.signals.Load(); signals != int64(n) {
			t.Errorf("%d signals, want %d", signals, n)
		}
	}
}

func TestARealSSHDLeavesACommandToItselfThatIsNotToBeCutShort(t *testing.T) {
	u := newSetup(t)
	c := dialed(t, u.options, realServer(t, u))
	dir := shortDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	const command = `cd "$0" || exit; trap 'echo yes >signal' HUP INT TERM; echo begun; until [ -e go ] || ! [ -e "$0" ]; do sleep 0.02; done; echo yes >ended`
	if _, err := c.RunOn(ctx, []string{"sh", "-c", command, dir}, nil, beginning(cancel), io.Discard); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "ended")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it did not come to its end")
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "signal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it got a signal: %v", err)
	}
}

// beginning does something at the first word of a command.
type beginning func()

func (b beginning) Write(data []byte) (int, error) {
	b()
	return len(data), nil
}

// The host's own shell tells an engine that does not run from one that is not installed.
func TestARealSSHDTellsWhetherAnEngineIsInstalled(t *testing.T) {
	u := newSetup(t)
	c := dialed(t, u.options, realServer(t, u))
	want := state.EngineMissing
	if exec.Command("sh", "-c", findEngine).Run() == nil {
		want = state.EngineStopped
	}
	_, err := c.DialUnix(t.Context(), filepath.Join(shortDir(t), "none"))
	var trouble *state.EngineError
	if !errors.As(err, &trouble) || trouble.Trouble != want || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want %s", err, want)
	}
}

func FuzzAShellReadsTheWordsThatWereGiven(f *testing.F) {
	for _, words := range []string{"a b", "it's|$HOME|`id`", "-n|--|#x", "~|*|{a,b}|[x]", "a=b|!x|\\", "|", "if|done", "é|\u202e|\t"} {
		f.Add(words)
	}
	c := &Client{name: "web-1"}
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, "|")
		line, err := c.commandLine(words)
		if err != nil {
			return // refused
		}
		out, err := exec.Command("sh", "-c", `printf '%s\0' `+line).Output()
		if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); err != nil || !slices.Equal(got, words) {
			t.Errorf("%q was written as %s and read as %q, %v", words, line, got, err)
		}
	})
}

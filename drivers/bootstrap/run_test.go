package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

// The scripts are run here, by this machine's own shell.

func TestTheLookTellsOfThisMachine(t *testing.T) {
	ground, err := New(Here{}).Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && (ground.User != "root" || ground.Become != state.RootItself || !ground.Admitted()) {
		t.Errorf("%+v", ground)
	}
	if os.Geteuid() != 0 && (ground.Become == "") != (ground.Refused != "") {
		t.Errorf("%+v", ground)
	}
}

// scripted is a command under run.sh as this machine's own shell runs it: it says that it has begun, waits to be let go on, and says
// so in a file.
type scripted struct {
	t    *testing.T
	dir  string // run.sh's
	at   string // where the command's files are
	stop context.CancelFunc
	said strings.Builder // on stderr; to be read after ended
	code int
	err  error
	done chan struct{}
}

// script starts it with an exit code. What it says goes to stdout.
func script(t *testing.T, code int, stdout io.Writer) *scripted {
	t.Helper()
	at := t.TempDir()
	s := &scripted{t: t, dir: filepath.Join(at, "work"), at: at, done: make(chan struct{})}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	const command = `cd "$0" || exit 1; echo begun; read -r line; echo "$line" ended; ps -o pgid= -p "$PPID" | tr -d ' ' >group.new && mv group.new group
until [ -e go ] || ! [ -e "$0" ]; do sleep 0.02; done; echo last; echo done >mark; exit "$1"`
	argv := []string{"sh", "-s", "--", s.dir, "sh", "-c", command, at, fmt.Sprint(code)}
	go func() {
		defer close(s.done)
		s.code, s.err = Here{}.RunOn(ctx, argv, strings.NewReader(runScript), stdout, &s.said)
	}()
	t.Cleanup(func() { s.goOn(); s.ended(); s.gone(s.dir + "/pid") })
	return s
}

// group is the process group of run.sh, once the command has begun.
func (s *scripted) group() int {
	s.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s.read("group")))
	if err != nil || n <= 1 {
		s.t.Fatalf("the group is %d: %v", n, err)
	}
	return n
}

// read waits for a file of the command's.
func (s *scripted) read(name string) string {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(filepath.Join(s.at, name)); err == nil && len(data) > 0 {
			return string(data)
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s never came: the command was ended", name)
		}
	}
}

func (s *scripted) goOn() {
	if err := os.WriteFile(filepath.Join(s.at, "go"), nil, 0o600); err != nil {
		s.t.Error(err)
	}
}

func (s *scripted) ended() { <-s.done }

// gone waits for a path not to be there any more.
func (s *scripted) gone(path string) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s is left", path)
		}
	}
}

func TestWhatIsCarriedOutGoesOnWhateverBecomesOfWhoAsked(t *testing.T) {
	for name, happens := range map[string]func(*scripted){
		"nobody listens":  func(*scripted) {},
		"Ctrl-C":          func(s *scripted) { s.signal(syscall.SIGINT) },
		"an sshd's end":   func(s *scripted) { s.signal(syscall.SIGTERM) },
		"a terminal gone": func(s *scripted) { s.signal(syscall.SIGHUP) },
		"out of time":     func(s *scripted) { s.stop(); s.ended() },
	} {
		t.Run(name, func(t *testing.T) {
			reader, writer := io.Pipe()
			_ = reader.Close() // whoever wanted to know is gone
			s := script(t, 0, writer)
			s.group()
			happens(s)
			s.goOn()
			if mark := s.read("mark"); mark != "done\n" {
				t.Errorf("it did not come to its end: %q", mark)
			}
			s.gone(s.dir)
		})
	}
}

// signal sends a signal to all processes of run.sh's group.
func (s *scripted) signal(sent syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(-s.group(), sent); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // for whoever is hit by it to fall
}

// It is not for this process's group, to which a terminal's Ctrl-C goes.
func TestWhatIsCarriedOutHereHasASessionOfItsOwn(t *testing.T) {
	if s := script(t, 0, io.Discard); s.group() == syscall.Getpgrp() {
		t.Error("a terminal's Ctrl-C ends it")
	}
}

// A daemon that the command starts has the signals that it would have from any shell.
func TestWhatIsCarriedOutIgnoresNoSignalItself(t *testing.T) {
	dir := t.TempDir()
	var shown strings.Builder
	code, err := Here{}.RunOn(t.Context(), []string{"sh", "-s", "--", dir, "sed", "-n", "s/^SigIgn:[[:space:]]*//p", "/proc/self/status"}, strings.NewReader(runScript), &shown, io.Discard)
	ignored, failed := strconv.ParseUint(strings.TrimSpace(shown.String()), 16, 64)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM} {
		if ignored&(1<<(s-1)) != 0 || code != 0 || err != nil || failed != nil {
			t.Errorf("%s is ignored: %x (%d, %v, %v)", s, ignored, code, err, failed)
		}
	}
}

func TestOfWhatHasFailedTheLastWordsComeAndTheLogStays(t *testing.T) {
	s := script(t, 3, io.Discard)
	s.goOn()
	s.ended()
	if s.err != nil || s.code != 3 || s.said.String() != "begun\n ended\nlast\n" {
		t.Errorf("code %d, %v, %q", s.code, s.err, s.said.String())
	}
	if log, err := os.ReadFile(s.dir + "/log"); string(log) != "begun\n ended\nlast\n" || err != nil {
		t.Errorf("its log: %q, %v", log, err)
	}
	// Whoever hears of it takes the directory away.
	h := newHost(asRoot, map[string]answer{"carry": {code: 3, stderr: "it is broken\n"}})
	if err := New(h).Install(t.Context(), false, func(string) {}); err == nil || !strings.Contains(err.Error(), "ended with 3: it is broken") {
		t.Error(err)
	}
	if last := h.ran[len(h.ran)-1]; last != "rm -rf "+theDir {
		t.Errorf("the last was %s", last)
	}
}

func TestAnInstallationThatStillRunsIsSeen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: it needs root, for a directory of root's")
	}
	dir, err := os.MkdirTemp("/run", "kamald-bootstrap.")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	busy := func() string {
		ground, err := New(Here{}).Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ground.Busy
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = Here{}.RunOn(t.Context(), []string{"sh", "-s", "--", dir, "sh", "-c", `until [ -e "$0/go" ] || ! [ -e "$0" ]; do sleep 0.02; done; exit 1`, dir}, strings.NewReader(runScript), io.Discard, io.Discard)
	}()
	for deadline := time.Now().Add(30 * time.Second); busy() != dir; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s runs, and %q is seen", dir, busy())
		}
	}
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
	// The number of one that was killed may be another's by now.
	if err := os.WriteFile(dir+"/pid", []byte(fmt.Sprintln(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := busy(); found == dir {
		t.Errorf("%s has ended, and is seen", found)
	}
}

func TestACommandThatIsNotThereEndsAsInAShell(t *testing.T) {
	if code, err := (Here{}).Run(t.Context(), []string{"kamald-no-such-program"}, nil, io.Discard, io.Discard); code != notFound || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := (Here{}).Run(ctx, []string{"sleep", "60"}, nil, io.Discard, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

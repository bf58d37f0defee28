package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a kamald that a person has in a terminal of theirs.
type terminal struct {
	t            *testing.T
	name         string
	ours, theirs *os.File // a pseudo-terminal's two sides
	before       unix.Termios
	cmd          *exec.Cmd
	ended        chan struct{}
	marked       sync.Once
	whole        chan struct{} // closed when all that it wrote has been read

	mu    sync.Mutex
	shown strings.Builder
	more  chan struct{}
	drawn func([]byte) // is given what comes, under the lock
}

// inTerminal runs kamald in a terminal of a size, in columns and rows.
func (f *fixture) inTerminal(columns, rows uint16, args ...string) *terminal {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	f.t.Cleanup(cancel)
	return f.onTerminal(columns, rows, f.commandOf(ctx, args...), func([]byte) {})
}

// onTerminal starts a kamald in a terminal of a size; what it draws there is given to drawn.
func (f *fixture) onTerminal(columns, rows uint16, cmd *exec.Cmd, drawn func([]byte)) *terminal {
	f.t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	number := 0
	if err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err == nil {
		number, err = unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	x := &terminal{t: f.t, name: strings.Join(cmd.Args[1:], " "), ours: ours, theirs: theirs, cmd: cmd, drawn: drawn, ended: make(chan struct{}), whole: make(chan struct{}), more: make(chan struct{})}
	x.resize(columns, rows)
	x.before = x.mode()
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = theirs, theirs, theirs
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go x.read()
	go func() {
		_ = x.cmd.Wait() // its exit code is what counts
		close(x.ended)
	}()
	f.t.Cleanup(func() {
		_ = x.cmd.Process.Kill() // it has ended, if all is well
		<-x.ended
		_, _ = theirs.Close(), ours.Close()
	})
	return x
}

// commandOf is command for commands that take everything behind their own words as another's.
func (f *fixture) commandOf(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.bin, append([]string{"--store", f.store, "--no-color"}, args...)...)
	cmd.Dir, cmd.Env = f.dir, append(f.env, "TERM=xterm-256color")
	return cmd
}

// atEnd follows what a program has written, once it has ended: it writes none itself.
const atEnd = 0

// allRead waits until all that was written has been read: it may be on its way when the program has ended.
func (x *terminal) allRead() {
	x.t.Helper()
	x.marked.Do(func() { _, _ = x.theirs.Write([]byte{atEnd}) }) // what does not come is met below
	select {
	case <-x.whole:
	case <-time.After(time.Minute):
		x.t.Fatal("the terminal is not read to its end")
	}
}

func (x *terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := x.ours.Read(buffer)
		data, _, all := bytes.Cut(buffer[:n], []byte{atEnd})
		x.mu.Lock()
		x.shown.Write(data)
		x.drawn(data)
		close(x.more)
		x.more = make(chan struct{})
		x.mu.Unlock()
		if all {
			close(x.whole)
		}
		if err != nil {
			return
		}
	}
}

func (x *terminal) mode() unix.Termios {
	mode, err := unix.IoctlGetTermios(int(x.theirs.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *mode
}

func (x *terminal) resize(columns, rows uint16) {
	if err := unix.IoctlSetWinsize(int(x.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		x.t.Fatal(err)
	}
}

// types has somebody type.
func (x *terminal) types(text string) {
	if _, err := x.ours.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// shows waits until a text is there.
func (x *terminal) shows(text string) {
	x.t.Helper()
	limit := time.NewTimer(2 * time.Minute)
	defer limit.Stop()
	for last := false; ; {
		x.mu.Lock()
		shown, more := x.shown.String(), x.more
		x.mu.Unlock()
		if strings.Contains(shown, text) {
			return
		}
		if last {
			x.t.Fatalf("kamald %s has ended and never showed %q:\n%s", x.name, text, shown)
		}
		select {
		case <-more:
		case <-x.ended:
			last = true
		case <-limit.C:
			x.t.Fatalf("kamald %s never showed %q:\n%s", x.name, text, shown)
		}
	}
}

// ends waits for the end, and wants an exit code and the terminal as it was.
func (x *terminal) ends(code int) {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(2 * time.Minute):
		x.t.Fatalf("kamald %s does not end:\n%s", x.name, x.shown.String())
	}
	x.allRead()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.t.Logf("kamald %s: exit %d\n%s", x.name, x.cmd.ProcessState.ExitCode(), x.shown.String())
	if got := x.cmd.ProcessState.ExitCode(); got != code {
		x.t.Errorf("kamald %s: exit code %d, want %d", x.name, got, code)
	}
	if after := x.mode(); after != x.before {
		x.t.Errorf("kamald %s leaves the terminal in another mode: %+v, was %+v", x.name, after, x.before)
	}
}

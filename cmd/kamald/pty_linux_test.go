package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/kamald/kamald/cmd/kamald/screen"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// inAChild names what TestApplyInAChild does; it is a process of its own so that a terminal's keys end it as they end kamald.
const inAChild = "KAMALD_TEST_IN_A_CHILD"

func TestApplyInAChild(t *testing.T) {
	scene := os.Getenv(inAChild)
	if scene == "" {
		t.Skip("it is run by other tests, in a process of its own")
	}
	world := sim.New(1)
	for _, host := range []string{"web-1", "web-2", "jobs-1"} {
		world.AddHost(host)
	}
	image := sim.Image{Ref: "registry.example.com/acme/shop:v1", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v1"}}
	switch scene {
	case "pulls":
		image.PullTakes, image.Size = time.Minute, 300<<20
	case "hangs":
		world.Before(func(c sim.Call) error {
			if c.Method == "Engine.Start" && c.Host == "web-1" {
				time.Sleep(time.Minute)
			}
			return nil
		})
	}
	world.Push(image)
	run := func(out, errs io.Writer, args string) int {
		p := newProgram(out, errs)
		p.reach, p.owner = simulated{world.Connector()}, &reconcile.Owner{Who: "ada", Machine: "adas-desk", PID: 1}
		return p.run(strings.Fields(args))
	}
	if scene == "lingers" {
		run(io.Discard, io.Discard, "apply")
		lingers(world)
	}
	os.Exit(run(os.Stdout, os.Stderr, os.Getenv(inAChild+"_ARGS")))
}

// lingers has a console that ends with a q, and an engine that does not come to remove its container.
func lingers(world *sim.World) {
	world.Program("console", func(_ context.Context, _ []string, _ map[string]string, s state.Streams) int {
		_, _ = fmt.Fprint(s.Out, "your word? ")
		for key := make([]byte, 1); key[0] != 'q'; {
			if _, err := s.In.Read(key); err != nil {
				return 1
			}
		}
		_, _ = fmt.Fprint(s.Out, "bye\r\n")
		return 0
	})
	world.Before(func(c sim.Call) error {
		if c.Method == "Engine.Remove" {
			time.Sleep(time.Minute)
		}
		return nil
	})
}

// writeQuickFile writes a deploy.hcl that needs no secret and no patience.
func writeQuickFile(t *testing.T, dir string) {
	t.Helper()
	file := "readiness_delay = \"100ms\"\n" + strings.NewReplacer("  username = \"deploy\"\n", "", "  password = secret(\"REGISTRY_PASSWORD\")\n", "").Replace(shopFile)
	if err := os.WriteFile(filepath.Join(dir, "deploy.hcl"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
}

// child is a process on a terminal of its own.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{}

	mu     sync.Mutex
	screen *screen.Screen
	raw    bytes.Buffer // what came since the last resize
}

func onATerminal(t *testing.T, scene, args string, columns int, environment ...string) *child {
	t.Helper()
	dir := t.TempDir()
	writeQuickFile(t, dir)
	c := &child{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestApplyInAChild$"), ended: make(chan struct{}), screen: screen.New(columns)} //nolint:gosec // this program
	c.cmd.Dir = dir
	c.cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", inAChild+"="+scene, inAChild+"_ARGS="+args+" --store "+filepath.Join(dir, "ada.db"))
	c.cmd.Env = append(c.cmd.Env, environment...)
	master, err := pty.StartWithSize(c.cmd, &pty.Winsize{Rows: 30, Cols: uint16(columns)}) //nolint:gosec // a few hundred
	if err != nil {
		t.Fatal(err)
	}
	c.master = master
	go c.read()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it has ended, if all is well
		<-c.ended
		_ = master.Close()
	})
	return c
}

func (c *child) read() {
	defer close(c.ended)
	buffer := make([]byte, 1<<15)
	for {
		n, err := c.master.Read(buffer)
		c.mu.Lock()
		_, _ = c.screen.Write(buffer[:n])
		c.raw.Write(buffer[:n])
		c.mu.Unlock()
		if err != nil {
			return // the last one that had the terminal is gone
		}
	}
}

func (c *child) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.screen.Text()
}

// shows waits until something can be read on the screen.
func (c *child) shows(words string) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(c.text(), words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%q does not come; the screen shows\n%s", words, c.text())
		}
	}
}

func (c *child) types(keys string) {
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// draws waits until so many drawings have come from here on.
func (c *child) draws(n int) {
	c.t.Helper()
	c.mu.Lock()
	c.raw.Reset()
	c.mu.Unlock()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		came := strings.Count(c.raw.String(), ansi.ResetModeSynchronizedOutput)
		c.mu.Unlock()
		if came >= n {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("nothing is drawn any more; the screen shows\n%s", c.text())
		}
	}
}

// resize makes the terminal another width, just after a drawing: the next is far off.
func (c *child) resize(columns int) {
	c.t.Helper()
	c.draws(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := pty.Setsize(c.master, &pty.Winsize{Rows: 30, Cols: uint16(columns)}); err != nil { //nolint:gosec // a few hundred
		c.t.Fatal(err)
	}
	c.screen.Resize(columns)
}

// ends waits for the process, and gives its exit code.
func (c *child) ends() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(30 * time.Second):
		c.t.Fatalf("it does not end; the screen shows\n%s", c.text())
	}
	var exited *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exited) {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

// inOrder fails unless the terminal is as it was: somebody sees what he types, at the beginning of a line of his own.
func (c *child) inOrder(modes *unix.Termios) {
	c.t.Helper()
	row, column, visible := c.screen.CursorAt()
	if !visible || column != 0 || row < strings.Count(c.screen.Text(), "\n") {
		c.t.Errorf("the cursor is at line %d, column %d, visible: %v\n%s", row, column, visible, c.screen.Text())
	}
	if now := c.modes(); *now != *modes {
		c.t.Errorf("the terminal's modes are %+v, and were %+v", now, modes)
	}
	if unknown := c.screen.Unknown(); len(unknown) > 0 {
		c.t.Errorf("the screen does not know %q", unknown)
	}
}

func (c *child) modes() *unix.Termios {
	c.t.Helper()
	modes, err := unix.IoctlGetTermios(int(c.master.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return modes
}

func TestAnInterruptLeavesTheTerminalInOrderAndASummaryOnIt(t *testing.T) {
	c := onATerminal(t, "pulls", "apply", 120)
	modes := c.modes()
	c.shows("MiB of 300 MiB")
	for _, columns := range []int{80, 50, 100} {
		c.resize(columns)
		c.draws(2) // one may have been on its way
		c.draws(2)
		c.mu.Lock()
		for line := range strings.Lines(c.raw.String()) {
			if width := ansi.StringWidth(strings.TrimRight(line, "\r\n")); width > columns {
				t.Errorf("%d columns on a terminal of %d: %q", width, columns, line)
			}
		}
		c.mu.Unlock()
		if n := strings.Count(c.text(), "Releasing shop v1"); n != 1 {
			t.Errorf("at %d columns the tree stands there %d times:\n%s", columns, n, c.text())
		}
	}
	c.types("\x03")
	if code := c.ends(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	c.inOrder(modes)
	text := c.text()
	for _, want := range []string{"interrupted: what has begun", "- prepare   given up", "- finish    not begun", "was interrupted after", "next: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the screen:\n%s", want, text)
		}
	}
	for _, gone := range []string{"Releasing shop", "●", "^C"} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is still on the screen:\n%s", gone, text)
		}
	}
}

func TestWhoLeavesAtOnceHasTheTerminalInOrder(t *testing.T) {
	c := onATerminal(t, "hangs", "apply -v", 100)
	modes := c.modes()
	c.shows("(Engine.Start for ") // it shows itself after five seconds
	c.types("\x03")
	c.shows("interrupted: what has begun")
	c.shows("Releasing shop v1 (stopping)")
	c.types("\x03")
	if code := c.ends(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	c.inOrder(modes)
	text := c.text()
	for _, want := range []string{"DBG Engine.Info host=web-1", "left behind as it is:", "web-1: boot proxy kamal-proxy (under way)", "the deploy lock", "next: `kamald plan`"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the screen:\n%s", want, text)
		}
	}
	if strings.Contains(text, "Releasing shop") {
		t.Errorf("the tree is still on the screen:\n%s", text)
	}
}

// The terminal is the command's as long as that lasts: what is still to be done about its container may take a while, and Ctrl-C ends that.
func TestATerminalIsItsOwnersAgainWhenTheCommandHasEnded(t *testing.T) {
	c := onATerminal(t, "lingers", "app exec -i --primary console", 100, "XDG_STATE_HOME="+t.TempDir())
	modes := c.modes()
	c.shows("your word?")
	c.turns("raw", func() bool { return *c.modes() != *modes })
	c.types("q")
	c.shows("bye")
	c.turns("as it was", func() bool { return *c.modes() == *modes })
	for range 200 { // the first that is heard asks it to end, the second has it leave at once
		_, _ = c.master.WriteString("\x03")
		select {
		case <-c.ended:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	if code := c.ends(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
}

// turns waits for the terminal to be so.
func (c *child) turns(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the terminal is not %s; the screen shows\n%s", what, c.text())
		}
	}
}

// TestPlainLinesWhereNobodyLooks: a pipe, a dumb terminal and one without colour get no sequence that they did not ask for.
func TestPlainLinesWhereNobodyLooks(t *testing.T) {
	for name, c := range map[string]*child{
		"dumb":       onATerminal(t, "plain", "apply", 100, "TERM=dumb"),
		"NO_COLOR":   onATerminal(t, "plain", "apply", 100, "NO_COLOR=1"),
		"--no-color": onATerminal(t, "plain", "apply --no-color", 100),
		"--json":     onATerminal(t, "plain", "apply --json", 100),
		"-q":         onATerminal(t, "plain", "apply -q --no-color", 100),
	} {
		if code := c.ends(); code != exitDone {
			t.Errorf("%s: exit code %d\n%s", name, code, c.text())
		}
		raw := c.raw.String()
		if strings.Contains(raw, "\x1b[3") {
			t.Errorf("%s: there is colour in %q", name, raw)
		}
		if drawn := strings.Contains(raw, "\x1b["); drawn != (name == "NO_COLOR" || name == "--no-color") {
			t.Errorf("%s: drawn over: %v, in %q", name, drawn, raw)
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeQuickFile(t, dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestApplyInAChild$") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), "TERM=xterm", inAChild+"=plain", fmt.Sprintf("%s_ARGS=apply --store %s/ada.db", inAChild, dir))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, write, write
	err = cmd.Run()
	_ = write.Close()
	var out bytes.Buffer
	_, _ = out.ReadFrom(read)
	if err != nil || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%v: %q", err, out.String())
	}
	for _, want := range []string{"web-1   web      create shop-web-v1 … ", "Released shop v1 (release 1)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

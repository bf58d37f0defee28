package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	"github.com/kamald/kamald/cmd/kamald/screen"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// camera is a terminal that somebody looks at: what is written to it comes to a screen.
type camera struct {
	t     *testing.T
	file  *os.File            // what a program writes to
	marks chan *screen.Screen // as it was at each mark
	ended chan struct{}

	screen *screen.Screen
	marked int
}

// newCamera is made outside of a bubble of virtual time, so that the time stands still while anybody waits for what is written.
func newCamera(t *testing.T, columns int) *camera {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("NO_COLOR", "")
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 40, Cols: uint16(columns)}); err != nil { //nolint:gosec // a few hundred
		t.Fatal(err)
	}
	c := &camera{t: t, file: slave, marks: make(chan *screen.Screen, 1), ended: make(chan struct{}), screen: screen.New(columns)}
	go func() {
		defer close(c.ended)
		buffer := make([]byte, 1<<15)
		for seen := 0; ; {
			n, err := master.Read(buffer)
			_, _ = c.screen.Write(buffer[:n])
			if mark := fmt.Sprintf("mark %d", seen+1); c.screen.Marks[mark] {
				seen++
				c.marks <- c.screen.Clone()
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		<-c.ended
		_ = master.Close()
		if unknown := c.screen.Unknown(); len(unknown) > 0 {
			t.Errorf("the screen does not know %q", unknown)
		}
	})
	return c
}

// look is the screen when everything has come that was written before.
func (c *camera) look() *screen.Screen {
	c.marked++
	_, _ = fmt.Fprintf(c.file, "\x1b]mark %d\x07", c.marked)
	return <-c.marks
}

// set is a place where commands are seen: simulated servers, and a terminal.
type set struct {
	*sim.World
	*camera
}

// steady takes the chance out of which of two calls at one time is first.
type steady struct{ simulated }

func (s steady) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := s.simulated.Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	return reconcile.Intercept(host.Name, conn, func(ctx context.Context, _ reconcile.Call, next func(context.Context) error) error {
		return next(sim.As(ctx, reconcile.StepOf(ctx)))
	}), nil
}

// types writes what somebody types.
func (s *set) types(line string) {
	_, _ = fmt.Fprintf(s.file, "\x1b[2m$\x1b[0m \x1b[1mkamald %s\x1b[0m\n", line)
}

// run carries a command out, with its words on the terminal or nowhere.
func (s *set) run(line string, shown bool) {
	file := s.file
	if !shown {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = null.Close() }()
		file = null
	}
	p := newProgram(file, file)
	p.interrupt = &interrupt{}
	p.reach, p.owner = steady{simulated{s.Connector()}}, &reconcile.Owner{Who: "ada", Machine: "adas-desk", PID: 1}
	root := p.command()
	root.SetArgs(append(strings.Fields(line), "--store", "ada.db"))
	if message := messageOf(root.ExecuteContext(s.t.Context())); message != nil {
		p.fail(message)
	}
}

// films is run with the screen looked at all the time.
func (s *set) films(line string) (frames []screen.Frame) {
	s.types(line)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(line, true)
	}()
	began := time.Now()
	time.Sleep(50 * time.Millisecond) // between two drawings
	for {
		now := s.look()
		if n := len(frames); n == 0 || frames[n-1].Screen.Text() != now.Text() {
			frames = append(frames, screen.Frame{At: time.Since(began), Screen: now})
		}
		select {
		case <-ended:
			return append(frames, screen.Frame{At: time.Since(began), Screen: s.look()})
		case <-time.After(400 * time.Millisecond):
		}
	}
}

// pictures are what is shown of kamald in its documentation.
var pictures = []struct {
	name, title string
	play        func(*set) []screen.Frame
}{
	{"plan", "kamald plan: what would change on each server, and why", func(s *set) []screen.Frame {
		s.run("apply --version v1", false)
		s.wants("v2", "debug")
		return s.shows("plan")
	}},
	{"apply", "kamald apply: a release under way, and its summary", func(s *set) []screen.Frame {
		s.run("apply --version v1", false)
		s.wants("v2", "info")
		return s.films("apply")
	}},
	{"failed", "kamald apply: a version that is broken is taken back", func(s *set) []screen.Frame {
		s.run("apply --version v1", false)
		s.wants("v3", "info")
		return s.shows("apply")
	}},
	{"drift", "kamald drift: what somebody changed behind the release's back", func(s *set) []screen.Frame {
		s.run("apply --version v1", false)
		time.Sleep(42 * time.Minute)
		s.StopContainer("jobs-1", "shop-workers-v1")
		s.RemoveContainer("web-2", "shop-web-v1")
		return s.shows("drift")
	}},
	{"history", "kamald history: who released what, and what became of it", func(s *set) []screen.Frame {
		for _, version := range []string{"v1", "v2", "v3"} {
			s.run("apply --version "+version, false)
			time.Sleep(26*time.Hour + 17*time.Minute)
		}
		s.run("rollback", false)
		return s.shows("history")
	}},
}

// shows is what a command leaves on the screen.
func (s *set) shows(line string) []screen.Frame {
	s.types(line)
	s.run(line, true)
	return []screen.Frame{{Screen: s.look()}}
}

func (s *set) wants(version, level string) {
	file := strings.Replace(shopFile, `version = "v1"`, fmt.Sprintf("version = %q", version), 1)
	if err := os.WriteFile("deploy.hcl", []byte(strings.Replace(file, `"info"`, fmt.Sprintf("%q", level), 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// opening is when the pictures are taken.
var opening = time.Date(2026, time.March, 9, 9, 30, 0, 0, time.UTC)

func newSet(t *testing.T, c *camera) *set {
	time.Sleep(time.Until(opening))
	s := &set{World: sim.New(1, sim.WithCredentials("deploy", "registry-password")), camera: c}
	for _, host := range []string{"web-1", "web-2", "jobs-1"} {
		s.AddHost(host)
	}
	for n, behaviour := range []sim.Behaviour{sim.Healthy(0), sim.Healthy(1800 * time.Millisecond), sim.Exits(3, 700*time.Millisecond)} {
		version := fmt.Sprintf("v%d", n+1) // in their order, which their digests depend on
		image := sim.Image{Ref: "registry.example.com/acme/shop:" + version, Behaviour: behaviour, Labels: map[string]string{"service": "shop", "version": version}, Size: 214 << 20}
		if version == "v2" {
			image.PullTakes = 4400 * time.Millisecond
		}
		s.Push(image)
	}
	s.wants("v1", "info")
	if err := os.MkdirAll(".kamald", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(".kamald/secrets", []byte("REGISTRY_PASSWORD=registry-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPicturesShowWhatTheProgramShows plays each picture in a pseudo-terminal and holds it to docs/pictures. KAMALD_GOLDEN=1 writes them.
func TestPicturesShowWhatTheProgramShows(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	folder, err := filepath.Abs(filepath.Join("..", "..", "docs", "pictures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, picture := range pictures {
		for _, columns := range []int{80, 200} {
			t.Run(fmt.Sprintf("%s at %d columns", picture.name, columns), func(t *testing.T) {
				t.Chdir(t.TempDir())
				c := newCamera(t, columns)
				var frames []screen.Frame
				synctest.Test(t, func(t *testing.T) {
					c.t = t
					frames = picture.play(newSet(t, c))
				})
				for _, theme := range []screen.Theme{screen.Light, screen.Dark} {
					var drawn bytes.Buffer
					if err := screen.Recording(&drawn, theme, picture.title, frames); err != nil {
						t.Fatal(err)
					}
					held(t, filepath.Join(folder, fmt.Sprintf("%s-%d-%s.svg", picture.name, columns, theme.Name)), drawn.String())
				}
			})
		}
	}
}

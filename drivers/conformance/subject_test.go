package conformance_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

var update = flag.Bool("update", false, "write what the real ones give as what is expected")

// program is what a case wants an image to do, in words that both sides understand.
type program struct {
	ready      time.Duration // until it listens
	sick       bool          // its health path answers 503
	crash      bool          // it ends by itself
	crashAfter time.Duration
	code       int
	elsewhere  int  // the port where it listens in place of 3000
	health     bool // the engine's own check, each second
	lines      int  // "boot line 1", …
	serves     time.Duration
	deaf       bool // no signal but SIGKILL ends it; the container's signal is then SIGWINCH, which the lab's app does not handle
	cmd        []string
	files      map[string]string // that its image has
}

// subject is a host under test, and the notes of one case.
type subject struct {
	t        *testing.T
	ctx      context.Context
	engine   reconcile.Engine
	files    reconcile.Files
	prober   reconcile.Prober
	environ  reconcile.Environ
	proxy    reconcile.Proxy
	registry reconcile.Registry
	shell    reconcile.Shell

	name   string // of the case: nothing that it makes is named without it
	server string // the registry
	auth   release.Auth
	arch   string

	push          func(repository, tag string, p program)
	request       func(ctx context.Context, p program) int // one request to the proxy
	restartEngine func()
	connect       func() *reconcile.Connection
	disconnect    func(container, network string) // by hand

	mu    sync.Mutex
	notes strings.Builder
}

// suite is every case by its sentence.
var suite = map[string]func(*subject){}

func cases(more map[string]func(*subject)) {
	for name, do := range more {
		if suite[name] != nil {
			panic("two cases are named " + name)
		}
		suite[name] = do
	}
}

// note writes a line: what was done, and what came of it.
func (s *subject) note(what string, got ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.notes, "%s:", what)
	for _, value := range got {
		if err, ok := value.(error); ok {
			value = kind(err)
		}
		if value == nil {
			value = "ok"
		}
		fmt.Fprintf(&s.notes, " %v", value)
	}
	s.notes.WriteByte('\n')
}

// kind is what callers can tell errors apart by.
func kind(err error) string {
	for _, known := range []error{
		state.ErrNotFound, state.ErrConflict, state.ErrDenied, state.ErrUnreachable, state.ErrNoLog, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
		syscall.ENOSPC, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, known) {
			return "error: " + known.Error()
		}
	}
	return "error: other"
}

// must is for what the case needs and does not ask about.
func (s *subject) must(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

// repo is the case's own repository, and named a name of its own.
func (s *subject) repo() string { return s.server + "/conf/" + s.slug() }

func (s *subject) named(name string) string { return s.slug() + "-" + name }

func (s *subject) slug() string {
	return strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(strings.ToLower(s.name))
}

// file is a path below the directory that a reset of the host empties.
func (s *subject) file(name string) string { return ".kamal/conformance/" + s.slug() + "/" + name }

// image pushes and pulls an image and gives its reference.
func (s *subject) image(tag string, p program) string {
	s.push("conf/"+s.slug(), tag, p)
	ref := s.repo() + ":" + tag
	s.must(s.engine.Pull(s.ctx, ref, "", s.auth))
	return ref
}

// create makes a container of an image and gives its ID; start also starts it.
func (s *subject) create(name, ref string, change ...func(*state.Spec)) string {
	spec := state.Spec{Image: ref, Network: "bridge", Restart: "no"}
	for _, c := range change {
		c(&spec)
	}
	id, err := s.engine.Create(s.ctx, s.named(name), spec, nil, nil)
	s.must(err)
	return id
}

func (s *subject) start(name, ref string, change ...func(*state.Spec)) string {
	id := s.create(name, ref, change...)
	s.must(s.engine.Start(s.ctx, s.named(name)))
	return id
}

func restart(policy string) func(*state.Spec) {
	return func(spec *state.Spec) { spec.Restart = policy }
}

func on(network string) func(*state.Spec) { return func(spec *state.Spec) { spec.Network = network } }

// see notes what an inspection says of a container.
func (s *subject) see(what, name string) {
	c, err := s.engine.Inspect(s.ctx, s.named(name), state.View{})
	if err != nil {
		s.note(what, err)
		return
	}
	s.note(what, s.seen(c))
}

// seen is a container in words, without what differs from run to run.
func (s *subject) seen(c state.Container) string {
	words := []string{string(c.Status)}
	add := func(is bool, word string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(word, args...))
		}
	}
	add(c.Health != "", "health=%s", c.Health)
	add(c.ExitCode != 0, "code=%d", c.ExitCode)
	add(c.OOMKilled, "oom")
	add(c.Error != "", "error")
	add(c.RestartCount > 0, "restarts")
	add(c.Created.IsZero(), "never-created")
	add(!c.Started.IsZero(), "started")
	add(!c.Finished.IsZero(), "finished")
	add(!c.Started.IsZero() && c.Finished.After(c.Started), "finished-after-start")
	var networks []string
	for network, ip := range c.IPs {
		word := strings.ReplaceAll(network, s.slug(), "OWN")
		if ip != "" {
			word += "+address"
		}
		networks = append(networks, word)
	}
	slices.Sort(networks)
	return strings.Join(append(words, networks...), " ")
}

// ended is seen without whether the end came after the start: of a program that ends at once, an engine may note them the other
// way round.
func (s *subject) ended(c state.Container) string {
	return strings.Replace(s.seen(c), " finished-after-start", "", 1)
}

// until waits for a container to be so, three minutes at most: a machine may be busy.
func (s *subject) until(name string, is func(state.Container) bool) state.Container {
	var last state.Container
	s.wait(func() bool {
		c, err := s.engine.Inspect(s.ctx, s.named(name), state.View{})
		last = c
		return err == nil && is(c)
	}, func() string { return fmt.Sprintf("%+v", last) })
	return last
}

func (s *subject) wait(is func() bool, last func() string) {
	for deadline := time.Now().Add(3 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("%s: it did not come: %s", s.name, last())
			return
		}
	}
}

func status(want state.Status) func(state.Container) bool {
	return func(c state.Container) bool { return c.Status == want }
}

// address is a container's own.
func (s *subject) address(name, network string) string {
	c, err := s.engine.Inspect(s.ctx, s.named(name), state.View{})
	s.must(err)
	return c.IPs[network]
}

// listening waits until a port answers.
func (s *subject) listening(address string) {
	s.wait(func() bool { return s.prober.TCP(s.ctx, address) == nil }, func() string { return address + " does not listen" })
}

// bootLines are the lines that the program wrote as it began. An engine takes a program's output over after a while, also
// while the program listens already, so they are waited for; more than are expected are given too.
func (s *subject) bootLines(name string, want int, since time.Time) (lines []string, err error) {
	s.wait(func() bool {
		lines, err = s.engine.Logs(s.ctx, s.named(name), 100, since)
		lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "boot line") })
		return err != nil || len(lines) >= want
	}, func() string { return fmt.Sprint(lines) })
	return lines, err
}

// compare holds the notes of a case to what real servers gave, or writes them down as that.
func (s *subject) compare(real bool) {
	s.t.Helper()
	file := filepath.Join("testdata", s.slug()+".txt")
	got := s.notes.String()
	if *update && real && !s.t.Failed() {
		s.must(os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatalf("what real servers give is not recorded: %v\n%s", err, got)
	}
	if got != string(want) {
		s.t.Errorf("%s differs from what real servers gave:\n%s", s.name, difference(string(want), got))
	}
}

func difference(want, got string) string {
	var text strings.Builder
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		var left, right string
		if i < len(a) {
			left = a[i]
		}
		if i < len(b) {
			right = b[i]
		}
		if left == right {
			fmt.Fprintf(&text, "  %s\n", left)
		} else {
			fmt.Fprintf(&text, "- %s\n+ %s\n", left, right)
		}
	}
	return text.String()
}

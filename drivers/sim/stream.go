package sim

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Program is what a command does: in a container, or on a host itself. It ends when its context does.
type Program func(ctx context.Context, argv []string, env map[string]string, s state.Streams) (code int)

// programs are those of every image and host.
var programs = map[string]Program{
	"true":  func(context.Context, []string, map[string]string, state.Streams) int { return 0 },
	"false": func(context.Context, []string, map[string]string, state.Streams) int { return 1 },
	"exit": func(_ context.Context, argv []string, _ map[string]string, _ state.Streams) int {
		code, _ := strconv.Atoi(strings.Join(argv[1:], ""))
		return code
	},
	"echo": func(_ context.Context, argv []string, _ map[string]string, s state.Streams) int {
		_, _ = fmt.Fprintln(s.Out, strings.Join(argv[1:], " "))
		return 0
	},
	"printenv": func(_ context.Context, argv []string, env map[string]string, s state.Streams) int {
		for _, name := range argv[1:] {
			_, _ = fmt.Fprintln(s.Out, env[name])
		}
		return 0
	},
	"cat": func(_ context.Context, _ []string, _ map[string]string, s state.Streams) int {
		if s.In != nil {
			_, _ = io.Copy(s.Out, s.In)
		}
		return 0
	},
}

// Run runs a program that every image has, for programs that do as it does.
func Run(ctx context.Context, name string, args []string, env map[string]string, s state.Streams) (code int) {
	return programs[name](ctx, append([]string{name}, args...), env, s)
}

// Program lets every image and host have a program of a name.
func (w *World) Program(name string, does Program) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.programs == nil {
		w.programs = map[string]Program{}
	}
	w.programs[name] = does
}

func (w *World) program(name string) (Program, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	does, ok := w.programs[name]
	if !ok {
		does, ok = programs[name]
	}
	return does, ok
}

// Converse runs a program in a container; one that no image has ends with 127.
func (e *Engine) Converse(ctx context.Context, name string, argv []string, env map[string]release.Secret, s state.Streams) (code int, err error) {
	var c *container
	call := Call{Method: "Engine.Converse", Args: name + " " + argv[0], Mutates: true}
	err = e.call(ctx, call, func(h *host) (err error) {
		if c, err = h.container(name); err == nil && !c.running() {
			err = fmt.Errorf("container %s is not running: %w", c.name, state.ErrConflict)
		}
		return err
	}, func(ctx context.Context) (err error) {
		code, err = e.runs(ctx, argv, e.environ(c, env), s)
		return err
	})
	return code, err
}

// RunThrough starts a container and runs its command in it; it ends with it.
func (e *Engine) RunThrough(ctx context.Context, name string, s state.Streams) (code int, err error) {
	var c *container
	call := Call{Method: "Engine.RunThrough", Args: name, Mutates: true}
	err = e.call(ctx, call, func(h *host) (err error) {
		if c, err = h.container(name); err != nil {
			return err
		}
		return h.start(c)
	}, func(ctx context.Context) (err error) {
		argv := c.spec.Cmd
		if len(argv) == 0 {
			argv = c.image.Cmd
		}
		if code, err = e.runs(ctx, argv, e.environ(c, nil), s); err != nil {
			return err
		}
		e.world.mu.Lock()
		defer e.world.mu.Unlock()
		if _, there := e.host.containers[c.id]; there && c.running() {
			e.host.end(c, time.Now(), code)
			if c.spec.Passing {
				e.host.discard(c)
			}
		}
		return nil
	})
	return code, err
}

// environ is what a program in a container finds.
func (e *Engine) environ(c *container, more map[string]release.Secret) map[string]string {
	e.world.mu.Lock()
	defer e.world.mu.Unlock()
	env := map[string]string{}
	for name, value := range c.image.Env {
		env[name] = value
	}
	for name, value := range c.spec.Env {
		env[name] = value
	}
	for _, secrets := range []map[string]release.Secret{c.secrets, more} {
		for name, value := range secrets {
			env[name] = value.Reveal()
		}
	}
	return env
}

// runs runs a program until it ends, or the context does.
func (s *session) runs(ctx context.Context, argv []string, env map[string]string, streams state.Streams) (int, error) {
	does, ok := s.world.program(argv[0])
	if !ok {
		return 127, nil
	}
	ended := make(chan int, 1)
	go func() { ended <- does(ctx, argv, env, streams) }()
	select {
	case code := <-ended:
		return code, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Shell runs command lines on the host.
type Shell struct{ *session }

// Run runs a program by its words; it knows of a shell no more than that.
func (s *Shell) Run(ctx context.Context, line string, streams state.Streams) (code int, err error) {
	words := strings.Fields(line)
	call := Call{Method: "Shell.Run", Args: words[0], Mutates: true}
	err = s.call(ctx, call, func(*host) error { return nil }, func(ctx context.Context) (err error) {
		code, err = s.runs(ctx, words, map[string]string{"HOSTNAME": s.host.name, "HOME": s.host.home}, streams)
		return err
	})
	return code, err
}

// said is a line that a container has written.
type said struct {
	at   time.Time // by the world's clock
	errs bool
	text string
}

// Say has a container write a line, now.
func (w *World) Say(hostName, name, text string) {
	w.at(hostName, func(h *host) {
		c, err := h.container(name)
		if err != nil {
			panic("sim: " + err.Error())
		}
		h.speaks(c, said{at: time.Now(), text: text})
	})
}

// speaks keeps a line, and has those who follow look again.
func (h *host) speaks(c *container, line said) {
	c.said = append(c.said, line)
	h.stir()
}

// boots writes what the program writes as it begins.
func (h *host) boots(c *container, at time.Time) {
	for n, text := range c.image.Behaviour.Logs {
		c.said = append(c.said, said{at: at.Add(time.Duration(n) * time.Microsecond), text: text})
	}
}

// ReadLog tells a container's lines.
func (e *Engine) ReadLog(ctx context.Context, name string, q state.LogQuery, told func(state.LogLine)) error {
	var c *container
	next := 0
	call := Call{Host: e.host.name, By: e.by, Method: "Engine.ReadLog", Args: name}
	return e.call(ctx, call, func(h *host) (err error) {
		if c, err = h.container(name); err != nil {
			return err
		}
		if c.spec.LogDriver == "none" {
			return state.ErrNoLog
		}
		since := slices.IndexFunc(c.said, func(l said) bool { return !l.at.Add(h.skew).Before(q.Since) })
		if next = since; since < 0 {
			next = len(c.said)
		}
		if q.Tail > 0 {
			next = max(next, len(c.said)-q.Tail)
		}
		return nil
	}, func(ctx context.Context) error { return e.tellLog(ctx, call, c, next, q.Follow, told) })
}

// tellLog tells lines from a place on, and those that come until the container ends.
func (e *Engine) tellLog(ctx context.Context, call Call, c *container, next int, follow bool, told func(state.LogLine)) error {
	w, h := e.world, e.host
	for ctx.Err() == nil {
		w.mu.Lock()
		h.settle(time.Now())
		held := h.holes.replies || h.frozen
		fresh, ended := slices.Clone(c.said[next:]), !c.running() || h.containers[c.id] == nil
		news, wake := h.news(), h.nextChange(time.Now())
		w.mu.Unlock()
		switch {
		case len(fresh) == 0 && !held && (ended || !follow):
			return nil
		case len(fresh) == 0 || held:
			wait(ctx, news, wake)
			continue
		}
		if err := w.travel(ctx, h, &call); err != nil { // no two streams tell at one instant
			return err
		}
		next += len(fresh)
		for _, line := range fresh {
			if ctx.Err() == nil {
				told(state.LogLine{At: line.at.Add(h.skew).Round(0).UTC(), Stderr: line.errs, Text: line.text})
			}
		}
	}
	return context.Cause(ctx)
}

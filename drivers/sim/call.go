package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// Call is one remote call.
type Call struct {
	Host    string
	Method  string // "Engine.Start", "Files.Read", "Connect", …
	Args    string // names and paths; never a secret's value
	N       int    // counts all calls of the world from 1
	Mutates bool
	At      time.Time
	Err     string // in the history: how it failed, "" when it did not
}

// String is a line for a person.
func (c Call) String() string {
	text := fmt.Sprintf("%d %s %s %s", c.N, c.Host, c.Method, c.Args)
	if c.Err != "" {
		text += ": " + c.Err
	}
	return text
}

// What a hook gives to do more than to fail a call with its error.
var (
	errHang = errors.New("sim: hang")
	errKill = errors.New("sim: kill")
)

var errLost = fmt.Errorf("the connection is lost: %w", state.ErrUnreachable)

// ErrFault is what FailNth fails a call with.
var ErrFault = errors.New("injected fault")

// Before adds a hook that runs before each call is carried out. Its error is the call's, which is then not carried out.
func (w *World) Before(hook func(Call) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = append(w.before, hook)
}

// After adds a hook that runs when a call has been carried out with no error. Its error is the call's.
func (w *World) After(hook func(Call) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after = append(w.after, hook)
}

// ClearHooks takes every hook away, the faults included.
func (w *World) ClearHooks() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = nil, nil
}

// FailNth fails the n-th call with ErrFault; it is not carried out.
func (w *World) FailNth(n int) { w.Before(nth(n, ErrFault)) }

// HangNth lets the n-th call hang until its context is done; it is not carried out.
func (w *World) HangNth(n int) { w.Before(nth(n, errHang)) }

// LostReplyNth carries the n-th call out and then loses the connection: the caller gets state.ErrUnreachable.
func (w *World) LostReplyNth(n int) {
	w.After(nth(n, fmt.Errorf("the connection was lost before the reply came: %w", state.ErrUnreachable)))
}

// KillNth is the end of the calling program at its n-th call, which is not carried out: it and all later ones fail with
// context.Canceled until Revive.
func (w *World) KillNth(n int) { w.Before(nth(n, errKill)) }

// KillAfterNth is KillNth with the n-th call carried out.
func (w *World) KillAfterNth(n int) { w.After(nth(n, errKill)) }

// Kill fails every call from now on, until Revive.
func (w *World) Kill() { w.setKilled(true) }

// Revive lets calls through again after a kill.
func (w *World) Revive() { w.setKilled(false) }

// Killed tells whether the calling program counts as dead.
func (w *World) Killed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.killed
}

// Calls is the number of calls so far.
func (w *World) Calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// History is the mutating calls that were carried out, in their order, with the error of those that failed.
func (w *World) History() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

func (w *World) setKilled(killed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killed = killed
}

func nth(n int, err error) func(Call) error {
	return func(c Call) error {
		if c.N == n {
			return err
		}
		return nil
	}
}

// session is a connection as its parts see it.
type session struct {
	world  *World
	host   *host
	life   int
	closed bool // guarded by the world's mu
}

// read and mutate run one call: carry is run under the world's lock and must not wait.
func (s *session) read(ctx context.Context, method, args string, carry func(*host) error) error {
	return s.call(ctx, Call{Method: method, Args: args}, carry, nil)
}

func (s *session) mutate(ctx context.Context, method, args string, carry func(*host) error) error {
	return s.call(ctx, Call{Method: method, Args: args, Mutates: true}, carry, nil)
}

// call takes its time, meets its faults, is carried out, and waits: wait runs without the lock.
func (s *session) call(ctx context.Context, c Call, carry func(*host) error, wait func(context.Context) error) error {
	w := s.world
	c.Host = s.host.name
	before, err := w.begin(ctx, &c)
	if err == nil {
		err = w.meet(ctx, c, before)
	}
	if err != nil {
		return s.failure(c, err)
	}
	if err := s.carry(c, carry); err != nil {
		return s.failure(c, err)
	}
	if wait != nil {
		if err := wait(ctx); err != nil {
			w.note(c.N, err)
			return s.failure(c, err)
		}
	}
	w.mu.Lock()
	after, lost := slices.Clone(w.after), s.host.cut || s.life != s.host.lives
	w.mu.Unlock()
	if lost { // while it waited: it was carried out, and nobody hears of it
		return s.failure(c, errLost)
	}
	return s.failure(c, w.meet(ctx, c, after))
}

// begin lets the call's time pass and gives it its number. The time has a part that only the seed and the call decide, so that
// under virtual time no two calls come at the same instant and their order is the same in every run.
func (w *World) begin(ctx context.Context, c *Call) ([]func(Call) error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	key := c.Host + "\x00" + c.Method + "\x00" + c.Args
	w.asked[key]++
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, w.seed, "\x00", key, "\x00", w.asked[key]) // a hash takes everything
	w.mu.Unlock()
	if w.latency > 0 {
		timer := time.NewTimer(w.latency + time.Duration(hash.Sum64()%uint64(w.latency)))
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return nil, context.Canceled
	}
	w.calls++
	c.N, c.At = w.calls, time.Now()
	return slices.Clone(w.before), nil
}

// meet runs hooks, without the lock: they may ask the world.
func (w *World) meet(ctx context.Context, c Call, hooks []func(Call) error) error {
	for _, hook := range hooks {
		err := hook(c)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errHang):
			<-ctx.Done()
			return ctx.Err()
		case errors.Is(err, errKill):
			w.Kill()
			return context.Canceled
		}
		return err
	}
	return nil
}

func (s *session) carry(c Call, carry func(*host) error) error {
	w, h := s.world, s.host
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.killed:
		return context.Canceled
	case s.closed:
		return errors.New("the connection is closed")
	case h.cut || s.life != h.lives:
		return errLost
	case isEngine(c.Method) && time.Now().Before(h.downUntil):
		return fmt.Errorf("the engine does not answer: %w", state.ErrUnreachable)
	}
	h.settle(time.Now())
	err := carry(h)
	if c.Mutates {
		if err != nil {
			c.Err = err.Error()
		}
		w.history = append(w.history, c)
	}
	return err
}

// note writes how a call that waited has failed into the history.
func (w *World) note(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.history {
		if w.history[i].N == n {
			w.history[i].Err = err.Error()
		}
	}
}

func (s *session) failure(c Call, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %s: %w", s.host.name, c.Method, c.Args, err)
}

func isEngine(method string) bool {
	return len(method) > 6 && (method[:6] == "Engine" || method[:6] == "Proxy.")
}

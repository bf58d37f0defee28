package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// Call is one remote call.
type Call struct {
	Host    string
	By      string // who calls, as Connector.As says
	Method  string // "Engine.Start", "Files.Read", "Connect", …
	Args    string // names and paths; never a secret's value
	N       int    // counts all calls of the world from 1
	Mutates bool
	At      time.Time
	Err     string // in the history: how it failed, "" when it did not
}

// As names what a call is for. Calls that are otherwise the same take their own time each: which of them goes first is then for
// the seed to say, and not for the scheduler.
func As(ctx context.Context, purpose string) context.Context {
	return context.WithValue(ctx, purposeKey{}, purpose)
}

type purposeKey struct{}

// String is a line for a person.
func (c Call) String() string {
	text := fmt.Sprintf("%d %s %s %s", c.N, c.Host, c.Method, c.Args)
	if c.Err != "" {
		text += ": " + c.Err
	}
	return text
}

// ErrHang is what a hook gives to let a call hang until its context is done.
var ErrHang = errors.New("sim: hang")

// What a hook gives to do more than to fail a call with its error.
var (
	errKill = errors.New("sim: kill")
	errTear = fmt.Errorf("the connection was lost in the middle: %w", state.ErrUnreachable)
)

var errClosed = errors.New("the connection is closed")

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
func (w *World) HangNth(n int) { w.Before(nth(n, ErrHang)) }

// LostReplyNth carries the n-th call out and then loses the connection: the caller gets state.ErrUnreachable.
func (w *World) LostReplyNth(n int) {
	w.After(nth(n, fmt.Errorf("the connection was lost before the reply came: %w", state.ErrUnreachable)))
}

// TearNth cuts the n-th call off in its middle: the caller gets state.ErrUnreachable, a file that was written leaves its
// temporary file behind, and nothing else was done.
func (w *World) TearNth(n int) { w.Before(nth(n, errTear)) }

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
	if !killed {
		return
	}
	for _, h := range w.hosts { // the order does not matter: each only learns that it is over
		h.drop(context.Canceled, func(*waiter) bool { return true })
		h.wake()
	}
}

func nth(n int, err error) func(Call) error {
	return func(c Call) error {
		if c.N == n {
			return err
		}
		return nil
	}
}

// meet runs hooks, without the lock: they may ask the world.
func (w *World) meet(ctx context.Context, c Call, hooks []func(Call) error) error {
	for _, hook := range hooks {
		err := hook(c)
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrHang):
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

// note writes how a call that was carried out has failed afterwards into the history.
func (w *World) note(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.history) - 1; i >= 0; i-- {
		if w.history[i].N == n {
			w.history[i].Err = err.Error()
			return
		}
	}
}

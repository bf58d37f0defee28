package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// session is a connection as its parts see it.
type session struct {
	world  *World
	by     string
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

// call takes its time, meets its faults, is carried out, waits (without the lock), and is answered.
func (s *session) call(ctx context.Context, c Call, carry func(*host) error, wait func(context.Context) error) error {
	w := s.world
	c.Host, c.By = s.host.name, s.by
	before, err := s.begin(ctx, &c)
	if err == nil {
		err = w.meet(ctx, c, before)
	}
	if errors.Is(err, errTear) {
		s.tear(c)
	}
	if err == nil {
		err = s.arrive(ctx, c, carry)
	}
	if err != nil {
		return s.failure(c, err)
	}
	if wait != nil {
		err = s.await(ctx, c, wait)
	}
	lost := s.reply(ctx, c)
	if err == nil {
		err = lost
	}
	if err != nil {
		if wait != nil {
			w.note(c.N, err)
		}
		return s.failure(c, err)
	}
	w.mu.Lock()
	after := w.after
	w.mu.Unlock()
	return s.failure(c, w.meet(ctx, c, after))
}

// begin lets the call's time pass and gives it its number.
func (s *session) begin(ctx context.Context, c *Call) ([]func(Call) error, error) {
	w := s.world
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.travel(ctx, s.host, c); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.killed {
		return nil, context.Canceled
	}
	w.calls++
	c.N, c.At = w.calls, time.Now()
	return w.before, nil
}

// arrive carries the call out as soon as the host can take it.
func (s *session) arrive(ctx context.Context, c Call, carry func(*host) error) error {
	return s.once(ctx, c, func(h *host) bool { return h.holes.requests || h.frozen && isEngine(c.Method) }, func() error {
		h := s.host
		if isEngine(c.Method) && time.Now().Before(h.downUntil) {
			return fmt.Errorf("the engine does not answer: %w", state.ErrUnreachable)
		}
		if isEngine(c.Method) && h.noEngine != "" {
			return noEngineError(h.noEngine)
		}
		h.settle(time.Now())
		err := carry(h)
		if c.Mutates {
			if err != nil {
				c.Err = err.Error()
			}
			s.world.history = append(s.world.history, c)
		}
		return err
	})
}

// reply brings the answer back: nobody hears one that is lost on the way.
func (s *session) reply(ctx context.Context, c Call) error {
	return s.once(ctx, c, func(h *host) bool { return h.holes.replies || h.frozen && isEngine(c.Method) }, func() error { return nil })
}

// once does something under the world's lock, when nothing holds the call up any more and the connection still stands.
func (s *session) once(ctx context.Context, c Call, held func(*host) bool, do func() error) error {
	w, h := s.world, s.host
	for {
		w.mu.Lock()
		err := s.standing()
		if err == nil && !held(h) {
			err = do()
			w.mu.Unlock()
			return err
		}
		changed := h.change()
		w.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		if err := w.travel(ctx, h, &c); err != nil { // those that were held up do not all come at one instant
			return err
		}
	}
}

// standing tells why the call can go no further.
func (s *session) standing() error {
	switch {
	case s.world.killed:
		return context.Canceled
	case s.closed:
		return errClosed
	case s.host.cut || s.life != s.host.lives || time.Now().Before(s.host.offUntil):
		return errLost
	}
	return nil
}

// await waits for the end of a call that takes time; a lost connection, or an engine that goes down, ends it at once.
func (s *session) await(ctx context.Context, c Call, wait func(context.Context) error) error {
	w, h := s.world, s.host
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.mu.Lock()
	h.waiting = append(h.waiting, &waiter{n: c.N, session: s, engine: isEngine(c.Method), cancel: cancel})
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		h.waiting = slices.DeleteFunc(h.waiting, func(waiting *waiter) bool { return waiting.n == c.N })
	}()
	err := wait(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if caller.Err() == nil { // those that end together do not all hear of it at one instant
		err = cmp.Or(err, w.travel(caller, h, &c))
	}
	return err
}

// tear leaves of a call what one that was cut off in its middle leaves.
func (s *session) tear(c Call) {
	w, h := s.world, s.host
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Method != "Files.Write" || s.standing() != nil {
		return
	}
	full := h.path(c.Args)
	torn := path.Join(path.Dir(full), "."+path.Base(full)+"."+strings.Map(letter, w.id("torn", c.N)[:12]))
	if err := h.parents(full); err == nil {
		h.files[torn] = &node{mode: 0o600, mod: h.clock()}
	}
}

func (s *session) failure(c Call, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %s: %w", s.host.name, c.Method, c.Args, err)
}

// letter is one for each digit: the names of temporary files have no digits like 0 and 1.
func letter(digit rune) rune { return 'A' + (digit-'0')%26 }

func isEngine(method string) bool {
	return strings.HasPrefix(method, "Engine") || strings.HasPrefix(method, "Proxy.")
}

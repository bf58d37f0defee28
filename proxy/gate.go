package proxy

import (
	"context"
	"fmt"
	"time"
)

// gateState is kept in the state file as a number, kamal-proxy's.
type gateState int

const (
	gateRunning gateState = iota
	gatePaused
	gateStopped
)

func (s gateState) String() string {
	switch s {
	case gateRunning:
		return "running"
	case gatePaused:
		return "paused"
	case gateStopped:
		return "stopped"
	}
	return "unknown"
}

// gate is what pause, stop and resume have asked for. It outlives deploys. The service's lock guards it.
type gate struct {
	State       gateState     `json:"state"`
	StopMessage string        `json:"stop_message"`
	FailAfter   time.Duration `json:"fail_after"`

	moved chan struct{} // closed when another gate takes its place, so that held requests look again; nil of a new one
}

// validate refuses a gate of a state file that nobody here knows how to keep.
func (g gate) validate() error {
	if g.State < gateRunning || g.State > gateStopped {
		return fmt.Errorf("pause_controller has the state %d: 0 is running, 1 paused, 2 stopped; deploy the service again", g.State)
	}
	return nil
}

func newGate() gate {
	return gate{moved: make(chan struct{})}
}

// pause holds new requests for up to MaxPause each and drains those in flight.
func (r *Router) pause(ctx context.Context, q gateRequest) error {
	if q.DrainTimeout < 0 || q.MaxPause <= 0 {
		return fmt.Errorf("drain-timeout must not be negative and max-pause must be more than 0, not %s and %s", q.DrainTimeout, q.MaxPause)
	}
	return r.moveGate(ctx, q, gatePaused)
}

// stop answers new requests with 503 and the message, and drains those in flight.
func (r *Router) stop(ctx context.Context, q gateRequest) error {
	if q.DrainTimeout < 0 {
		return fmt.Errorf("drain-timeout must not be negative, not %s", q.DrainTimeout)
	}
	return r.moveGate(ctx, q, gateStopped)
}

// resume ends a pause or stop; held requests go on.
func (r *Router) resume(ctx context.Context, q gateRequest) error {
	return r.moveGate(ctx, q, gateRunning)
}

func (r *Router) moveGate(ctx context.Context, q gateRequest, state gateState) error {
	now, err := r.change(q.Service, q.Fence, func(next standing) (standing, error) {
		next.gate = gate{State: state, StopMessage: q.Message, FailAfter: q.MaxPause}
		return next, nil
	})
	if err != nil {
		return err
	}
	settled(ctx)
	r.log.Info("Service "+state.String(), "service", q.Service)
	if state == gateRunning {
		return nil
	}
	eachPool(now, func(p *pool) { r.metrics.cut(q.Service, p.drain(q.DrainTimeout)) })
	return nil
}

// change makes a service what edit says, after it was saved, and returns what it was before.
func (r *Router) change(name string, fence uint64, edit func(standing) (standing, error)) (before standing, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.services[name]
	if !ok {
		return before, ErrServiceNotFound
	}
	if err := r.fences.check(name, fence); err != nil {
		return before, err
	}
	before = s.now()
	next, err := edit(before)
	if err != nil {
		return before, err
	}
	undo := r.fences.raise(name, fence)
	if err := r.save(name, &next); err != nil {
		undo()
		return before, err
	}
	s.replace(next)
	return before, nil
}

// remove forgets a service and its rollout, cancels deploys of it that wait, and drains its targets.
func (r *Router) remove(ctx context.Context, q gateRequest) error {
	name := q.Service
	r.mu.Lock()
	if err := r.fences.check(name, q.Fence); err != nil {
		r.mu.Unlock()
		return err
	}
	for _, rollout := range []bool{false, true} {
		r.cancelAttempt(attemptKey{name, rollout}, fmt.Errorf("service %s was removed while this deploy waited", name))
	}
	// The fence is kept of a service that is not there too: what comes from an older writer must not bring it back.
	s, ok := r.services[name]
	undo := r.fences.raise(name, q.Fence)
	if err := r.save(name, nil); err != nil {
		undo()
		r.mu.Unlock()
		return err
	}
	if !ok {
		r.mu.Unlock()
		return ErrServiceNotFound
	}
	delete(r.services, name)
	old := s.now()
	s.replace(standing{})
	r.publish()
	r.mu.Unlock()
	settled(ctx)
	r.log.Info("Service removed", "service", name)
	eachPool(old, func(p *pool) { r.metrics.cut(name, p.retire(old.dep.drainTimeout)) })
	r.metrics.forget(name)
	return nil
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errCallerGone is why a deploy that nobody waits for any more is given up.
var errCallerGone = errors.New("the caller of this deploy went away before the switch; the old targets keep serving")

// attemptKey is what two deploys contend for: a service's own targets, or those of its rollout.
type attemptKey struct {
	service string
	rollout bool
}

// attempt is a deploy that has not switched yet. A newer one of the same key cancels it.
type attempt struct {
	key    attemptKey
	dep    *deployment
	fence  uint64
	began  time.Time
	cancel context.CancelCauseFunc
}

// beginAttempt makes this deploy the newest of its key. The context it returns ends when it is no longer. The fence is
// saved before anything else, so that no older writer gets through while this one waits.
func (r *Router) beginAttempt(ctx context.Context, key attemptKey, dep *deployment, fence uint64) (context.Context, *attempt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.fences.check(key.service, fence); err != nil {
		return nil, nil, err
	}
	if err := r.checkConflict(key.service, dep.options); err != nil {
		return nil, nil, err
	}
	if fence > r.fences.of(key.service) {
		undo := r.fences.raise(key.service, fence)
		if err := r.save("", nil); err != nil {
			undo()
			return nil, nil, err
		}
	}
	r.cancelAttempt(key, fmt.Errorf("a newer deploy of service %s to %v was asked for while this one waited; the old targets keep serving until that one switches", key.service, dep.pool.names()))
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{key, dep, fence, time.Now(), cancel}
	r.attempts[key] = a
	return ctx, a, nil
}

// cancelAttempt gives up a deploy that waits, if there is one. The router's lock is held.
func (r *Router) cancelAttempt(key attemptKey, why error) {
	if a := r.attempts[key]; a != nil {
		a.cancel(why)
	}
}

func (r *Router) endAttempt(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.cancel(nil)
	r.installed(a)
}

// installed says that a newer deploy has nothing to cancel any more: this one only drains. The router's lock is held.
func (r *Router) installed(a *attempt) {
	if r.attempts[a.key] == a {
		delete(r.attempts, a.key)
	}
}

// stillWanted says why a deploy must not switch. The router's lock is held.
func (r *Router) stillWanted(ctx context.Context, a *attempt) error {
	if err := cancelled(ctx); err != nil {
		return err
	}
	return r.fences.check(a.key.service, a.fence)
}

// switchOver proves the targets of an attempt, installs them and drains the old ones.
func (r *Router) switchOver(ctx context.Context, a *attempt, force bool, install func() (*pool, error), drain time.Duration) error {
	log := r.log.With("service", a.key.service, "targets", a.dep.pool.names(), "rollout", a.key.rollout)
	log.Info("Deploying", "hosts", a.dep.options.Hosts, "paths", a.dep.options.PathPrefixes, "tls", a.dep.options.TLSEnabled)
	if force {
		a.dep.pool.markHealthy()
	} else if err := a.dep.pool.waitHealthy(ctx, a.dep.deployTimeout); err != nil {
		if gone := cancelled(ctx); gone != nil {
			err = gone
		}
		log.Error("Deploy failed", "error", err)
		return err
	}
	old, err := install()
	if err != nil {
		log.Error("Deploy failed", "error", err)
		return err
	}
	log.Info("Deployed")
	settled(ctx)
	if old != nil {
		cut := old.retire(drain)
		r.metrics.cut(a.key.service, cut)
		log.Info("Drained", "old_targets", old.names(), "cut", cut)
	}
	return nil
}

// cancelled says why ctx ended before the deploy did; the deploy's own timeout is a child of ctx and not meant here.
func cancelled(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errCallerGone
}

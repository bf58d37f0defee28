package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RolloutDeployRequest asks for targets beside a service's own, under the same options.
type RolloutDeployRequest struct {
	Service       string        `json:"service"`
	Targets       []string      `json:"targets"`
	Readers       []string      `json:"readers,omitempty"`
	DeployTimeout time.Duration `json:"deploy_timeout"`
	DrainTimeout  time.Duration `json:"drain_timeout"`
	Fence         uint64        `json:"fence,omitempty"` // 0 is no check
}

// RolloutSetRequest asks for a share of a service's requests to go to its rollout targets.
type RolloutSetRequest struct {
	Service string `json:"service"`
	Fence   uint64 `json:"fence,omitempty"` // 0 is no check
	Split
}

// Validate returns every reason why the request cannot be carried out.
func (r RolloutDeployRequest) Validate() error {
	return DeployRequest{
		Service: r.Service, Targets: r.Targets, Readers: r.Readers, DeployTimeout: r.DeployTimeout, DrainTimeout: r.DrainTimeout,
		TargetOptions: TargetOptions{HealthCheckConfig: HealthCheckConfig{Path: "/", Interval: time.Second, Timeout: time.Second}},
	}.Validate()
}

// RolloutDeploy proves the targets healthy and puts them beside the service's own. They get requests by the split that
// was set before, if there is one. Targets of an earlier rollout are drained. What Deploy promises holds here too.
func (r *Router) RolloutDeploy(ctx context.Context, req RolloutDeployRequest) error {
	if err := req.Validate(); err != nil {
		return err
	}
	active, err := r.deployed(req.Service)
	if err != nil {
		return err
	}
	dep, err := newRolloutDeployment(req, active, active.targetOptions)
	if err != nil {
		return err
	}
	ctx, a, err := r.beginAttempt(ctx, attemptKey{req.Service, true}, dep, req.Fence)
	if err != nil {
		return err
	}
	defer r.endAttempt(a)
	return r.switchOver(ctx, a, false, func() (*pool, error) { return r.installRollout(ctx, a) }, req.DrainTimeout)
}

// RolloutSet splits the service's requests between its own and its rollout targets.
func (r *Router) RolloutSet(req RolloutSetRequest) error {
	split := req.Split
	split.normalize()
	if err := split.Validate(); err != nil {
		return err
	}
	_, err := r.change(req.Service, req.Fence, func(next standing) (standing, error) {
		if next.broken != nil {
			return next, errBroken(req.Service, next.broken)
		}
		if next.rollout == nil {
			return next, errNoRolloutTarget
		}
		next.rollout = &rollout{next.rollout.dep, &split, next.rollout.sides}
		return next, nil
	})
	if err == nil {
		r.log.Info("Rollout set", "service", req.Service, "percent", split.Percent, "by", split.By, "listed", len(split.List), "headers", len(split.Headers))
	}
	return err
}

// stopRollout sends all requests to the service's own targets again, drains the rollout's, and forgets them. Without
// a rollout it has nothing to do.
func (r *Router) stopRollout(ctx context.Context, q gateRequest) error {
	name := q.Service
	old, err := r.change(name, q.Fence, func(next standing) (standing, error) {
		r.cancelAttempt(attemptKey{name, true}, fmt.Errorf("the rollout of service %s was stopped while this deploy waited", name))
		next.rollout = nil
		return next, nil
	})
	if err != nil || old.rollout == nil {
		return err
	}
	settled(ctx)
	d := old.rollout.dep
	cut := d.pool.retire(d.drainTimeout)
	r.metrics.cut(name, cut)
	r.log.Info("Rollout stopped", "service", name, "targets", d.pool.names(), "cut", cut)
	return nil
}

func newRolloutDeployment(req RolloutDeployRequest, active *deployment, o TargetOptions) (*deployment, error) {
	d := active.under(active)
	d.targetNames, d.readerNames, d.targetOptions = req.Targets, req.Readers, o
	d.deployTimeout, d.drainTimeout = req.DeployTimeout, req.DrainTimeout
	if err := errors.Join(validateTargets(req.Targets), validateTargets(req.Readers), o.Validate()); err != nil {
		return nil, err
	}
	pool, err := newPool(req.Targets, req.Readers, o, d.balance)
	d.pool = pool
	return d, err
}

// deployed returns what a service serves by now, if it does.
func (r *Router) deployed(name string) (*deployment, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.services[name]
	if !ok {
		return nil, ErrServiceNotFound
	}
	now := s.now()
	if now.broken != nil {
		return nil, errBroken(name, now.broken)
	}
	return now.dep, nil
}

func (r *Router) installRollout(ctx context.Context, a *attempt) (old *pool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.stillWanted(ctx, a); err != nil {
		return nil, err
	}
	s, ok := r.services[a.key.service]
	if !ok {
		return nil, ErrServiceNotFound
	}
	now := s.now()
	if now.broken != nil {
		return nil, errBroken(s.name, now.broken)
	}
	// The service may have been deployed with other options since this deploy began.
	ro := &rollout{dep: a.dep.under(now.dep), sides: &sides{}}
	if now.rollout != nil {
		ro.split, old = now.rollout.split, now.rollout.dep.pool
	}
	next := now.withRollout(ro)
	if err := r.save(s.name, &next); err != nil {
		return nil, err
	}
	a.dep.pool.keepChecking(r.healthChanged(s.name))
	s.replace(next)
	r.installed(a)
	return old, nil
}

func errBroken(name string, why error) error {
	return fmt.Errorf("service %s could not be restored; deploy it first: %w", name, why)
}

func (p *Split) normalize() {
	if p.By == "" {
		p.By = RolloutByCookie
	}
	p.List, p.Headers = orEmpty(p.List), orEmpty(p.Headers)
}

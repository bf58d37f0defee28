package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"
)

// deployment is what a service serves by: options and the targets that were deployed with them. It never changes.
type deployment struct {
	options       ServiceOptions
	targetOptions TargetOptions
	targetNames   []string // as the user wrote them
	pool          *pool    // nil for a service that could not be restored
	deployTimeout time.Duration
	drainTimeout  time.Duration
	certificate   *tls.Certificate
	kept          *serviceRecord // of a service that could not be restored: written back as it was read
}

// service is a name with a current deployment. Requests and deploys meet at its lock.
type service struct {
	name string

	mu     sync.Mutex
	dep    *deployment // nil for a service that was removed
	gate   gate
	broken error // why a restored service cannot serve
}

// admission is the answer to a request that wants a target. With a lease, the request is in flight; without one,
// the gate says why not, and with the gate open there was no target to choose.
type admission struct {
	ctx   context.Context
	lease *lease
	dep   *deployment
	gate  gate
}

func newDeployment(req DeployRequest) (*deployment, error) {
	d := &deployment{
		options:       req.Options,
		targetOptions: req.TargetOptions,
		targetNames:   req.Targets,
		deployTimeout: req.DeployTimeout,
		drainTimeout:  req.DrainTimeout,
	}
	if req.Options.TLSEnabled {
		cert, err := tls.LoadX509KeyPair(req.Options.TLSCertificatePath, req.Options.TLSPrivateKeyPath)
		if err != nil {
			return nil, fmt.Errorf("loading the TLS certificate of service %s: %w", req.Service, err)
		}
		d.certificate = &cert
	}
	pool, err := newPool(req.Targets, req.TargetOptions)
	if err != nil {
		return nil, err
	}
	d.pool = pool
	return d, nil
}

// admit chooses a target and counts the request in flight on it in one step, so that no swap can come in between.
func (s *service) admit(ctx context.Context, exclude *target) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := admission{dep: s.dep, gate: s.gate}
	if s.dep == nil || s.broken != nil || s.gate.State != gateRunning {
		return a
	}
	if t := s.dep.pool.choose(exclude); t != nil {
		a.ctx, a.lease = t.begin(ctx)
	}
	return a
}

// swap installs a deployment and returns the one it takes the place of, nil for the first. Every request admitted
// from now on goes to the new one.
func (s *service) swap(d *deployment) (old *deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, s.dep, s.broken = s.dep, d, nil
	return old
}

func (s *service) current() (*deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dep, s.broken
}

func (s *service) setGate(state gateState, message string, failAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.set(state, message, failAfter)
}

// errHeldTooLong is why a request to a paused service fails.
var errHeldTooLong = errors.New("the service is paused and was not resumed in time")

// hold waits until a paused gate moves. It fails when the request's ctx ends or the pause has lasted too long for it.
func hold(ctx context.Context, g gate) error {
	timer := time.NewTimer(g.FailAfter)
	defer timer.Stop()
	select {
	case <-g.moved:
		return nil
	case <-timer.C:
		return errHeldTooLong
	case <-ctx.Done():
		return ctx.Err()
	}
}

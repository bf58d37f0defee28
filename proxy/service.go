package proxy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// deployment is what a service serves by: options and the targets that were deployed with them. It never changes.
type deployment struct {
	options       ServiceOptions
	targetOptions TargetOptions
	targetNames   []string // as the user wrote them
	readerNames   []string
	balance       string
	pool          *pool // nil for a service that could not be restored
	deployTimeout time.Duration
	drainTimeout  time.Duration
	certificate   *certificateFile // nil without one of its own
	pages         *errorPages
	pagesErr      error          // why there are none: no reason not to restore a service, but one not to deploy it
	kept          *serviceRecord // of a service that could not be restored: written back as it was read
}

// standing is what a service is at one moment. A command changes a copy, saves it, and puts it in place.
type standing struct {
	dep        *deployment // nil for a service that was removed
	rollout    *rollout    // nil for none
	gate       gate
	broken     error  // why a restored service cannot serve
	generation uint64 // how many times targets were put in place
	deployed   uint64 // the generation of the own targets
	rolledOut  uint64 // and that of the rollout's
	unknown    unknownFields
}

// service is a name with a current deployment. Requests and deploys meet at its lock.
type service struct {
	name string

	mu sync.Mutex
	standing
}

// admission is the answer to a request that wants a target. With a lease, the request is in flight; without one,
// the gate says why not, and with the gate open there was no target to choose.
type admission struct {
	ctx   context.Context
	lease *lease
	dep   *deployment
	side  string // of a rollout
	sides *sides // of the rollout, nil without one
	gate  gate
}

func newDeployment(req DeployRequest) (*deployment, error) {
	d := &deployment{
		options:       req.Options,
		targetOptions: req.TargetOptions,
		targetNames:   req.Targets,
		readerNames:   req.Readers,
		balance:       req.Balance,
		deployTimeout: req.DeployTimeout,
		drainTimeout:  req.DrainTimeout,
	}
	d.pages, d.pagesErr = readErrorPages(req.Options.ErrorPagePath)
	if req.Options.TLSEnabled && req.Options.TLSCertificatePath != "" {
		d.certificate = openCertificate(req.Options)
	}
	pool, err := newPool(req.Targets, req.Readers, req.TargetOptions, req.Balance)
	if err != nil {
		return nil, err
	}
	d.pool = pool
	return d, nil
}

// admit chooses a target and counts the request in flight on it in one step, so that no swap can come in between.
func (s *service) admit(ctx context.Context, sel *selection) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := admission{dep: s.dep, gate: s.gate, side: sideActive}
	if s.dep == nil || s.broken != nil || s.gate.State != gateRunning {
		return a
	}
	t, dep, side := sel.choose(s.dep, s.rollout)
	if t != nil {
		a.dep, a.side = dep, side
		if s.rollout != nil {
			a.sides = s.rollout.sides
		}
		a.ctx, a.lease = t.begin(ctx)
	}
	return a
}

// replace makes the service what a command has made of it. Every request admitted from now on meets that, and those
// that are held look again if the gate is another.
func (s *service) replace(next standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next.gate.moved == nil {
		next.gate.moved = make(chan struct{})
		close(s.gate.moved)
	}
	s.standing = next
}

// now returns a copy of what the service is.
func (s *service) now() standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing
}

func (s *service) current() (*deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dep, s.broken
}

// withDeployment is the service after a deploy: mended if it was broken, and with its rollout, which follows the
// service's options.
func (s standing) withDeployment(d *deployment) standing {
	if s.broken != nil && s.gate.validate() != nil {
		s.gate = gate{}
	}
	s.dep, s.broken = d, nil
	s.generation++
	s.deployed = s.generation
	s.unknown.Options, s.unknown.TargetOptions = nil, nil // a deploy replaces options as a whole
	if s.rollout != nil {
		s.rollout = &rollout{s.rollout.dep.under(d), s.rollout.split, s.rollout.sides}
	}
	return s
}

func (s standing) withRollout(ro *rollout) standing {
	s.rollout = ro
	s.generation++
	s.rolledOut = s.generation
	return s
}

// pools returns the sets of targets of both sides of a rollout.
func (s standing) pools() []*pool {
	var pools []*pool
	if s.dep != nil && s.dep.pool != nil {
		pools = append(pools, s.dep.pool)
	}
	if s.rollout != nil {
		pools = append(pools, s.rollout.dep.pool)
	}
	return pools
}

// eachPool runs do for both sides of a rollout at once, and returns when each is done.
func eachPool(s standing, do func(*pool)) {
	var wg sync.WaitGroup
	for _, p := range s.pools() {
		wg.Go(func() { do(p) })
	}
	wg.Wait()
}

// under returns the same targets below the service options, the certificate and the error pages of another deployment.
func (d *deployment) under(of *deployment) *deployment {
	same := *d
	same.options, same.certificate, same.pages = of.options, of.certificate, of.pages
	return &same
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

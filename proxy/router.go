package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrServiceNotFound is what every command answers for a name that was never deployed.
var ErrServiceNotFound = errors.New("service not found")

// errCallerGone is why a deploy that nobody waits for any more is given up.
var errCallerGone = errors.New("the caller of this deploy went away before the switch; the old targets keep serving")

// Router holds the services and carries out the commands on them. It answers no request itself; a handler asks it
// for routes.
type Router struct {
	log   *slog.Logger
	state stateFile

	table atomic.Pointer[routeTable]

	mu       sync.Mutex // guards what follows, and orders changes with their writing to the state file
	services map[string]*service
	attempts map[string]*attempt
}

// attempt is a deploy that has not switched yet. A newer one of the same service cancels it.
type attempt struct {
	cancel context.CancelCauseFunc
}

// NewRouter returns a router without services that keeps its state in the file at statePath.
func NewRouter(statePath string, log *slog.Logger) *Router {
	r := &Router{log: log, state: stateFile{statePath}, services: map[string]*service{}, attempts: map[string]*attempt{}}
	r.table.Store(&routeTable{})
	return r
}

// Deploy proves the new targets healthy, writes the state, switches, drains the old targets and returns. An error
// means that the old targets keep serving. Of two deploys of one service the one asked for last wins; the other
// one, if it still waits, fails. The end of ctx gives the deploy up unless the switch has happened.
func (r *Router) Deploy(ctx context.Context, req DeployRequest) error {
	req.Options.Normalize()
	if err := req.Validate(); err != nil {
		return err
	}
	dep, err := newDeployment(req)
	if err != nil {
		return err
	}
	ctx, a, err := r.beginAttempt(ctx, req)
	if err != nil {
		return err
	}
	defer r.endAttempt(req.Service, a)
	log := r.log.With("service", req.Service, "targets", req.Targets)
	log.Info("Deploying", "hosts", req.Options.Hosts, "paths", req.Options.PathPrefixes, "tls", req.Options.TLSEnabled)
	if req.Force {
		dep.pool.markHealthy()
	} else if err := dep.pool.waitHealthy(ctx, req.DeployTimeout); err != nil {
		if gone := cancelled(ctx); gone != nil {
			err = gone
		}
		log.Error("Deploy failed", "error", err)
		return err
	}
	old, err := r.install(ctx, req.Service, dep, a)
	if err != nil {
		log.Error("Deploy failed", "error", err)
		return err
	}
	log.Info("Deployed")
	if old != nil && old.pool != nil {
		cut := old.pool.retire(req.DrainTimeout)
		log.Info("Drained", "old_targets", old.pool.names(), "cut", cut)
	}
	return nil
}

// Remove forgets a service, cancels a deploy of it that waits, and drains its targets.
func (r *Router) Remove(name string) error {
	r.mu.Lock()
	s, ok := r.services[name]
	if a := r.attempts[name]; a != nil {
		a.cancel(fmt.Errorf("service %s was removed while this deploy waited", name))
	}
	if !ok {
		r.mu.Unlock()
		return ErrServiceNotFound
	}
	if err := r.save(nil, name); err != nil {
		r.mu.Unlock()
		return err
	}
	delete(r.services, name)
	old := s.swap(nil)
	s.setGate(gateRunning, "", 0) // held requests find out at once
	r.publish()
	r.mu.Unlock()
	r.log.Info("Service removed", "service", name)
	if old != nil && old.pool != nil {
		old.pool.retire(old.drainTimeout)
	}
	return nil
}

// Pause holds new requests for up to maxPause each and drains those in flight.
func (r *Router) Pause(name string, drain, maxPause time.Duration) error {
	if drain < 0 || maxPause <= 0 {
		return fmt.Errorf("drain-timeout must not be negative and max-pause must be more than 0, not %s and %s", drain, maxPause)
	}
	return r.moveGate(name, gatePaused, "", maxPause, drain)
}

// Stop answers new requests with 503 and the message, and drains those in flight.
func (r *Router) Stop(name string, drain time.Duration, message string) error {
	if drain < 0 {
		return fmt.Errorf("drain-timeout must not be negative, not %s", drain)
	}
	return r.moveGate(name, gateStopped, message, 0, drain)
}

// Resume ends a pause or stop; held requests go on.
func (r *Router) Resume(name string) error {
	return r.moveGate(name, gateRunning, "", 0, 0)
}

// Restore reads the state file and serves what it says at once, without a health check. A service that cannot be
// restored is named in the log and answers 502; the others are served. The error is about the file as a whole.
func (r *Router) Restore() error {
	records, err := r.state.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		s, err := restoreService(rec)
		if err != nil {
			r.log.Error("Service cannot be restored and answers 502 until it is deployed again", "service", rec.Name, "error", err)
		} else {
			s.dep.pool.keepChecking(r.healthChanged(rec.Name))
			r.log.Info("Service restored", "service", rec.Name, "targets", rec.ActiveTargets)
		}
		r.services[rec.Name] = s
	}
	r.publish()
	return err
}

// cutAll ends every request in flight, upgraded connections among them.
func (r *Router) cutAll() {
	r.mu.Lock()
	services := slices.Collect(maps.Values(r.services))
	r.mu.Unlock()
	for _, s := range services {
		if dep, _ := s.current(); dep != nil && dep.pool != nil {
			dep.pool.retire(0)
		}
	}
}

// beginAttempt makes this deploy the newest of its service. The context it returns ends when it is no longer.
func (r *Router) beginAttempt(ctx context.Context, req DeployRequest) (context.Context, *attempt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkConflict(req.Service, req.Options); err != nil {
		return nil, nil, err
	}
	if older := r.attempts[req.Service]; older != nil {
		older.cancel(fmt.Errorf("a newer deploy of service %s to %v was asked for while this one waited; the old targets keep serving until that one switches", req.Service, req.Targets))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{cancel}
	r.attempts[req.Service] = a
	return ctx, a, nil
}

func (r *Router) endAttempt(name string, a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.cancel(nil)
	if r.attempts[name] == a {
		delete(r.attempts, name)
	}
}

// install writes the state and then switches. The file comes first: when it cannot be written nothing has changed,
// and an error always means that the old targets serve.
func (r *Router) install(ctx context.Context, name string, dep *deployment, a *attempt) (old *deployment, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cancelled(ctx); err != nil {
		return nil, err
	}
	if err := r.checkConflict(name, dep.options); err != nil {
		return nil, err
	}
	s := r.services[name]
	if s == nil {
		s = &service{name: name, gate: newGate()}
	}
	rec := recordOf(name, dep, s.gate)
	if err := r.save(&rec, ""); err != nil {
		return nil, err
	}
	dep.pool.keepChecking(r.healthChanged(name))
	old = s.swap(dep)
	r.services[name] = s
	r.publish()
	// From here a newer deploy has nothing to cancel: this one only drains.
	if r.attempts[name] == a {
		delete(r.attempts, name)
	}
	return old, nil
}

func (r *Router) checkConflict(name string, o ServiceOptions) error {
	owner, host, prefix, found := r.table.Load().conflict(name, o)
	if !found {
		return nil
	}
	if host == "" {
		host = "*"
	}
	return fmt.Errorf("host settings conflict with another service: host %s with path %s belongs to service %s", host, prefix, owner)
}

func (r *Router) moveGate(name string, state gateState, message string, failAfter, drain time.Duration) error {
	r.mu.Lock()
	s, ok := r.services[name]
	if !ok {
		r.mu.Unlock()
		return ErrServiceNotFound
	}
	dep, _ := s.current()
	rec := recordOf(name, dep, gate{State: state, StopMessage: message, FailAfter: failAfter})
	if err := r.save(&rec, ""); err != nil {
		r.mu.Unlock()
		return err
	}
	s.setGate(state, message, failAfter)
	r.mu.Unlock()
	r.log.Info("Service "+state.String(), "service", name)
	if state != gateRunning && dep.pool != nil { // a service that could not be restored has no pool
		dep.pool.drain(drain)
	}
	return nil
}

// save writes every service's record, one of them changed or left out. The router's lock is held.
func (r *Router) save(changed *serviceRecord, removed string) error {
	records := map[string]serviceRecord{}
	for name, s := range r.services {
		dep, _ := s.current()
		records[name] = recordOf(name, dep, s.gate)
	}
	if changed != nil {
		records[changed.Name] = *changed
	}
	delete(records, removed)
	sorted := make([]serviceRecord, 0, len(records))
	for _, name := range slices.Sorted(maps.Keys(records)) {
		sorted = append(sorted, records[name])
	}
	return r.state.write(sorted)
}

func (r *Router) publish() {
	table := buildRoutes(r.services)
	r.table.Store(&table)
}

func (r *Router) healthChanged(name string) func(t *target, err error) {
	return func(t *target, err error) {
		if err != nil {
			r.log.Warn("Target unhealthy", "service", name, "target", t.name, "error", err)
			return
		}
		r.log.Info("Target healthy", "service", name, "target", t.name)
	}
}

// certificate chooses by server name, as routing chooses by host.
func (r *Router) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := requestHost(hello.ServerName)
	table := *r.table.Load()
	candidates := table.forHost(host)
	if root := table.root(host); root != nil {
		candidates = append([]route{{"/", root}}, candidates...)
	}
	for _, c := range candidates {
		if dep, _ := c.service.current(); dep != nil && dep.certificate != nil {
			return dep.certificate, nil
		}
	}
	return nil, fmt.Errorf("no service has a certificate for %q", hello.ServerName)
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

func (r *Router) hasTLS() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.services {
		if dep, broken := s.current(); broken == nil && dep.certificate != nil {
			return true
		}
	}
	return false
}

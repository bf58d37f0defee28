package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrServiceNotFound is what every command answers for a name that was never deployed.
var ErrServiceNotFound = errors.New("service not found")

// Router holds the services and carries out the commands on them. It answers no request itself; a handler asks it
// for routes.
type Router struct {
	log   *slog.Logger
	state stateFile

	metrics *metrics // set before the first command; nil counts nothing

	table atomic.Pointer[routeTable]
	certs *certificates
	watch chan struct{} // closed to end watchCertificates

	mu       sync.Mutex // guards what follows, and orders changes with their writing to the state file
	services map[string]*service
	attempts map[attemptKey]*attempt
	fences   fences
}

// NewRouter returns a router without services that keeps its state in the file at statePath.
func NewRouter(statePath string, log *slog.Logger) *Router {
	r := &Router{
		log: log, state: stateFile{statePath}, fences: newFences(statePath),
		services: map[string]*service{}, attempts: map[attemptKey]*attempt{},
	}
	r.table.Store(&routeTable{})
	r.certs = newCertificates(log, statePath, func() routeTable { return *r.table.Load() })
	return r
}

// Deploy proves the new targets healthy, writes the state, switches, drains the old targets and returns. An error
// means that the old targets keep serving. Of two deploys of one service the one asked for last wins; the other
// one, if it still waits, fails. The end of ctx gives the deploy up unless the switch has happened. A rollout stays.
func (r *Router) Deploy(ctx context.Context, req DeployRequest) error {
	req.Options.Normalize()
	if err := req.Validate(); err != nil {
		return err
	}
	dep, err := newDeployment(req)
	if err == nil {
		err = dep.pagesErr
	}
	if err != nil {
		return err
	}
	if err := dep.checkCertificate(); err != nil {
		return err
	}
	r.warnCertificate(req.Service, dep)
	ctx, a, err := r.beginAttempt(ctx, attemptKey{req.Service, false}, dep, req.Fence)
	if err != nil {
		return err
	}
	defer r.endAttempt(a)
	return r.switchOver(ctx, a, req.Force, func() (*pool, error) { return r.install(ctx, a) }, req.DrainTimeout)
}

// Restore reads the state file and serves what it says at once, without a health check. A service that cannot be
// restored is named in the log and answers 502; the others are served. The error is about the file as a whole.
func (r *Router) Restore() error {
	records, err := r.state.read()
	r.state.sweep()
	r.mu.Lock()
	defer r.mu.Unlock()
	err = errors.Join(err, r.fences.read())
	for _, rec := range records {
		s, err := restoreService(rec)
		switch {
		case s.broken != nil:
			r.log.Error("Service cannot be restored and answers 502 until it is deployed again", "service", rec.Name, "error", err)
		case err != nil:
			r.log.Error("Service restored in part", "service", rec.Name, "error", err)
		default:
			r.log.Info("Service restored", "service", rec.Name, "targets", rec.ActiveTargets)
		}
		r.warnCertificate(rec.Name, s.dep)
		if err := s.dep.pagesErr; err != nil {
			r.log.Warn("Error pages cannot be read; the default ones are shown", "service", rec.Name, "error", err)
		}
		for _, p := range s.pools() {
			p.keepChecking(r.healthChanged(rec.Name))
		}
		if rec.Kamald != nil {
			r.fences.restore(rec.Name, rec.Kamald.Fence)
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
		for _, p := range s.now().pools() {
			p.retire(0)
		}
	}
}

// install writes the state and then switches. The file comes first: when it cannot be written nothing has changed,
// and an error always means that the old targets serve.
func (r *Router) install(ctx context.Context, a *attempt) (old *pool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.stillWanted(ctx, a); err != nil {
		return nil, err
	}
	name := a.key.service
	if err := r.checkConflict(name, a.dep.options); err != nil {
		return nil, err
	}
	s := r.services[name]
	if s == nil {
		s = &service{name: name}
		s.gate = newGate()
	}
	now := s.now()
	next := now.withDeployment(a.dep)
	if err := r.save(name, &next); err != nil {
		return nil, err
	}
	a.dep.pool.keepChecking(r.healthChanged(name))
	s.replace(next)
	r.services[name] = s
	r.publish()
	r.installed(a)
	if now.dep == nil {
		return nil, nil
	}
	if kept := now.dep.kept; kept != nil && len(kept.RolloutTargets) > 0 {
		r.log.Warn("The rollout of a service that could not be restored is forgotten", "service", name, "rollout_targets", kept.RolloutTargets)
	}
	return now.dep.pool, nil
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

// save writes every service's record; the named one as it is to be, or not at all if that is nil. No name is no change.
// The router's lock is held.
func (r *Router) save(name string, next *standing) error {
	records := map[string]serviceRecord{}
	for other, s := range r.services {
		records[other] = recordOf(other, s.now(), r.fences.of(other))
	}
	if next != nil {
		records[name] = recordOf(name, *next, r.fences.of(name))
	} else {
		delete(records, name)
	}
	sorted := make([]serviceRecord, 0, len(records))
	for _, name := range slices.Sorted(maps.Keys(records)) {
		sorted = append(sorted, records[name])
	}
	if err := r.fences.write(records); err != nil {
		return err
	}
	return r.state.write(sorted)
}

func (r *Router) publish() {
	table := buildRoutes(r.services)
	r.table.Store(&table)
	r.certs.sync(table)
}

func (r *Router) healthChanged(name string) func(healthReport) {
	return func(h healthReport) {
		if h.ejected {
			r.metrics.ejected(name)
			return
		}
		log := r.log.With("service", name, "target", h.target.name)
		if h.unlogged > 0 {
			log = log.With("changes_not_logged", h.unlogged)
		}
		if h.err != nil {
			log.Warn("Target unhealthy", "error", h.err)
			return
		}
		log.Info("Target healthy")
	}
}

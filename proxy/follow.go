package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"sync"
	"time"
)

// followInterval is how often a router that keeps the state no more looks what has become of it.
const followInterval = 250 * time.Millisecond

// follower makes a router do what another process writes into the state file, so that the requests that are still here
// are held, released and sent to targets as those there. It writes nothing.
type follower struct {
	router *Router

	mu   sync.Mutex
	file os.FileInfo              // as last read
	seen map[string]serviceRecord // as last followed
}

// newFollower takes the state file as it is for what the router does already.
func newFollower(r *Router) (*follower, error) {
	f := &follower{router: r, seen: map[string]serviceRecord{}}
	f.file, _ = os.Stat(r.state.path) // no file: no service was ever deployed
	records, err := r.state.read()
	for _, rec := range records {
		f.seen[rec.Name] = rec
	}
	return f, err
}

// run follows until ctx ends. Drains last as long as the records say.
func (f *follower) run(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			go f.follow(0) // a drain must not keep the next change waiting
		}
	}
}

// follow does now what the file says, and returns when the requests in flight on targets that went are done or cut
// after drain; 0 is what each record says.
func (f *follower) follow(drain time.Duration) {
	f.mu.Lock()
	drains := f.changed(drain)
	f.mu.Unlock()
	var wg sync.WaitGroup
	for _, one := range drains {
		wg.Go(one)
	}
	wg.Wait()
}

func (f *follower) changed(drain time.Duration) (drains []func()) {
	info, err := os.Stat(f.router.state.path)
	if err != nil || (f.file != nil && os.SameFile(info, f.file) && info.ModTime().Equal(f.file.ModTime())) {
		return nil
	}
	records, err := f.router.state.read()
	if err != nil {
		f.router.log.Error("The state is not followed", "error", err)
		return nil
	}
	f.file = info
	now := map[string]serviceRecord{}
	for _, rec := range records {
		now[rec.Name] = rec
		before, known := f.seen[rec.Name]
		if known && sameJSON(before, rec) {
			continue
		}
		drains = append(drains, f.router.followRecord(before, rec, drain)...)
	}
	for name := range f.seen {
		if _, there := now[name]; !there {
			drains = append(drains, f.router.followRemoval(name, drain)...)
		}
	}
	f.seen = now
	f.router.publishFollowed()
	return drains
}

// followRecord changes a service in place, for the requests that it holds wait at it. Targets that stay keep their
// requests. It returns the drains of those that go, and of all if the gate has closed.
func (r *Router) followRecord(was, rec serviceRecord, drain time.Duration) (drains []func()) {
	other, err := restoreService(rec)
	if err != nil {
		r.log.Error("A service's new state is not followed", "service", rec.Name, "error", err)
		return nil
	}
	if drain == 0 && rec.Kamald != nil {
		drain = rec.Kamald.DrainTimeout
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[rec.Name]
	if s == nil {
		r.services[rec.Name] = other
		return nil
	}
	before, next := s.now(), other.now()
	next.keepTargets(before, was, rec)
	next.gate.moved = nil
	if sameJSON(was.PauseController, rec.PauseController) {
		next.gate = before.gate
	} else if next.gate.State != gateRunning {
		for _, p := range next.pools() {
			drains = append(drains, func() { p.drain(drain) })
		}
	}
	kept := map[*pool]bool{}
	for _, p := range next.pools() {
		kept[p] = true
	}
	for _, p := range before.pools() {
		if !kept[p] {
			drains = append(drains, func() { p.retire(drain) })
		}
	}
	s.replace(next)
	return drains
}

// keepTargets takes over the targets of before, with their requests in flight, where the records have the same ones.
func (s *standing) keepTargets(before standing, was, rec serviceRecord) {
	if before.dep == nil || before.broken != nil {
		return
	}
	if sameJSON(activeSide(was), activeSide(rec)) {
		s.dep = before.dep
	}
	if s.rollout != nil && before.rollout != nil && sameJSON(rolloutSide(was), rolloutSide(rec)) {
		s.rollout = &rollout{before.rollout.dep.under(s.dep), s.rollout.split, before.rollout.sides}
	}
}

// activeSide is what of a record makes its deployment. The generation tells a deploy to the same names, behind which there
// may be other containers now.
func activeSide(rec serviceRecord) any {
	req := rec.deployRequest()
	side := []any{req.Targets, req.Readers, req.Options, req.TargetOptions, req.Balance}
	if rec.Kamald != nil {
		side = append(side, rec.Kamald.Deployed)
	}
	return side
}

func rolloutSide(rec serviceRecord) any {
	side := []any{rec.RolloutTargets, rec.RolloutReaders}
	if rec.Kamald != nil && rec.Kamald.Rollout != nil {
		side = append(side, rec.Kamald.Rollout.TargetOptions, rec.Kamald.Rollout.Deployed)
	}
	return side
}

func (r *Router) followRemoval(name string, drain time.Duration) (drains []func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.services[name]
	if s == nil {
		return nil
	}
	delete(r.services, name)
	before := s.now()
	if drain == 0 && before.dep != nil {
		drain = before.dep.drainTimeout
	}
	s.replace(standing{})
	for _, p := range before.pools() {
		drains = append(drains, func() { p.retire(drain) })
	}
	return drains
}

func (r *Router) publishFollowed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publish()
}

// releaseHeld answers the requests that a pause still holds: nobody will be here to release them. It is not written to
// the state.
func (r *Router) releaseHeld() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.services {
		if next := s.now(); next.gate.State == gatePaused {
			next.gate = gate{State: gateStopped, StopMessage: "The proxy is starting anew. Please try again."}
			s.replace(next)
		}
	}
}

// sameJSON compares as the state file does. What is compared always marshals.
func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

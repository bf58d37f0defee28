package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ways to choose among several healthy targets.
const (
	BalanceRoundRobin       = "round-robin"
	BalanceLeastConnections = "least-connections"
)

// pool is the set of targets of one deployment. Its targets never change; their health may.
type pool struct {
	targets []*target // writers, then readers
	writers ring
	readers ring
	changed func(healthReport) // set before the first request
	stop    context.CancelFunc // ends the checks that go on after the switch
	checks  sync.WaitGroup
	ejects  sync.Mutex // one ejection at a time, so that two do not take each other's last alternative
}

// ring is the targets among which a request may be given to any.
type ring struct {
	targets []*target
	least   bool // the one with the fewest requests in flight, else in turn
	next    atomic.Uint64
}

func newPool(writers, readers []string, options TargetOptions, balance string) (*pool, error) {
	p := &pool{stop: func() {}, changed: func(healthReport) {}}
	for i, name := range slices.Concat(writers, readers) {
		t, err := newTarget(name, options)
		if err != nil {
			return nil, err
		}
		t.pool, t.reader = p, i >= len(writers)
		p.targets = append(p.targets, t)
	}
	least := balance == BalanceLeastConnections
	p.writers.targets, p.writers.least = p.targets[:len(writers)], least
	p.readers.targets, p.readers.least = p.targets[len(writers):], least
	return p, nil
}

func (p *pool) hasReaders() bool { return len(p.readers.targets) > 0 }

// chooseHealthy returns a healthy target that was not tried: for a request that only reads a reader, if there is one,
// else a writer.
func (p *pool) chooseHealthy(read bool, tried []*target) *target {
	if read {
		if t := p.readers.pick(true, tried); t != nil {
			return t
		}
	}
	return p.writers.pick(true, tried)
}

// chooseAny returns a target that was not tried, whatever its health: asking one is never worse than an error.
func (p *pool) chooseAny(read bool, tried []*target) *target {
	t := p.writers.pick(false, tried)
	if t == nil && read {
		t = p.readers.pick(false, tried)
	}
	return t
}

// pick counts first and then chooses, so that the share of a target that is left out is spread over all the others.
func (g *ring) pick(healthy bool, tried []*target) *target {
	eligible := func(t *target) bool {
		return (!healthy || t.healthy.Load()) && !slices.Contains(tried, t)
	}
	n := 0
	for _, t := range g.targets {
		if eligible(t) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	turn := int(g.next.Add(1) % uint64(n))
	var best *target
	for i, seen := 0, 0; i < 2*len(g.targets) && seen < turn+n; i++ {
		t := g.targets[i%len(g.targets)]
		if !eligible(t) {
			continue
		}
		seen++
		switch {
		case seen <= turn: // where the look begins goes round, among equals too
		case !g.least:
			return t
		case best == nil || t.load() < best.load():
			best = t
		}
	}
	return best // nil if all became unhealthy while we counted
}

// waitHealthy probes every target until each has been healthy once. The error names the last result of each target
// that was not.
func (p *pool) waitHealthy(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	errs := make([]error, len(p.targets))
	var wg sync.WaitGroup
	for i, t := range p.targets {
		wg.Go(func() {
			if err := newProber(t).until(ctx); err != nil {
				errs[i] = fmt.Errorf("%s: %w", t.name, err)
				return
			}
			t.become(nil)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("target failed to become healthy within configured timeout (%s): %w", timeout, err)
	}
	return nil
}

func (p *pool) markHealthy() {
	for _, t := range p.targets {
		t.become(nil)
	}
}

// keepChecking goes on probing after the switch, a single target too: it is asked whatever its health, but list then
// says what is the matter. changed is called when a target's health changes, not for each change of one that flaps.
func (p *pool) keepChecking(changed func(healthReport)) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.changed = cancel, changed
	for _, t := range p.targets {
		p.checks.Go(func() { newProber(t).watch(ctx) })
	}
}

// eject takes a target out until a check finds it healthy, unless it is the last one that could answer in its place.
func (p *pool) eject(t *target, why error) {
	p.ejects.Lock()
	defer p.ejects.Unlock()
	if p.chooseHealthy(t.reader, []*target{t}) == nil || !t.healthy.Load() {
		return
	}
	t.found(fmt.Errorf("%d connections in a row failed: %w", ejectAfter, why))
	p.changed(healthReport{target: t, ejected: true})
}

// retire drains every target at once and closes what connections are left.
func (p *pool) retire(timeout time.Duration) (cut int) {
	p.stop()
	cut = p.drain(timeout)
	p.checks.Wait()
	for _, t := range p.targets {
		t.transport.CloseIdleConnections()
	}
	return cut
}

func (p *pool) drain(timeout time.Duration) int {
	var cut atomic.Int64
	var wg sync.WaitGroup
	for _, t := range p.targets {
		wg.Go(func() { cut.Add(int64(t.drain(timeout))) })
	}
	wg.Wait()
	return int(cut.Load())
}

func (p *pool) names() []string {
	names := make([]string, len(p.targets))
	for i, t := range p.targets {
		names[i] = t.name
	}
	return names
}

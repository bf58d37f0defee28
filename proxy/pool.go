package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pool is the set of targets of one deployment. Its targets never change; their health may.
type pool struct {
	targets []*target
	next    atomic.Uint64
	stop    context.CancelFunc // ends the checks that go on after the switch
	checks  sync.WaitGroup
}

func newPool(names []string, options TargetOptions) (*pool, error) {
	p := &pool{stop: func() {}}
	for _, name := range names {
		t, err := newTarget(name, options)
		if err != nil {
			return nil, err
		}
		p.targets = append(p.targets, t)
	}
	return p, nil
}

// choose returns the next healthy target that is not the excluded one, nil when there is none but that. With no
// healthy target at all any is as good as another: asking one is never worse than an error.
func (p *pool) choose(exclude *target) *target {
	n := len(p.targets)
	start := int(p.next.Add(1) % uint64(n))
	var fallback *target
	for i := range n {
		t := p.targets[(start+i)%n]
		if t == exclude {
			continue
		}
		if t.healthy.Load() {
			return t
		}
		if fallback == nil {
			fallback = t
		}
	}
	return fallback
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
			t.healthy.Store(true)
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
		t.healthy.Store(true)
	}
}

// keepChecking goes on probing after the switch. A single target is left alone: taking it out could only turn its
// answers into errors.
func (p *pool) keepChecking(changed func(t *target, err error)) {
	if len(p.targets) < 2 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	for _, t := range p.targets {
		p.checks.Go(func() { newProber(t).watch(ctx, changed) })
	}
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

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
)

// call is one remote call of a release; times count from the release's beginning.
type call struct {
	host, method string
	begin, end   time.Duration
}

// trial is one release that was measured.
type trial struct {
	took  time.Duration
	calls []call
}

// tracer notes the calls that go through it.
type tracer struct {
	began time.Time

	mu    sync.Mutex
	calls []call
}

// intercept notes a call.
func (t *tracer) intercept(ctx context.Context, c reconcile.Call, next func(context.Context) error) error {
	begin := time.Since(t.began)
	err := next(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, call{host: c.Host, method: c.Method, begin: begin, end: time.Since(t.began)})
	return err
}

// stage is a stretch of a release; the stages of one add up to what it took.
type stage struct {
	name string
	end  func(t trial) time.Duration // 0: the release has no such stage
}

var stages = []stage{
	{"connect", func(t trial) time.Duration { return t.begins("") }},
	{"look", func(t trial) time.Duration {
		if lock := t.begins("Files.Mkdir"); lock > 0 {
			return lock
		}
		return t.begins("Engine.Pull")
	}},
	{"lock, look again", func(t trial) time.Duration { return t.begins("Engine.Pull") }},
	{"image", func(t trial) time.Duration { return t.endsBefore("Engine.Tag", t.begins("Proxy.Deploy")) }},
	{"create", func(t trial) time.Duration { return t.ends("Engine.Create") }},
	{"start, prove", func(t trial) time.Duration { return t.begins("Proxy.Deploy") }},
	{"switch", func(t trial) time.Duration { return t.ends("Proxy.Deploy") }},
	{"stop", func(t trial) time.Duration { return t.ends("Engine.Stop") }},
	{"tag", func(t trial) time.Duration { return t.ends("Engine.Tag") }},
	{"record, look, unlock, end", func(t trial) time.Duration { return t.took }},
}

// split gives how long each stage took, in the order of stages.
func (t trial) split() []time.Duration {
	var parts []time.Duration
	var at time.Duration
	for _, s := range stages {
		end := max(at, s.end(t))
		parts = append(parts, end-at)
		at = end
	}
	return parts
}

// begins is when the first call of a method began; "" is any method.
func (t trial) begins(method string) time.Duration {
	var first time.Duration
	for _, c := range t.calls {
		if (method == "" || c.method == method) && (first == 0 || c.begin < first) {
			first = c.begin
		}
	}
	return first
}

// ends is when the last call of a method ended.
func (t trial) ends(method string) time.Duration { return t.endsBefore(method, t.took) }

// endsBefore is when the last call of a method ended, of those that ended before.
func (t trial) endsBefore(method string, before time.Duration) time.Duration {
	var last time.Duration
	for _, c := range t.calls {
		if c.method == method && c.end <= before {
			last = max(last, c.end)
		}
	}
	return last
}

// slowest is the longest call of a method.
func (t trial) slowest(method string) time.Duration {
	var longest time.Duration
	for _, c := range t.calls {
		if c.method == method {
			longest = max(longest, c.end-c.begin)
		}
	}
	return longest
}

// median is the middle value, or between the two middle ones.
func median[N ~int64 | ~float64](values []N) N {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

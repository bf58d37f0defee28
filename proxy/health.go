package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// ejectAfter is how many connections in a row must fail before requests alone take a target out of a pool.
	ejectAfter = 3
	// healthLogPause is the least time between two lines about one target's health; changes in between are counted.
	healthLogPause = 10 * time.Second
)

// ProbeResult is what one health check found. Error is empty for a healthy answer.
type ProbeResult struct {
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration"`
	Error    string        `json:"error,omitempty"`
}

// health is what is known of a target: by its checks, and by the requests sent to it.
type health struct {
	healthy  atomic.Bool
	failures atomic.Int32 // connections in a row that failed

	mu       sync.Mutex
	since    time.Time // of the last change
	cause    string    // why it is unhealthy
	last     *ProbeResult
	logged   time.Time // when a change was last logged
	unlogged int       // changes since then
}

// healthReport is a change of a target's health that is worth a log line. Unlogged is how many changes had none
// since the line before.
type healthReport struct {
	target   *target
	err      error // nil when healthy
	unlogged int
	ejected  bool // requests alone took it out of its pool: to be counted, the change has a report of its own
}

// probed notes what a check found. It does not change the health: whether one success is enough is the caller's.
func (h *health) probed(at time.Time, err error) {
	result := &ProbeResult{At: at, Duration: time.Since(at)}
	if err != nil {
		result.Error = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = result
}

// become sets the health, nil for healthy, and says whether that is a change.
func (h *health) become(err error) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok := err == nil
	if ok {
		h.failures.Store(0)
	}
	changed = h.healthy.Swap(ok) != ok
	if changed || h.since.IsZero() {
		h.since = time.Now()
	}
	h.cause = ""
	if !ok {
		h.cause = err.Error()
	}
	return changed
}

// mayLog says whether a line about the health may be written now, and how many changes had none. Called with
// changed false it gives the line that is due after a storm, so that the last line always says how it is.
func (h *health) mayLog(now time.Time, changed bool) (unlogged int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !changed && h.unlogged == 0 {
		return 0, false
	}
	if now.Sub(h.logged) < healthLogPause {
		if changed {
			h.unlogged++
		}
		return 0, false
	}
	unlogged, h.unlogged, h.logged = h.unlogged, 0, now
	if !changed {
		unlogged-- // one of them is told by this line
	}
	return unlogged, true
}

// info fills in what list and inspect say.
func (h *health) info(i *TargetInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i.Healthy, i.Since, i.Cause = h.healthy.Load(), h.since.UTC(), h.cause
	if h.last != nil {
		last := *h.last
		last.At = last.At.UTC()
		i.LastProbe = &last
	}
}

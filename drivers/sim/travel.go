package sim

import (
	"context"
	"slices"
	"time"
)

// travel lets pass what a call takes on its way. The time has a part that only the seed and the call decide, and no two calls
// of a world arrive at the same instant: under virtual time their order is then the same in every run, whichever goroutine
// the scheduler takes first. Each host has instants of its own (see slot); calls to one host that would meet go in the
// order of their hashes.
func (w *World) travel(ctx context.Context, h *host, c *Call) error {
	w.mu.Lock()
	if w.latency <= 0 && h.slow <= 0 {
		w.mu.Unlock()
		return ctx.Err()
	}
	purpose, _ := ctx.Value(purposeKey{}).(string)
	hash := h.ask(w.seed, c, purpose)
	spread := uint64(max(w.latency, 1))
	at := w.slot(h, time.Now().Add(w.latency+h.slow+time.Duration(hash%spread)))
	h.register(at, hash)
	w.mu.Unlock()
	for {
		if err := sleep(ctx, time.Until(time.Unix(0, at))); err != nil {
			return err
		}
		w.mu.Lock()
		rank := h.rank(at, hash)
		if rank > 0 {
			at += int64(rank) * w.stride
			h.register(at, hash)
		}
		w.mu.Unlock()
		if rank == 0 {
			return nil
		}
	}
}

// slot is the first instant from a time on that belongs to the host. No instant of a host is a whole number of strides: those
// are left to the timers of whoever uses the world.
func (w *World) slot(h *host, t time.Time) int64 {
	at := t.UnixNano()
	at += w.stride - at%w.stride
	return at + h.index
}

// strideFor is 10, 20, 50, 100 …: the first that is larger than a number of hosts.
func strideFor(hosts int) int64 {
	for stride := int64(10); ; stride *= 10 {
		for _, factor := range []int64{1, 2, 5} {
			if stride*factor > int64(hosts) {
				return stride * factor
			}
		}
	}
}

// meeting is the calls to one host that would arrive at one instant.
type meeting struct {
	first uint64
	more  []uint64
	left  int // who has not yet looked at its rank
}

func (h *host) register(at int64, hash uint64) {
	m, ok := h.meetings[at]
	if ok {
		m.more = append(m.more, hash)
	} else {
		m.first = hash
	}
	m.left++
	h.meetings[at] = m
}

// rank is how many calls of the instant go before the one with a hash.
func (h *host) rank(at int64, hash uint64) (rank int) {
	m := h.meetings[at]
	if m.first < hash {
		rank++
	}
	for _, other := range m.more {
		if other < hash {
			rank++
		}
	}
	if m.left--; m.left == 0 {
		delete(h.meetings, at)
	} else {
		h.meetings[at] = m
	}
	return rank
}

// ask hashes the seed, the call, and how often it was asked before.
func (h *host) ask(seed uint64, c *Call, purpose string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	key := uint64(offset)
	for _, text := range [...]string{c.Host, c.Method, c.Args, c.By, purpose} {
		for i := range len(text) {
			key = (key ^ uint64(text[i])) * prime
		}
		key *= prime // as a zero byte between them
	}
	h.asked[key]++
	return mix(mix(key^mix(seed)) + uint64(h.asked[key]))
}

// mix spreads every bit of a number over all of them (SplitMix64).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// waiter is a call that was carried out and is not over.
type waiter struct {
	n       int
	session *session
	engine  bool
	cancel  context.CancelCauseFunc
}

// drop ends the waiting of those that a condition fits.
func (h *host) drop(err error, fits func(*waiter) bool) {
	h.waiting = slices.DeleteFunc(h.waiting, func(waiting *waiter) bool {
		if !fits(waiting) {
			return false
		}
		waiting.cancel(err)
		return true
	})
}

// change is closed when the host's troubles are others than now.
func (h *host) change() <-chan struct{} {
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.changed
}

func (h *host) wake() {
	h.stir()
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

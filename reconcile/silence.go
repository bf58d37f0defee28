package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"
)

// silenceLasts is how long a host whose dial timed out is not dialled again, once a run has failed: what is left to do there
// comes in many steps, and each would wait as long for nothing.
const silenceLasts = 20 * time.Second

// silences are the dials of a fleet that timed out a moment ago. They are kept only while somebody wants that.
type silences struct {
	mu     sync.Mutex
	wanted int // how many want it
	hosts  map[string]silence
}

// silence is a dial that got no answer in time.
type silence struct {
	at  time.Time
	err error
}

// heed has time-outs remembered from now on, until the function that it gives is called.
func (s *silences) heed() (enough func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted++
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.wanted--; s.wanted == 0 {
			s.hosts = nil
		}
	})
}

// of gives what the last dial to a host failed with, when that timed out a moment ago; nil otherwise.
func (s *silences) of(host string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.hosts[host]
	if !ok || time.Since(last.at) >= silenceLasts {
		return nil
	}
	return last.err
}

// note remembers how a dial failed, when it timed out by its own limit. A refusal comes quickly and is worth another try; a
// caller whose own time was up says nothing about the host.
func (s *silences) note(ctx context.Context, host string, err error) {
	var slow interface{ Timeout() bool }
	if ctx.Err() != nil || !errors.As(err, &slow) || !slow.Timeout() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == 0 {
		return
	}
	if s.hosts == nil {
		s.hosts = map[string]silence{}
	}
	s.hosts[host] = silence{at: time.Now(), err: err}
}

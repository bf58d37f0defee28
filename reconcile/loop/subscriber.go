package loop

import (
	"context"
	"sync"
)

// backlog is how many notices a subscriber may be behind.
const backlog = 256

// subscribers are whoever watches.
type subscribers struct {
	mu     sync.Mutex
	all    map[chan Notice]bool
	closed bool
}

func (s *subscribers) add(ctx context.Context) <-chan Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan Notice, backlog)
	if s.closed {
		close(c)
		return c
	}
	if s.all == nil {
		s.all = map[chan Notice]bool{}
	}
	s.all[c] = true
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(c)
	})
	return c
}

// send never waits: who has not read what came before is dropped, and sees it by the closed channel.
func (s *subscribers) send(n Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		select {
		case c <- n:
		default:
			s.drop(c)
		}
	}
}

func (s *subscribers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.all {
		s.drop(c)
	}
}

// drop must be called with the lock.
func (s *subscribers) drop(c chan Notice) {
	if s.all[c] {
		delete(s.all, c)
		close(c)
	}
}

package etcd

import (
	"sync"
	"time"
)

// contact is whether the cluster answers.
type contact struct {
	mu       sync.Mutex
	since    time.Time // of the outage; zero: there is none
	err      error
	answered time.Time // when something was, last
	doubts   int       // how many requests in a row nobody has answered
}

func (c *contact) met() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since, c.err, c.answered, c.doubts = time.Time{}, nil, time.Now(), 0
}

// doubt notes that nobody has answered one request that was sent at a time. It went to one member, and may say nothing of the others: only
// so many in a row, while nothing else was answered, are an outage.
func (c *contact) doubt(sent time.Time, most int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered.After(sent) {
		return
	}
	if c.doubts++; c.doubts >= most {
		c.failedLocked(err)
	}
}

func (c *contact) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failedLocked(err)
}

func (c *contact) failedLocked(err error) {
	if c.since.IsZero() {
		c.since = time.Now()
	}
	c.err = err
}

func (c *contact) lost() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.err
}

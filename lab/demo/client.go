package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// clientEvery spaces the client's requests, one after another.
	clientEvery = 10 * time.Millisecond
	// clientLimit bounds them, should the story hang.
	clientLimit = 20_000
)

// tally is what came of the client's requests.
type tally struct {
	sent, failed int
	by           map[string]int // version → answers
	first        error          // the first failure
}

func (t tally) String() string {
	text := fmt.Sprintf("requests: %d  failed: %d", t.sent, t.failed)
	for _, version := range slices.Sorted(maps.Keys(t.by)) {
		text += fmt.Sprintf("  %s: %d", version, t.by[version])
	}
	if t.first != nil {
		text += "  first failure: " + strings.TrimSpace(t.first.Error())
	}
	return text
}

// client asks again and again until it is stopped.
type client struct {
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	moved *sync.Cond
	tally tally
}

// newClient starts to ask. The context of a request outlives stop: one that is under way is not a failed one.
func newClient(ctx context.Context, ask func(context.Context) (string, error)) *client {
	c := &client{ended: make(chan struct{}), tally: tally{by: map[string]int{}}}
	c.moved = sync.NewCond(&c.mu)
	c.ctx, c.cancel = context.WithCancel(ctx)
	go c.loop(ask)
	return c
}

func (c *client) loop(ask func(context.Context) (string, error)) {
	defer close(c.ended)
	defer c.moved.Broadcast()
	defer c.cancel()
	tick := time.NewTicker(clientEvery)
	defer tick.Stop()
	for range clientLimit {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		version, err := ask(context.WithoutCancel(c.ctx))
		c.note(version, err)
	}
}

func (c *client) note(version string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.sent++
	if err != nil {
		c.tally.failed++
		if c.tally.first == nil {
			c.tally.first = err
		}
	} else {
		c.tally.by[version]++
	}
	c.moved.Broadcast()
}

// atLeast waits until so many more requests have been answered or failed.
func (c *client) atLeast(more int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for goal := c.tally.sent + more; c.tally.sent < goal; c.moved.Wait() {
		if c.ctx.Err() != nil {
			return fmt.Errorf("the client stopped asking after %d requests", c.tally.sent)
		}
	}
	return nil
}

// stop ends the asking after the request that is under way.
func (c *client) stop() tally {
	c.cancel()
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tally
}

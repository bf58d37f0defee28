package reconcile

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Counter counts remote calls by host and method.
type Counter struct {
	mu    sync.Mutex
	calls map[string]map[string]int
}

// Intercept counts a call.
func (c *Counter) Intercept(ctx context.Context, call Call, next func(context.Context) error) error {
	c.mu.Lock()
	if c.calls == nil {
		c.calls = map[string]map[string]int{}
	}
	if c.calls[call.Host] == nil {
		c.calls[call.Host] = map[string]int{}
	}
	c.calls[call.Host][call.Method]++
	c.mu.Unlock()
	return next(ctx)
}

// Calls gives the counts so far: host → method → calls.
func (c *Counter) Calls() map[string]map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := map[string]map[string]int{}
	for host, methods := range c.calls {
		copied[host] = maps.Clone(methods)
	}
	return copied
}

// callLimits bound single calls; streams of images take as long as their bytes, a deploy and a stop what they were given.
var callLimits = map[string]time.Duration{
	"Engine.Pull":     0, // bounded by the driver: silence
	"Engine.Load":     0, // bounded by its bytes: flow
	"Bulk":            connectLimit,
	"Engine.Save":     0,
	"Engine.Download": 0,                // for as long as its bytes are read
	"Files.Unpack":    10 * time.Minute, // of an image's assets, over a slow line
	"Files.Share":     5 * time.Minute,  // thousands of files, each by itself
	"Engine.Manifest": 15 * time.Second, // of a registry that is out of reach the engine says so, or never
	"Engine.Login":    15 * time.Second,
	"Registry.Size":   15 * time.Second, // the same
	"Engine.Upload":   5 * time.Minute,  // of a program, over a slow line
	"Engine.Stop":     0,                // bounded by its grace, below
	"Engine.Events":   0,                // for as long as anybody listens
	"Proxy.Deploy":    0,                // bounded by the driver: deploy + drain + margin
	"Proxy.Pause":     0,                // bounded by the driver: drain + margin
	"Proxy.Stop":      0,                // the same
	"Proxy.Upgrade":   0,                // the same

	"Proxy.RolloutDeploy": 0, // bounded by the driver: deploy + drain + margin
	"Proxy.RolloutStop":   0, // bounded by the driver: drain + margin

	"Installer.Look":    0, // all of it is bounded by the driver, by what is done
	"Installer.Install": 0,
	"Installer.Start":   0,
	"Installer.Admit":   0,
	"Installer.Said":    0,

	"Engine.ReadLog":    0, // for as long as anybody reads; silence is noticed by whoever does
	"Engine.Converse":   0, // for as long as a person's command runs: the connection's keepalive notices a link that is dead
	"Engine.RunThrough": 0, // the same
	"Shell.Run":         0, // the same
}

// callLimit is how long any other call may take: long for a round trip, short for a person who waits.
const callLimit = 30 * time.Second

// Bound gives every remote call a deadline.
func Bound(ctx context.Context, call Call, next func(context.Context) error) error {
	limit, special := callLimits[call.Method]
	if !special {
		limit = callLimit
	}
	if limit == 0 {
		return next(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &DeadlineError{Call: call, After: limit})
	defer cancel()
	err := next(ctx)
	if err != nil && ctx.Err() != nil {
		if cause, ok := context.Cause(ctx).(*DeadlineError); ok {
			return cause
		}
	}
	return err
}

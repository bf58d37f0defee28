package reconcile

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Controller observes an app's servers and carries plans out. Its fields are set before the first call and not changed after.
type Controller struct {
	Store   state.Store
	Secrets Secrets
	Owner   Owner
	Report  func(Progress) // nil: nobody listens
	// Planned is told what will be carried out, just before its first step begins; nil: nobody asks.
	Planned  func(plan.Plan)
	LockWait bool // wait for another's lock instead of failing at once
	// LockWaitLimit is how long at most; 0: as long as it takes.
	LockWaitLimit time.Duration
	Now           func() time.Time

	// Hooks runs those of the release here; nil: none can be run, and a plan that has one fails.
	Hooks Hooks
	// AllSecrets gives every secret that is at hand, for hooks that get all, and why others are not; nil: there is none.
	AllSecrets func() (map[string]release.Secret, []error)
	Command    string // that a person gave, for hooks: "apply", "server bootstrap"
	Performer  string // who it is, for hooks; "": the owner

	// What images are carried with from this machine, where there is no registry.
	NewSpool func() Spool
	// Throttle waits until so many more bytes may be sent, to all hosts together; nil: at once.
	Throttle func(ctx context.Context, bytes int) error
	// StageBytes is from how many bytes on what has arrived of an image is kept on its host, should the rest not come; 0: 8 MiB.
	StageBytes int64

	fleet  *Fleet
	making singleflight.Group // of hosts' digest keys
}

// NewController makes a controller over a fleet.
func NewController(fleet *Fleet, store state.Store, secrets Secrets) *Controller {
	c := &Controller{fleet: fleet, Store: store, Secrets: secrets, Owner: ThisProcess(), Now: time.Now}
	say := c.sayDefect
	fleet.defects.Store(&say)
	return c
}

// Close ends every connection.
func (c *Controller) Close() error { return c.fleet.Close() }

// Progress is one line of what happens, for whoever watches.
type Progress struct {
	At      time.Time     `json:"at"`
	Kind    string        `json:"kind"` // planned, lock, news, begin, bytes, waiting, output, done, failed, skipped, undone, warn, said
	Host    string        `json:"host,omitempty"`
	Role    string        `json:"role,omitempty"`
	Step    string        `json:"step,omitempty"`
	Phase   string        `json:"phase,omitempty"` // of a plan's step
	Message string        `json:"message"`
	Took    time.Duration `json:"took,omitempty"`
	Bytes   int64         `json:"bytes,omitempty"` // of kind bytes: sent so far
	Total   int64         `json:"total,omitempty"` // of kind bytes: in all; 0 when not known
	Err     error         `json:"-"`               // what Message is the text of, where it is one: what is kept is its Brief
}

// Passing tells whether the line is for who looks on alone, and kept by nobody: how far a step is, and what it still waits for.
func (p Progress) Passing() bool { return p.Kind == "bytes" || p.Kind == "waiting" }

func (c *Controller) report(p Progress) {
	if c.Report == nil {
		return
	}
	p.At = c.now()
	c.Report(p)
}

func (c *Controller) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// hostsOf gives the release's hosts by name.
func hostsOf(desired release.Release) map[string]release.Host {
	hosts := map[string]release.Host{}
	for _, h := range desired.Hosts {
		hosts[h.Name] = h
	}
	return hosts
}

package loop

import (
	"context"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

const (
	// blindLook is how soon a daemon that reaches no server of an app looks again, until it has been so for blindness.
	blindLook = 5 * time.Second
	// sightPause is how often one that stays out of an app for that asks whether anybody else would lead it.
	sightPause = 15 * time.Second
	// sightStays is how long it stays out at least while others would lead: that a server answers is less than that it can be looked at.
	sightStays = time.Minute
)

// blinded lets another daemon lead when this one reaches no server: they may be up, and it is this machine that is cut off. One that has
// reached none since it leads does not wait for long: it may have taken the app from somebody who did. While nobody else stands it goes on,
// for an app is not better off without a leader. It gives when to look again.
func (k *keeper) blinded(seen state.Snapshot, now time.Time) (again time.Time) {
	if k.term == nil || len(seen.Hosts) == 0 {
		return time.Time{}
	}
	for _, host := range seen.Hosts {
		if host.Unreachable == "" {
			k.blind, k.sighted = time.Time{}, true
			return time.Time{}
		}
	}
	if k.blind.IsZero() {
		k.blind = now
	}
	long := now.Sub(k.blind) >= blindness
	if (long || !k.sighted) && k.l.o.Leadership.Others(k.app) {
		k.mu.Lock()
		k.yielded = true
		k.mu.Unlock()
		k.yield()
		k.l.doubts.raise()
		k.progress(reconcile.Progress{At: now, Kind: "warn", Message: "this daemon reaches no server of the app: others lead until one answers it"})
	}
	if long {
		return now.Add(blindness)
	}
	return now.Add(blindLook)
}

// isBlind tells whether the worker ended its term because it reached no server. The worker has ended.
func (k *keeper) isBlind() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.yielded && !k.blind.IsZero()
}

// sight waits until a server of an app answers, or nobody else would lead the app: others hand apps over to whoever stands, and cannot know
// that it could do nothing for them.
func (l *Loop) sight(soft context.Context, k *keeper) {
	proposal := k.newest(soft)
	if proposal == nil {
		return
	}
	stays := time.After(sightStays)
	controller, err := l.o.Open(proposal.Release)
	for err != nil { // then nothing could be done for the app here
		select {
		case <-soft.Done():
			return
		case <-time.After(sightPause):
		}
		if !l.o.Leadership.Others(k.app) {
			return
		}
		controller, err = l.o.Open(proposal.Release)
	}
	within, end := context.WithCancel(soft)
	defer end()
	up := make(chan struct{}, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		_ = k.surviving(func() error {
			controller.Watch(within, proposal.Release.Hosts, func(h reconcile.Happening) {
				if h.Up {
					select {
					case up <- struct{}{}:
					default:
					}
				}
			})
			return nil
		})
	})
	l.stayOut(within, k.app, up, stays)
	end()
	_ = controller.Close() // nothing was asked of it but whether it is there
	asking.Wait()
}

// stayOut returns when a server is up and the time has passed, or when nobody else would lead the app.
func (l *Loop) stayOut(within context.Context, app state.App, up <-chan struct{}, stays <-chan time.Time) {
	for up != nil || stays != nil {
		select {
		case <-within.Done():
			return
		case <-up:
			up = nil
		case <-stays:
			stays = nil
		case <-time.After(sightPause):
			if !l.o.Leadership.Others(app) {
				return
			}
		}
	}
}

// newest is what an app is to be, for as long as no worker reads it: as the source says, or else as it was known last; nil: it is not known.
func (k *keeper) newest(ctx context.Context) *Proposal {
	if proposal, err := k.set.Source.Read(ctx); err == nil && proposal.Release.App() == k.app {
		return &proposal
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.proposed
}

// doubts end the waiting to lead: what this daemon has found of one app may be so of all, and each is to be found out before it is led.
type doubts struct {
	mu     sync.Mutex
	raised chan struct{} // closed, and made anew, with each; nil: nobody waits
}

// within is a context that ends with the next doubt.
func (d *doubts) within(ctx context.Context) (context.Context, context.CancelFunc) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.raised == nil {
		d.raised = make(chan struct{})
	}
	raised := d.raised
	ctx, cancel := context.WithCancel(ctx)
	go func() { endWith(raised, ctx, cancel) }() // it cannot break
	return ctx, cancel
}

func (d *doubts) raise() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.raised != nil {
		close(d.raised)
		d.raised = nil
	}
}

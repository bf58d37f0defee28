package reconcile

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// proxyLockPatience is how long the lock of a host's proxy is waited for when the caller does not wait for locks otherwise: it is
// held for seconds, by a run of another app that has nothing to do with this one.
const proxyLockPatience = time.Minute

// proxyLayout is where the lock of a host's proxy lies: lock-proxy beside the apps' own locks, in their form. A service that is
// named "proxy" has the very same directory for its deploy lock.
func proxyLayout(desired release.Release) layout {
	return layout{run: desired.RunDirectory, app: state.App{Service: "proxy"}}
}

// lockProxy takes the locks of the proxies of some hosts: every app on a host shares its proxy, and two of them must not make it
// anew at once. Whoever takes it holds the app's own lock there already. The locks are renewed until they are given back with
// release; calls that change the proxy go through connection, or guard, of what is given. SSH users with run directories of their
// own do not see each other's, as with the deploy lock.
func (c *Controller) lockProxy(ctx context.Context, desired release.Release, hosts []release.Host, reason string) (*Locks, error) {
	l := &Locks{c: c.patient(), nonce: rand.Text()[:8], began: c.now(), desired: desired, hosts: hostsOf(desired), paths: proxyLayout(desired), held: map[string]*heldLock{}}
	for _, on := range hosts {
		l.hosts[on.Name] = on // also one that left the file
	}
	l.details = state.Lock{Owner: c.Owner.String(), Message: state.AutomaticLock, Version: desired.Version, Reason: desired.App().String() + ": " + reason, Lease: lease, Taken: c.now()}
	l.notes = c.journal(desired.App())
	if l.paths.lock() == layoutOf(desired).lock() {
		hosts = nil // the app's own lock is this one
	}
	for _, on := range hosts {
		l.deeds = append(l.deeds, deed{kind: "lock", host: on.Name, step: "proxy-lock", message: "hold the lock of the proxy: " + reason})
	}
	if err := l.notes.intend(l.deeds...); err != nil {
		return nil, err
	}
	l.renewing, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.run, l.lose = context.WithCancelCause(ctx)
	for _, on := range byAddress(hosts) { // each app in the same order: two that wait never wait for each other
		if err := l.take(ctx, on, true); err != nil {
			l.refused = err
			return nil, errors.Join(ofProxy(err), l.release(ctx))
		}
	}
	return l, nil
}

// patient is the controller that waits for the lock of a proxy.
func (c *Controller) patient() *Controller {
	limit := proxyLockPatience
	if c.LockWait {
		limit = c.LockWaitLimit
	}
	return &Controller{Store: c.Store, Secrets: c.Secrets, Owner: c.Owner, Report: c.Report, Now: c.Now, LockWait: true, LockWaitLimit: limit, fleet: c.fleet}
}

// byAddress is an order that two files agree on, whatever they call the hosts.
func byAddress(hosts []release.Host) []release.Host {
	return slices.SortedFunc(slices.Values(hosts), func(a, b release.Host) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Name, b.Name))
	})
}

// ofProxy says of an error about the lock which one it is: `kamald lock` has nothing to do with it.
func ofProxy(err error) error {
	held, ok := errors.AsType[*LockedError](err)
	if !ok {
		return err
	}
	next := fmt.Sprintf("it can be taken over %s after its owner is gone", held.Lock.Lease)
	if held.Lock.Lease == 0 {
		next = fmt.Sprintf("it does not expire by itself: when nobody works on the proxy, remove %s there", held.Path)
	}
	return &ProxyLockedError{LockedError: *held, Next: next}
}

// ProxyLockedError: another app's run works on the proxy of a host.
type ProxyLockedError struct {
	LockedError
	Next string
}

// Error implements error.
func (e *ProxyLockedError) Error() string {
	text := fmt.Sprintf("the lock of the proxy on %s is held by %s", e.Host, e.Lock.By())
	if e.Lock.Reason != "" {
		text += ", for " + e.Lock.Reason
	}
	if e.Waited > 0 {
		text += fmt.Sprintf("; waited %s for it", e.Waited.Round(time.Second))
	}
	return text + "; " + e.Next
}

// Unwrap makes it one of the errors about locks.
func (e *ProxyLockedError) Unwrap() error { return &e.LockedError }

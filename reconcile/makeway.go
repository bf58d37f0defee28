package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// cancelLook is the pause between two looks at a run that was asked to end.
const cancelLook = 500 * time.Millisecond

// errMoved: another release was recorded while a rollback was on its way to the lock, so that what it goes back from is another.
var errMoved = errors.New("another release came in between")

// otherRun is a run of kamald's own whose lock was found on hosts.
type otherRun struct {
	lock  state.Lock
	nonce string
	hosts []release.Host // those with its lock
	alive bool           // its lease lasts, and its process is not known to be gone
	asked bool           // to end
}

// releases tells whether the run may be asked to end: it makes a release, and is no rollback itself.
func (o otherRun) releases() bool {
	switch plan.Kind(o.lock.Reason) {
	case plan.KindRelease, plan.KindConfig, plan.KindHeal:
		return o.lock.Fence > 0 && o.nonce != ""
	}
	return false
}

// cancellable tells whether an error is about the lock of a run that may be asked to end, or of one that is just taking it.
func (c *Controller) cancellable(err error) bool {
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Lock.Lease == 0 {
		return false
	}
	return locked.Lock.Owner == "" || otherRun{lock: locked.Lock, nonce: "?"}.releases()
}

// makeWay asks a release that is under way to end, and waits until it has given its locks back; the next run takes over from
// one that is dead. It gives that release, for what it has left unfinished; nil when none was there. Another lock is the next
// one's to meet.
func (c *Controller) makeWay(ctx context.Context, current release.Release, back Back, gone *sync.Map) (*otherRun, error) {
	other, err := c.findRun(ctx, current, gone)
	if err != nil || other == nil || !other.alive {
		return other, err
	}
	if back.NoCancel || !other.releases() {
		if !c.LockWait {
			return nil, &LockedError{Host: other.hosts[0].Name, Lock: other.lock, Path: layoutOf(current).lock()}
		}
		c.report(Progress{Kind: "lock", Host: other.hosts[0].Name, Message: "waiting for " + orUnknown(other.lock.Owner)})
		return other, c.awaitEnd(ctx, current, other)
	}
	if err := c.canGoBack(ctx, current, back, gone); err != nil {
		return nil, err // nobody's release ends for a mistyped number
	}
	c.report(Progress{Kind: "lock", Host: other.hosts[0].Name, Message: fmt.Sprintf("release %d of %s is under way: it is asked to stop and to take back what it has begun", other.lock.Fence, orUnknown(other.lock.Owner))})
	return other, c.askToEnd(ctx, current, other)
}

// askToEnd leaves the request, waits for the end, and takes the request away again. All of it is one deed a host.
func (c *Controller) askToEnd(ctx context.Context, current release.Release, other *otherRun) error {
	notes, deeds := c.journal(current.App()), make([]deed, len(other.hosts))
	for i, on := range other.hosts {
		deeds[i] = deed{kind: "cancel", host: on.Name, step: "cancel", message: fmt.Sprintf("ask release %d of %s to end", other.lock.Fence, orUnknown(other.lock.Owner))}
	}
	if err := notes.intend(deeds...); err != nil {
		return err
	}
	asked := c.ask(ctx, current, other, deeds[0].message)
	err := allFailed(asked)
	if err == nil {
		other.asked = true
		err = c.awaitEnd(ctx, current, other)
	}
	c.withdraw(ctx, current, other)
	for i, d := range deeds {
		notes.end(d, asked[i])
	}
	return errors.Join(err, notes.write())
}

// ask leaves the request on every host with the run's lock; one is enough.
func (c *Controller) ask(ctx context.Context, current release.Release, other *otherRun, message string) []error {
	return c.onEach(ctx, other.hosts, func(on release.Host, conn *Connection) error {
		err := c.writeCancel(ctx, conn, layoutOf(current), other)
		if err == nil {
			c.auditOn(ctx, conn, current, "", "Asked "+strings.TrimPrefix(message, "ask "))
		}
		return err
	})
}

func allFailed(asked []error) error {
	if slices.Contains(asked, nil) {
		return nil
	}
	return fmt.Errorf("the release under way could not be asked to end: %w", errors.Join(asked...))
}

// withdraw takes the requests away again: the run has ended, or nobody waits for it any more. One that stays does no harm, for
// it names a lock that is gone.
func (c *Controller) withdraw(ctx context.Context, current release.Release, other *otherRun) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease/6)
	defer cancel()
	_ = c.onEach(ctx, other.hosts, func(on release.Host, conn *Connection) error {
		return removeCancel(ctx, conn, layoutOf(current), other.nonce)
	})
}

// awaitEnd waits until a run's locks are gone, or its owner is. At the time limit of one who waits for locks, whose it is is the
// error.
func (c *Controller) awaitEnd(ctx context.Context, current release.Release, other *otherRun) error {
	began := c.now()
	for {
		pause := cancelLook
		if c.LockWait && c.LockWaitLimit > 0 {
			waited := c.now().Sub(began)
			if waited >= c.LockWaitLimit {
				return &LockedError{Host: other.hosts[0].Name, Lock: other.lock, Path: layoutOf(current).lock(), Waited: waited}
			}
			pause = min(pause, c.LockWaitLimit-waited)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		now, _ := c.findLocks(ctx, current, other.hosts, nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if now == nil || now.nonce != other.nonce || !now.alive {
			return nil
		}
		other.lock = now.lock // its fence may have become another when it was sealed
	}
}

// findRun looks for a lock of kamald's own on every host that can be reached, and gives the first in the file's order. A lock
// without details is of somebody who is just taking it: that is waited for a moment.
func (c *Controller) findRun(ctx context.Context, current release.Release, gone *sync.Map) (*otherRun, error) {
	for range 10 {
		found, fresh := c.findLocks(ctx, current, current.Hosts, gone)
		if !fresh || ctx.Err() != nil {
			return found, ctx.Err()
		}
		if err := sleep(ctx, cancelLook); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// findLocks looks once, and notes hosts that cannot be reached.
func (c *Controller) findLocks(ctx context.Context, current release.Release, hosts []release.Host, gone *sync.Map) (first *otherRun, fresh bool) {
	runs := make([]*otherRun, len(hosts))
	var asking branches
	for i, on := range hosts {
		asking.Go(func() {
			conn, err := c.fleet.Connection(ctx, on)
			switch {
			case err == nil:
				runs[i] = c.runOn(ctx, layoutOf(current), on, conn)
			case gone != nil:
				gone.Store(on.Name, err)
			}
		})
	}
	asking.Wait()
	for _, run := range runs {
		switch {
		case run == nil:
		case run.nonce == "" && run.alive:
			fresh = true
		case run.nonce == "":
		case first == nil:
			first = run
		case run.nonce == first.nonce:
			first.hosts, first.alive = append(first.hosts, run.hosts...), first.alive || run.alive
		}
	}
	return first, fresh && first == nil
}

// runOn reads the lock of one host; nil when there is none of kamald's own. What cannot be read is left to whoever takes it.
func (c *Controller) runOn(ctx context.Context, paths layout, on release.Host, conn *Connection) *otherRun {
	found, _, err := findLock(ctx, conn.Files, paths)
	if err != nil || found == nil || found.Lease == 0 {
		return nil
	}
	left, err := c.leaseLeft(ctx, conn, *found)
	alive := err == nil && left > 0 && !c.ownerIsDead(found.Owner)
	return &otherRun{lock: *found, nonce: found.Nonce, hosts: []release.Host{on}, alive: alive}
}

// onEach does something on every host at once; the errors are in the hosts' order.
func (c *Controller) onEach(ctx context.Context, hosts []release.Host, do func(release.Host, *Connection) error) []error {
	errs := make([]error, len(hosts))
	var all branches
	for i, on := range hosts {
		all.Go(func() {
			conn, err := c.fleet.Connection(ctx, on)
			if err == nil {
				err = do(on, conn)
			}
			if err != nil {
				errs[i] = named(on.Name, "the request to end", err)
			}
		})
	}
	all.Wait()
	return errs
}

func orUnknown(who string) string { return cmp.Or(who, "somebody unknown") }

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// HostLock is the deploy lock of one host, as it was found.
type HostLock struct {
	Host        string        `json:"host"`
	Lock        *state.Lock   `json:"lock,omitempty"` // nil: none
	Holder      state.Holder  `json:"holder,omitempty"`
	Remaining   time.Duration `json:"remaining,omitempty"` // of the lease, by that host's own clock; none or negative: it has passed
	Gone        bool          `json:"gone,omitempty"`      // its owner is dead: the next run takes it over
	Unreachable string        `json:"unreachable,omitempty"`
}

// LockStatus reads the deploy lock of every host of the release, and of those that it still has to leave and that can be reached,
// all at once: a run takes it there, too.
func (c *Controller) LockStatus(ctx context.Context, desired release.Release) []HostLock {
	list := c.lockStatus(ctx, c.withLeaving(desired))
	return slices.DeleteFunc(list, func(h HostLock) bool {
		_, inFile := desired.Host(h.Host)
		return !inFile && h.Unreachable != ""
	})
}

// withLeaving is the release with the hosts that left it and still hold something, as far as the last look knows.
func (c *Controller) withLeaving(desired release.Release) release.Release {
	known, _, _ := c.Store.Snapshot(desired.App()) // without it only the file's hosts are known
	return wide(desired, known)
}

func (c *Controller) lockStatus(ctx context.Context, desired release.Release) []HostLock {
	list := make([]HostLock, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		list[i] = HostLock{Host: on.Name}
		conn, err := c.fleet.Connection(ctx, on)
		if err == nil {
			err = c.readHostLock(ctx, conn, layoutOf(desired), &list[i])
		}
		if err != nil {
			list[i].Unreachable = why(err, on.Name)
		}
	})
	return list
}

func (c *Controller) readHostLock(ctx context.Context, conn *Connection, paths layout, found *HostLock) error {
	lock, _, err := findLock(ctx, conn.Files, paths)
	if err != nil || lock == nil {
		return err
	}
	found.Lock, found.Holder = lock, lock.Holder()
	if lock.Lease == 0 {
		return nil
	}
	if found.Remaining, err = c.leaseLeft(ctx, conn, *lock); err != nil {
		return err
	}
	found.Gone = found.Remaining <= 0 || c.ownerIsDead(lock.Owner)
	return nil
}

// Unlocked is what a release of the lock took away, and what it could not see.
type Unlocked struct {
	Released    map[string]state.Lock // by host
	Unreachable []plan.Skipped        // whether a lock lies there is not known
}

// Unlock takes away the deploy lock on every host of the release that can be reached, whoever holds it, and gives whose they
// were. It is for a person who knows that nobody is deploying. The error is for locks that stay.
func (c *Controller) Unlock(ctx context.Context, desired release.Release) (Unlocked, error) {
	found := c.LockStatus(ctx, desired)
	all := c.withLeaving(desired)
	desired.Hosts = nil
	for _, h := range found {
		on, _ := all.Host(h.Host)
		desired.Hosts = append(desired.Hosts, on)
	}
	taken := Unlocked{Released: map[string]state.Lock{}}
	deeds := make([]deed, len(found))
	for i, h := range found {
		if h.Unreachable != "" {
			taken.Unreachable = append(taken.Unreachable, plan.Skipped{Host: h.Host, Reason: h.Unreachable})
		}
		if h.Lock != nil {
			deeds[i] = deed{kind: "unlock", host: h.Host, step: "unlock", message: "release the deploy lock of " + h.Lock.By()}
		}
	}
	begun := slices.DeleteFunc(slices.Clone(deeds), func(d deed) bool { return d.host == "" })
	if len(begun) == 0 {
		return taken, nil
	}
	notes := c.journal(desired.App())
	if err := notes.intend(begun...); err != nil {
		return taken, err
	}
	errs := make([]error, len(found))
	c.everyHost(desired, func(i int, on release.Host) {
		if deeds[i].host == "" {
			return
		}
		err := c.unlockOn(ctx, on, desired, deeds[i].message)
		notes.end(deeds[i], err)
		if err != nil {
			errs[i] = named(on.Name, fmt.Sprintf("the deploy lock %s stays", layoutOf(desired).lock()), err)
		}
	})
	for i, h := range found {
		if h.Lock != nil && errs[i] == nil {
			taken.Released[h.Host] = *h.Lock
		}
	}
	return taken, errors.Join(append(errs, notes.write())...)
}

func (c *Controller) unlockOn(ctx context.Context, on release.Host, desired release.Release, message string) error {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return err
	}
	if err := conn.Files.Remove(ctx, layoutOf(desired).lock()); err != nil {
		return err
	}
	c.auditOn(ctx, conn, desired, "", strings.ToUpper(message[:1])+message[1:])
	return nil
}

// everyHost calls do for every host of the release at once.
func (c *Controller) everyHost(desired release.Release, do func(i int, on release.Host)) {
	var all branches
	for i, on := range slices.Clone(desired.Hosts) {
		all.Go(func() { do(i, on) })
	}
	all.Wait()
}

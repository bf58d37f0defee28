package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"syscall"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// claim makes the lock's directory on a host, alone. It moves a dead kamald's lock out of the way, waits for another's as long
// as the run waits, or says who holds it. A lock of Kamal's, and one that a person took, never expires by itself. Once asked for
// it is waited for, also by a run that is interrupted: one that nobody knows to be his could not be given back.
func (c *Controller) claim(ctx context.Context, desired release.Release, paths layout, host release.Host, conn *Connection, began time.Time, patient bool) error {
	wait := c.newWaiting(began)
	wait.not = !patient
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := conn.Files.Mkdir(context.WithoutCancel(ctx), paths.lock())
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return perhapsTaken(host.Name, paths, named(host.Name, "take the deploy lock", err))
		}
		if err := c.takeOver(ctx, desired, paths, host, conn, wait); err != nil {
			return err
		}
	}
}

// perhapsTaken says what a lost reply may have left: a lock that nobody knows to be his.
func perhapsTaken(host string, paths layout, err error) error {
	if !errors.Is(err, state.ErrUnreachable) {
		return err
	}
	return errors.Join(err, fmt.Errorf("%s: the deploy lock %s may be there all the same; it expires by itself %s from now", host, paths.lock(), lease))
}

func (c *Controller) takeOver(ctx context.Context, desired release.Release, paths layout, host release.Host, conn *Connection, wait *waiting) error {
	found, raw, err := findLock(ctx, conn.Files, paths)
	if err != nil || found == nil {
		if err != nil {
			return named(host.Name, "read the deploy lock", err)
		}
		return nil // it was given back meanwhile: try again
	}
	held := &LockedError{Host: host.Name, Lock: *found, Path: paths.lock()}
	if found.Lease == 0 {
		return wait.turn(ctx, held, 0)
	}
	left, err := c.leaseLeft(ctx, conn, *found)
	if err != nil {
		return err
	}
	if left > 0 && !c.ownerIsDead(found.Owner) {
		return wait.turn(ctx, held, left)
	}
	taking := deed{kind: "take-over", host: host.Name, step: "take-over", message: "take over the deploy lock of " + found.By()}
	return c.noted(desired.App(), taking, func() error { return c.moveAside(ctx, desired, paths, host, conn, *found, raw) })
}

// findLock reads a lock with its time. A directory whose text is not there is a lock too: somebody is between the two, or died
// there. nil: there is none, or it is gone meanwhile. Where nobody has locked, it is one call.
func findLock(ctx context.Context, f Files, paths layout) (*state.Lock, []byte, error) {
	if _, err := f.Modified(ctx, paths.lock()); err != nil {
		return nil, nil, unless(err, fs.ErrNotExist)
	}
	var raw []byte
	var renewed time.Time
	bare, gone := false, false
	group, grouped := crewWithin(ctx)
	group.Go(func() (err error) {
		raw, err = f.Read(grouped, paths.lockDetails())
		bare = errors.Is(err, fs.ErrNotExist)
		return unless(err, fs.ErrNotExist)
	})
	group.Go(func() (err error) {
		renewed, err = f.Modified(grouped, paths.lockDetails())
		gone = errors.Is(err, fs.ErrNotExist)
		return unless(err, fs.ErrNotExist)
	})
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	if bare {
		made, err := f.Modified(ctx, paths.lock()) // it may have gone between the two
		if err != nil {
			return nil, nil, unless(err, fs.ErrNotExist)
		}
		return &state.Lock{Message: "it has no details", Lease: lease, Taken: made, Renewed: made}, nil, nil
	}
	found := parseLock(raw)
	if found.Lease > 0 {
		found.Renewed = renewed
		if gone {
			return nil, nil, nil
		}
	}
	return &found, raw, nil
}

// moveAside takes a stale lock out of the way. What was moved must be what was seen: another may have taken it over between.
func (c *Controller) moveAside(ctx context.Context, desired release.Release, paths layout, host release.Host, conn *Connection, found state.Lock, raw []byte) error {
	aside := fmt.Sprintf("%s.stale-%d-%d", paths.lock(), c.Owner.PID, c.now().UnixNano())
	if err := conn.Files.Rename(ctx, paths.lock(), aside); err != nil {
		return unless(err, fs.ErrNotExist) // another was quicker: try again from the start
	}
	moved, err := conn.Files.Read(ctx, path.Join(aside, "details"))
	if unless(err, fs.ErrNotExist) != nil || !bytes.Equal(moved, raw) {
		back := conn.Files.Rename(ctx, aside, paths.lock()) // not the stale one: put it back
		if c.LockWait && back == nil {
			return nil // and look whose it is now
		}
		held := &LockedError{Host: host.Name, Lock: found, Path: paths.lock()}
		return errors.Join(held, unless(err, fs.ErrNotExist), back)
	}
	c.noteTakeOver(ctx, desired, host, conn, found)
	return conn.Files.Remove(ctx, aside)
}

// noteTakeOver says that a dead owner's lock was taken away, in the progress and in the host's audit file.
func (c *Controller) noteTakeOver(ctx context.Context, desired release.Release, host release.Host, conn *Connection, found state.Lock) {
	message := "took over the deploy lock of " + found.By() + ", which is gone"
	c.report(Progress{Kind: "lock", Host: host.Name, Message: message})
	c.auditOn(ctx, conn, desired, "", "T"+message[1:])
}

// leaseLeft compares the file's time with that host's own clock.
func (c *Controller) leaseLeft(ctx context.Context, conn *Connection, found state.Lock) (time.Duration, error) {
	info, err := conn.Engine.Info(ctx)
	if err != nil {
		return 0, err
	}
	return found.Lease - info.Clock.Sub(found.Renewed), nil
}

// leftLocks are the hosts whose lock is of a dead process of this machine.
func (c *Controller) leftLocks(seen state.Snapshot) map[string]bool {
	left := map[string]bool{}
	for _, host := range seen.Hosts {
		if lock := host.Lock; lock != nil && lock.Lease > 0 && c.ownerIsDead(lock.Owner) {
			left[host.Name] = true
		}
	}
	return left
}

// ownerIsDead tells whether the owner was a process of this machine that is gone.
func (c *Controller) ownerIsDead(owner string) bool {
	machine, pid, ok := cutLast(owner, " pid ")
	_, machine, _ = cutLast(machine, "@")
	n, err := strconv.Atoi(pid)
	if !ok || err != nil || machine != c.Owner.Machine || n == c.Owner.PID {
		return false
	}
	return !processAlive(n)
}

// processAlive asks the kernel of this machine. Only "no such process" is dead: another user's process may not be asked.
func processAlive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

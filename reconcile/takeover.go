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

// takeOver moves a dead kamald's lock out of the way, or waits until its lease has passed, or says who holds it. A lock of
// Kamal's, and one that a person took, never expires by itself.
func (c *Controller) takeOver(ctx context.Context, paths layout, host release.Host, conn *Connection) error {
	found, raw, err := findLock(ctx, conn.Files, paths)
	if err != nil || found == nil {
		if err != nil {
			return named(host.Name, "read the deploy lock", err)
		}
		return nil // it was given back meanwhile: try again
	}
	held := &LockedError{Host: host.Name, Lock: *found, Path: paths.lock()}
	if found.Lease == 0 {
		return held
	}
	left, err := c.leaseLeft(ctx, conn, *found)
	if err != nil {
		return err
	}
	if left > 0 && !c.ownerIsDead(found.Owner) {
		if !c.LockWait {
			return held
		}
		c.report(Progress{Kind: "lock", Host: host.Name, Message: fmt.Sprintf("waiting for %s, whose lease lasts %s more unless it is renewed", orUnknown(found.Owner), left.Round(time.Second))})
		return sleep(ctx, min(left, time.Second))
	}
	taking := deed{kind: "take-over", host: host.Name, step: "take-over", message: "take over the deploy lock of " + orUnknown(found.Owner)}
	return c.noted(paths.app, taking, func() error { return c.moveAside(ctx, paths, host, conn, *found, raw) })
}

// findLock reads a lock with its time. A directory whose text is not there is a lock too: somebody is between the two, or died
// there. nil: it is gone meanwhile.
func findLock(ctx context.Context, f Files, paths layout) (*state.Lock, []byte, error) {
	raw, err := f.Read(ctx, paths.lockDetails())
	found, dated := state.Lock{Message: "it has no details", Lease: lease}, paths.lock()
	switch {
	case err == nil:
		found, dated = parseLock(raw), paths.lockDetails()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	if found.Lease > 0 {
		if found.Renewed, err = f.Modified(ctx, dated); err != nil {
			return nil, nil, unless(err, fs.ErrNotExist)
		}
	}
	return &found, raw, nil
}

// moveAside takes a stale lock out of the way. What was moved must be what was seen: another may have taken it over between.
func (c *Controller) moveAside(ctx context.Context, paths layout, host release.Host, conn *Connection, found state.Lock, raw []byte) error {
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
	c.report(Progress{Kind: "lock", Host: host.Name, Message: "took over the lock of " + orUnknown(found.Owner) + ", which is gone"})
	return conn.Files.Remove(ctx, aside)
}

// leaseLeft compares the file's time with that host's own clock.
func (c *Controller) leaseLeft(ctx context.Context, conn *Connection, found state.Lock) (time.Duration, error) {
	info, err := conn.Engine.Info(ctx)
	if err != nil {
		return 0, err
	}
	return found.Lease - info.Clock.Sub(found.Renewed), nil
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

package reconcile

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// automatic is the message of a lock that a deploy took by itself; Kamal waits for those and not for others.
	automatic = "Automatic deploy lock"
	// lease is how long a lock lasts without being renewed.
	lease = 30 * time.Second
)

// readLock reads the deploy lock of a host as Kamal and we write it; nil when there is none.
func readLock(ctx context.Context, f Files, paths layout) (*state.Lock, error) {
	data, err := f.Read(ctx, paths.lockDetails())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lock := parseLock(data)
	if lock.Lease > 0 {
		if lock.Renewed, err = f.Modified(ctx, paths.lockDetails()); err != nil {
			return nil, unless(err, fs.ErrNotExist)
		}
	}
	return &lock, nil
}

// parseLock reads the base64 text; what is not of the form is a lock all the same, by somebody unknown.
func parseLock(data []byte) state.Lock {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	if err != nil {
		return state.Lock{Message: "its details cannot be read"}
	}
	var lock state.Lock
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Locked by":
			who, at, _ := cutLast(value, " at ")
			lock.Owner = who
			lock.Taken, _ = time.Parse(time.RFC3339, at)
		case "Version":
			lock.Version = value
		case "Message":
			lock.Message = value
		case "Owner":
			lock.Owner = value
		case "Reason":
			lock.Reason = value
		case "Fence":
			lock.Fence, _ = strconv.Atoi(value)
		case "Lease":
			lock.Lease, _ = time.ParseDuration(value)
		}
	}
	return lock
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func encodeLock(l state.Lock, who string) []byte {
	text := fmt.Sprintf("Locked by: %s at %s\nVersion: %s\nMessage: %s\nOwner: %s\nReason: %s\nFence: %d\nLease: %s\n",
		who, l.Taken.UTC().Format(time.RFC3339), l.Version, l.Message, l.Owner, l.Reason, l.Fence, l.Lease)
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}

// Locks are the deploy locks that a run holds, on the primary host first and then on every host it touches.
type Locks struct {
	Fence int

	mu    sync.Mutex // while they are being taken
	held  []heldLock
	paths layout
	reach func(ctx context.Context, host string) (*Connection, error)
	stop  func()
	done  sync.WaitGroup
}

type heldLock struct {
	host string
	conn *Connection
	data []byte
}

// ErrLeaseLost: the lock could not be renewed in time, so another may hold it.
var ErrLeaseLost = errors.New("the lease of the deploy lock has passed")

// lock takes the locks, writes the fence, and keeps renewing. The context it gives ends when the lease is lost: no call may
// begin then.
func (c *Controller) lock(ctx context.Context, desired release.Release, hosts []release.Host, observed state.Snapshot, reason string) (*Locks, context.Context, error) {
	byName := hostsOf(desired)
	locks := &Locks{paths: layoutOf(desired)}
	locks.reach = func(ctx context.Context, host string) (*Connection, error) {
		return c.fleet.Connection(ctx, byName[host])
	}
	for _, host := range observed.Hosts {
		locks.Fence = max(locks.Fence, host.Fence)
		if host.Record != nil {
			locks.Fence = max(locks.Fence, host.Record.Number, host.Record.Fence)
		}
	}
	locks.Fence++
	take := func(ctx context.Context, host release.Host) error {
		conn, err := c.fleet.Connection(ctx, host)
		if err != nil {
			return err
		}
		return c.lockHost(ctx, locks, desired, host, conn, reason)
	}
	if err := takeAll(ctx, lockOrder(desired, hosts), desired.PrimaryHost(), take); err != nil {
		return nil, nil, errors.Join(err, locks.release(context.WithoutCancel(ctx)))
	}
	// A run that is cancelled still compensates under its locks, so they are renewed until they are given back.
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	held, lose := context.WithCancelCause(ctx)
	locks.stop = func() { stop(); lose(nil) }
	locks.done.Go(func() { locks.renew(renewing, lose) })
	return locks, held, nil
}

// takeAll takes the first host's lock and then the others'. Whoever has the primary host's is alone, so the others come at
// once; without it they come one after another in the file's order, or two runs could wait for each other.
func takeAll(ctx context.Context, order []release.Host, primary string, take func(context.Context, release.Host) error) error {
	if len(order) == 0 {
		return nil
	}
	if err := take(ctx, order[0]); err != nil {
		return err
	}
	var group errgroup.Group
	if order[0].Name != primary {
		group.SetLimit(1)
	}
	for _, host := range order[1:] {
		group.Go(func() error { return take(ctx, host) })
	}
	return group.Wait()
}

// lockOrder puts the primary host first: whoever excludes another meets it there.
func lockOrder(desired release.Release, hosts []release.Host) []release.Host {
	order := slices.Clone(hosts)
	primary := desired.PrimaryHost()
	slices.SortStableFunc(order, func(a, b release.Host) int {
		return rankIf(b.Name == primary) - rankIf(a.Name == primary)
	})
	return order
}

func rankIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (c *Controller) lockHost(ctx context.Context, locks *Locks, desired release.Release, host release.Host, conn *Connection, reason string) error {
	details := state.Lock{Owner: c.Owner.String(), Message: automatic, Version: desired.Version, Reason: reason, Fence: locks.Fence, Lease: lease, Taken: c.now()}
	data := encodeLock(details, c.Owner.Who)
	for {
		err := conn.Files.Mkdir(ctx, locks.paths.lock())
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: the deploy lock cannot be taken: %w", host.Name, err)
		}
		if err := c.takeOver(ctx, locks, host, conn); err != nil {
			return err
		}
	}
	locks.hold(heldLock{host: host.Name, conn: conn, data: data})
	var group errgroup.Group
	group.Go(func() error {
		if err := conn.Files.Write(ctx, locks.paths.lockDetails(), data, 0o600); err != nil {
			return fmt.Errorf("%s: the deploy lock's details cannot be written: %w", host.Name, err)
		}
		return nil
	})
	group.Go(func() error {
		if err := conn.Files.Write(ctx, locks.paths.fence(), []byte(strconv.Itoa(locks.Fence)+"\n"), 0o600); err != nil {
			return fmt.Errorf("%s: the fence cannot be written: %w", host.Name, err)
		}
		return nil
	})
	return group.Wait()
}

// hold notes a lock that is ours from now on.
func (l *Locks) hold(h heldLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, h)
}

// takeOver moves a dead kamald's lock out of the way, or waits until its lease has passed, or says who holds it. A lock of
// Kamal's, and one that a person took, never expires by itself.
func (c *Controller) takeOver(ctx context.Context, locks *Locks, host release.Host, conn *Connection) error {
	found, err := readLock(ctx, conn.Files, locks.paths)
	if err != nil {
		return fmt.Errorf("%s: the deploy lock cannot be read: %w", host.Name, err)
	}
	if found == nil {
		// The directory is there and its text is not: somebody is between the two, or died there.
		found = &state.Lock{Message: "it has no details", Lease: lease}
		if found.Renewed, err = conn.Files.Modified(ctx, locks.paths.lock()); err != nil {
			return unless(err, fs.ErrNotExist)
		}
	}
	held := &LockedError{Host: host.Name, Lock: *found, Path: locks.paths.lock()}
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
		c.report(Progress{Kind: "lock", Host: host.Name, Message: fmt.Sprintf("waiting for %s, whose lease lasts %s more unless it is renewed", found.Owner, left.Round(time.Second))})
		return sleep(ctx, min(left, time.Second))
	}
	aside := fmt.Sprintf("%s.stale-%d-%d", locks.paths.lock(), c.Owner.PID, c.now().UnixNano())
	if err := conn.Files.Rename(ctx, locks.paths.lock(), aside); err != nil {
		return unless(err, fs.ErrNotExist) // another was quicker: try again from the start
	}
	moved, err := conn.Files.Read(ctx, path.Join(aside, "details"))
	if err == nil && parseLock(moved).Fence != found.Fence {
		return errors.Join(held, conn.Files.Rename(ctx, aside, locks.paths.lock())) // not the stale one: put it back
	}
	c.report(Progress{Kind: "lock", Host: host.Name, Message: "took over the lock of " + found.Owner + ", which is gone"})
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

// processAlive asks the kernel of this machine.
func processAlive(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	if _, proc := os.Stat("/proc/self"); proc != nil {
		return true // no /proc here: nobody knows, so the lease decides
	}
	return err == nil
}

// renew touches every lock three times a lease; when one could not be renewed for a lease, the run is told to stop.
func (l *Locks) renew(ctx context.Context, lost context.CancelCauseFunc) {
	last := time.Now()
	for sleep(ctx, lease/3) == nil {
		var failed error
		for _, h := range l.held {
			if err := h.conn.Files.Touch(ctx, l.paths.lockDetails()); err != nil {
				failed = fmt.Errorf("%s: %w", h.host, err)
			}
		}
		switch {
		case failed == nil:
			last = time.Now()
		case time.Since(last) > lease-lease/6:
			lost(fmt.Errorf("%w: %w", ErrLeaseLost, failed))
			return
		}
	}
}

// release gives the locks back. Every one is tried; what stays is in the error.
func (l *Locks) release(ctx context.Context) error {
	if l.stop != nil {
		l.stop()
		l.done.Wait()
	}
	ctx = context.WithoutCancel(ctx)
	var all sync.WaitGroup
	errs := make([]error, len(l.held))
	for i, h := range l.held {
		all.Go(func() {
			if err := l.remove(ctx, h); err != nil {
				errs[i] = fmt.Errorf("%s: the deploy lock %s stays: %w; it expires by itself %s from now", h.host, l.paths.lock(), err, lease)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// remove takes one lock away, and tries again: a lock that stays keeps everybody out for a lease.
func (l *Locks) remove(ctx context.Context, h heldLock) error {
	var err error
	for range 3 {
		if err = l.tryRemove(ctx, h, err != nil); err == nil {
			return nil
		}
		_ = sleep(ctx, probeEvery) // nobody cancels this
	}
	return err
}

func (l *Locks) tryRemove(ctx context.Context, h heldLock, again bool) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn := h.conn
	if again { // the connection may be the cause
		other, err := l.reach(ctx, h.host)
		if err != nil {
			return err
		}
		conn = other
	}
	return conn.Files.Remove(ctx, l.paths.lock())
}

// Unlock takes away the deploy lock on every host of the release, whoever holds it, and gives whose they were. It is for a
// person who knows that nobody is deploying.
func (c *Controller) Unlock(ctx context.Context, desired release.Release) (map[string]state.Lock, error) {
	paths := layoutOf(desired)
	taken := map[string]state.Lock{}
	var errs []error
	for _, on := range desired.Hosts {
		conn, err := c.fleet.Connection(ctx, on)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found, err := readLock(ctx, conn.Files, paths)
		if err == nil {
			err = conn.Files.Remove(ctx, paths.lock())
		}
		if err != nil {
			errs = append(errs, named(on.Name, "release the deploy lock", err))
			continue
		}
		if found != nil {
			taken[on.Name] = *found
		}
	}
	if len(taken) > 0 {
		errs = append(errs, c.Store.Append(desired.App(), state.Event{At: c.now(), Kind: "unlocked", Message: fmt.Sprintf("the deploy lock was released by %s on %s", c.Owner.Who, strings.Join(sortedKeys(taken), ", "))}))
	}
	return taken, errors.Join(errs...)
}

// sleep waits, or ends early with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

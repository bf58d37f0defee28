package reconcile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// sure is how long after a look that found the lock ours it is taken away without another look.
	sure = 5 * time.Second
	// lease is how long a lock lasts without being renewed.
	lease = 30 * time.Second
)

// Locks are the deploy locks that a run holds, on the primary host first and then on every host it touches.
type Locks struct {
	Fence int // known once the locks are sealed

	c       *Controller
	desired release.Release
	hosts   map[string]release.Host
	paths   layout
	details state.Lock
	nonce   string
	notes   *journal
	deeds   []deed
	refused error // why not every lock was taken
	began   time.Time
	marks   map[string]fenceMark // by host, once sealed

	mu        sync.Mutex
	held      map[string]*heldLock // by host
	cancelled error                // the request that ended the run
	finishing bool                 // the last phase has begun: nothing is taken back any more

	renewing context.Context
	stop     context.CancelFunc
	done     branches
	run      context.Context // ends when a lease is lost
	lose     context.CancelCauseFunc
	patient  func() // has hosts that did not answer dialled again; nil while each dial is made
}

// lock takes the locks and keeps renewing each from the moment it is taken. Its run ends when a lease is lost: no call to that
// host may begin then. Before anything is changed the locks must be sealed.
func (c *Controller) lock(ctx context.Context, desired release.Release, hosts []release.Host, seen state.Snapshot, reason string) (*Locks, error) {
	var l *Locks
	began := c.now()
	err := c.takeInTurn(ctx, began, func() (err, back error) {
		if l, err = c.newLocks(ctx, desired, hosts, seen, reason, began); err != nil {
			return err, nil
		}
		if err = takeAll(ctx, lockOrder(desired, hosts), desired.PrimaryHost(), l.take); err != nil {
			l.refused = err
			back = l.release(ctx)
		}
		return err, back
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// newLocks are locks of which none is taken yet, and the store knows that they are to be.
func (c *Controller) newLocks(ctx context.Context, desired release.Release, hosts []release.Host, seen state.Snapshot, reason string, began time.Time) (*Locks, error) {
	l := &Locks{c: c, nonce: rand.Text()[:8], began: began, desired: desired, hosts: hostsOf(desired), paths: layoutOf(desired), held: map[string]*heldLock{}}
	fence, err := c.nextFence(seen)
	if err != nil {
		return nil, err
	}
	l.details = state.Lock{Owner: c.Owner.String(), Message: state.AutomaticLock, Version: desired.Version, Reason: reason, Lease: lease, Taken: c.now(), Fence: fence}
	l.notes = c.journal(desired.App())
	if err := l.intend(hosts, reason); err != nil {
		return nil, err
	}
	// A run that is cancelled still compensates under its locks, so they are renewed until they are given back.
	l.renewing, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.run, l.lose = context.WithCancelCause(ctx)
	return l, nil
}

// takeInTurn tries to take all locks until it succeeds, or nobody waits any longer. try gives all back that it took before it
// fails: whoever waits for one lock and keeps another back that comes after it could be waited for by its holder.
func (c *Controller) takeInTurn(ctx context.Context, began time.Time, try func() (err, back error)) error {
	wait := c.newWaiting(began)
	for {
		err, back := try()
		held, locked := errors.AsType[*LockedError](err)
		if !locked || back != nil || ctx.Err() != nil {
			return errors.Join(err, back)
		}
		if err := wait.turn(ctx, held, 0); err != nil {
			return err
		}
	}
}

// takeAll takes the first host's lock and then the others'. Whoever has the primary host's is mostly alone, so the others come at
// once, and are not waited for: a run that could not reach the primary host may have them. Without it they come one after
// another in the file's order, each waited for: two runs that do so never wait for each other.
func takeAll(ctx context.Context, order []release.Host, primary string, take func(ctx context.Context, host release.Host, patient bool) error) error {
	group := newCrew()
	for i, host := range order {
		if i == 0 || order[0].Name != primary {
			if err := take(ctx, host, true); err != nil {
				return err
			}
			continue
		}
		group.Go(func() error { return take(ctx, host, false) })
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

// take takes one host's lock, and starts renewing it. Who is not patient does not wait for another's.
func (l *Locks) take(ctx context.Context, host release.Host, patient bool) error {
	conn, err := l.c.fleet.Connection(ctx, host)
	if err != nil {
		return err
	}
	if err := l.c.claim(ctx, l.desired, l.paths, host, conn, l.began, patient); err != nil {
		return err
	}
	h := &heldLock{host: host.Name, one: make(chan struct{}, 1), data: encodeLock(l.details, l.c.Owner.Who, l.nonce), verified: l.c.now()}
	h.claimed = h.verified
	l.mu.Lock()
	l.held[host.Name] = h
	l.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // a write that is not waited for might end after the lock was taken away
	if err := conn.Files.Write(ctx, l.paths.lockDetails(), h.data, 0o600); err != nil {
		return full(ctx, conn, host.Name, runFiles, l.paths.run, named(host.Name, "write the deploy lock's details", err))
	}
	h.written = true
	l.done.Go(func() {
		if err := l.c.safely(func() error { l.renew(h); return nil }); err != nil {
			l.loseHost(h, fmt.Errorf("%w: on %s it is not renewed any more: %w", ErrLeaseLost, h.host, err))
		}
	})
	return nil
}

// seal decides the fence, which is the release's number too: one more than the highest that any locked host knows, as seen
// under the lock. It is written before anything else is.
func (l *Locks) seal(ctx context.Context, seen state.Snapshot) error {
	fence, err := l.c.nextFence(seen)
	if err != nil {
		return err
	}
	l.Fence = fence
	l.marks = map[string]fenceMark{}
	for _, host := range seen.Hosts {
		mark := fenceMark{number: l.Fence, version: l.desired.Version}
		if host.Record != nil {
			mark.record, mark.revision = host.Record.Number, host.Record.Revision
		}
		l.marks[host.Name] = mark
	}
	expected := l.details.Fence == l.Fence // nobody was in between: the details say so already
	l.details.Fence = l.Fence
	group, ctx := crewWithin(ctx)
	for _, h := range l.all() {
		group.Go(func() error { return l.sealHost(ctx, h, expected) })
	}
	return group.Wait()
}

// nextFence is one more than the highest that any host knows, or the store: the hosts of the last release may be out of reach,
// and two releases with one number could not be told apart when they are back.
func (c *Controller) nextFence(seen state.Snapshot) (int, error) {
	highest := 0
	known, err := c.Store.Releases(seen.App)
	for _, record := range known {
		highest = max(highest, record.Number, record.Fence)
	}
	for _, host := range seen.Hosts {
		highest = max(highest, host.Fence)
		if host.Record != nil {
			highest = max(highest, host.Record.Number, host.Record.Fence)
		}
	}
	return highest + 1, err
}

func (l *Locks) sealHost(ctx context.Context, h *heldLock, expected bool) error {
	conn, err := l.connection(ctx, l.hosts[h.host])
	if err != nil {
		return err
	}
	if err := h.enter(ctx); err != nil { // a renewal may be comparing the details
		return err
	}
	defer h.leave()
	h.data = encodeLock(l.details, l.c.Owner.Who, l.nonce)
	group, ctx := crewWithin(ctx)
	if !expected {
		group.Go(func() error { return conn.Files.Write(ctx, l.paths.lockDetails(), h.data, 0o600) })
	}
	group.Go(func() error {
		return conn.Files.Write(ctx, l.paths.fence(), l.marks[h.host].text(), 0o600)
	})
	if err := group.Wait(); err != nil {
		return full(ctx, conn, h.host, runFiles, l.paths.run, named(h.host, "write the fence", err))
	}
	return nil
}

func (l *Locks) all() []*heldLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*heldLock
	for _, name := range sortedKeys(l.held) {
		list = append(list, l.held[name])
	}
	return list
}

// among gives the hosts that a run looks at which was asked to look at only some: those, and where it holds a lock, for what it writes
// there rests on what lies there. None: all.
func (l *Locks) among(only []string) []string {
	if len(only) == 0 {
		return nil
	}
	hosts := slices.Clone(only)
	for _, h := range l.all() {
		hosts = append(hosts, h.host)
	}
	return hosts
}

func (l *Locks) reach(ctx context.Context, host string) (*Connection, error) {
	return l.c.fleet.Connection(ctx, l.hosts[host])
}

// confirm takes from a look that began at a time which locks were ours then, and drops them from it: they are no news.
func (l *Locks) confirm(seen *state.Snapshot, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, host := range seen.Hosts {
		h := l.held[host.Name]
		if h != nil {
			h.confirmed = time.Time{}
			if host.Lock != nil && host.Lock.Nonce == l.nonce && host.Lock.Owner == l.details.Owner {
				h.confirmed = began
			}
		}
		seen.Hosts[i].Lock = nil
	}
}

// hurry has the rest of a run that failed, until the locks are given back, wait for a host that swallows what is sent to it
// once and not at each step.
func (l *Locks) hurry() { l.patient = l.c.fleet.silences.heed() }

// release gives the locks back. Every one is tried; what stays is in the error.
func (l *Locks) release(ctx context.Context) error {
	if l.patient != nil {
		defer l.patient()
	}
	l.stop()
	l.done.Wait()
	l.lose(nil)
	ctx = context.WithoutCancel(ctx)
	var all branches
	held := l.all()
	errs := make([]error, len(held))
	for i, h := range held {
		all.Go(func() {
			if err := l.remove(ctx, h); err != nil {
				errs[i] = fmt.Errorf("%s: the deploy lock %s stays: %w; it expires by itself %s from now", h.host, l.paths.lock(), err, lease)
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, l.noted(held, errs))...)
}

// remove takes one lock away, and tries again: a lock that stays keeps everybody out for a lease.
func (l *Locks) remove(ctx context.Context, h *heldLock) error {
	var err error
	for range 3 {
		if err = l.tryRemove(ctx, h); err == nil {
			return nil
		}
		_ = sleep(ctx, probeEvery) // nobody cancels this
	}
	return err
}

func (l *Locks) tryRemove(ctx context.Context, h *heldLock) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := l.reach(ctx, h.host)
	if err != nil {
		return err
	}
	if l.lostOn(h.host) != nil || !h.sure(l.c.now()) { // another's is not ours to remove
		ours, err := h.isOurs(ctx, conn, l.paths)
		if err != nil {
			return err
		}
		if !ours && !h.isBare(ctx, conn, l.paths, l.c.now()) {
			l.c.report(Progress{Kind: "warn", Host: h.host, Message: "the deploy lock there is not ours any more, and is left to whoever has it"})
			return nil
		}
	}
	return conn.Files.Remove(ctx, l.paths.lock())
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

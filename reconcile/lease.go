package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/kamald/kamald/release"
)

// ErrLeaseLost: a lock could not be renewed in time, or another has taken it over.
var ErrLeaseLost = errors.New("the lease of the deploy lock is lost")

// heldLock is one host's lock.
type heldLock struct {
	host string

	one      chan struct{} // holds a token while the details are written or compared
	data     []byte        // what they say when the lock is ours
	claimed  time.Time     // when its directory was made
	written  bool          // its details were, as far as is known
	verified time.Time     // when it last was
	lost     error

	confirmed time.Time // when a look at the whole host last found it ours
}

// sure tells whether the lock was seen to be ours a moment ago, by the clock on the wall: a machine that slept since was away
// for long enough to lose it.
func (h *heldLock) sure(now time.Time) bool {
	since := now.Round(0).Sub(h.confirmed.Round(0))
	return !h.confirmed.IsZero() && since >= 0 && since < sure
}

func (h *heldLock) enter(ctx context.Context) error {
	select {
	case h.one <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *heldLock) leave() { <-h.one }

// isOurs reads whether the lock still is.
func (h *heldLock) isOurs(ctx context.Context, conn *Connection, paths layout) (bool, error) {
	data, err := conn.Files.Read(ctx, paths.lockDetails())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && bytes.Equal(data, h.data), err
}

// renew touches one host's lock three times a lease, and looks that it is ours. When that was not possible for most of a lease,
// or it is another's, the run is told to stop.
func (l *Locks) renew(h *heldLock) {
	for pause := lease / 3; sleep(l.renewing, pause) == nil; {
		pause = lease / 3
		began := l.c.now()
		ours, err := l.renewOnce(h)
		switch {
		case l.renewing.Err() != nil:
			return
		case err == nil && ours:
			l.verify(h, began)
		case err == nil:
			l.loseHost(h, fmt.Errorf("%w: on %s another has taken it over", ErrLeaseLost, h.host))
			return
		case l.c.now().Sub(h.verified) > lease*2/3:
			l.loseHost(h, fmt.Errorf("%w: on %s it could not be renewed: %w", ErrLeaseLost, h.host, err))
			return
		default:
			pause = time.Second // one that hung or failed is made up for while there is time
		}
	}
}

func (l *Locks) renewOnce(h *heldLock) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(l.renewing, lease/6)
	defer cancel()
	conn, err := l.reach(ctx, h.host)
	if err != nil {
		return false, err
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	if ours, err = h.isOurs(ctx, conn, l.paths); err != nil || !ours {
		return ours, err
	}
	return true, conn.Files.Touch(ctx, l.paths.lockDetails())
}

func (l *Locks) loseHost(h *heldLock, cause error) {
	l.mu.Lock()
	h.lost = cause
	l.mu.Unlock()
	l.lose(cause)
}

func (l *Locks) verify(h *heldLock, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.verified = at
}

// lostOn says why no call to a host may begin any more; nil while its lock is ours. A lease passes by the clock, whoever has
// noticed: by the one on the wall too, for a machine that slept was away.
func (l *Locks) lostOn(host string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[host]
	if h == nil || h.lost != nil {
		return h.why()
	}
	now := l.c.now()
	since := max(now.Sub(h.verified), now.Round(0).Sub(h.verified.Round(0)))
	if since > lease {
		return fmt.Errorf("%w: on %s it was renewed %s ago", ErrLeaseLost, host, since.Round(time.Second))
	}
	return nil
}

func (h *heldLock) why() error {
	if h == nil {
		return nil
	}
	return h.lost
}

// connection reaches a host for changes under its lock: none begins there once the lease has passed, however long its caller
// waited for an answer before.
func (l *Locks) connection(ctx context.Context, on release.Host) (*Connection, error) {
	conn, err := l.c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	return Intercept(on.Name, conn, l.guard), nil
}

// guard refuses a change to a host whose lock is lost.
func (l *Locks) guard(ctx context.Context, call Call, next func(context.Context) error) error {
	if call.Mutates {
		if err := l.lostOn(call.Host); err != nil {
			return err
		}
	}
	return next(ctx)
}

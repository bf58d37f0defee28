package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	// waitEvery is the pause between two looks at another's lock.
	waitEvery = time.Second
	// waitSays is the pause between two lines about the same holder.
	waitSays = 15 * time.Second
)

// waiting is the wait for the lock of one host.
type waiting struct {
	c     *Controller
	began time.Time
	not   bool   // the holder is the error at once
	said  string // the holder that was named last
	at    time.Time
}

func (c *Controller) newWaiting(began time.Time) *waiting { return &waiting{c: c, began: began} }

// turn waits a moment for another's lock, and says whose it is when that is news. left is what remains of its lease, 0 for one
// that does not expire. A lock that a person took is not waited for: it may stay for days. At the time limit the holder is the
// error.
func (w *waiting) turn(ctx context.Context, held *LockedError, left time.Duration) error {
	waited := w.c.now().Sub(w.began)
	if w.not || !w.c.LockWait || held.Lock.Holder() == state.HeldManually {
		return held
	}
	pause := waitEvery
	if left > 0 {
		pause = min(pause, left)
	}
	if limit := w.c.LockWaitLimit; limit > 0 {
		if waited >= limit {
			held.Waited = waited
			return held
		}
		pause = min(pause, limit-waited)
	}
	w.say(held, left, waited)
	return sleep(ctx, pause)
}

func (w *waiting) say(held *LockedError, left, waited time.Duration) {
	holder := fmt.Sprint(held.Host, held.Lock.Owner, held.Lock.Taken, held.Lock.Nonce)
	now := w.c.now()
	if holder == w.said && now.Sub(w.at) < waitSays {
		return
	}
	w.said, w.at = holder, now
	text := "waiting for the lock of " + held.Lock.By()
	switch {
	case left > 0:
		text += fmt.Sprintf(", whose lease lasts %s more unless it is renewed", left.Round(time.Second))
	case held.Lock.Lease == 0:
		text += ", which does not expire by itself"
	}
	if limit := w.c.LockWaitLimit; limit > 0 {
		text += fmt.Sprintf(" (%s of %s waited)", waited.Round(time.Second), limit)
	}
	w.c.report(Progress{Kind: "lock", Host: held.Host, Message: text})
}

package loop

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/state"
)

// The pauses between attempts that fail: each twice as long as the one before.
const (
	firstPause = time.Second
	mostPause  = 5 * time.Minute
	imagePause = time.Minute // at most, while an image is waited for
	lockPause  = 3 * time.Second
)

// try is something that is attempted again, later each time.
type try struct {
	pauses *backoff.ExponentialBackOff
	jitter func(time.Duration) time.Duration
	after  time.Time // not before
	failed int       // in a row

	because state.Condition // of the last failure
}

func newTry(jitter func(time.Duration) time.Duration) *try {
	t := &try{pauses: backoff.NewExponentialBackOff(), jitter: jitter}
	t.pauses.InitialInterval, t.pauses.Multiplier, t.pauses.MaxInterval, t.pauses.RandomizationFactor = firstPause, 2, mostPause, 0
	t.pauses.Reset()
	return t
}

// fail says that it did not work, and why; it is due again after a pause of at most most.
func (t *try) fail(now time.Time, most time.Duration, because state.Condition) {
	pause := min(t.pauses.NextBackOff(), most)
	t.after, t.failed, t.because = now.Add(pause+t.jitter(pause/5)), t.failed+1, because
}

// reset begins anew.
func (t *try) reset() {
	t.pauses.Reset()
	t.after, t.failed, t.because = time.Time{}, 0, state.Condition{}
}

func (t *try) due(now time.Time) bool { return !now.Before(t.after) }

// tries are what a worker attempts.
type tries struct {
	look, heal, release, room *try

	approval *approvalError // what the last attempt of a release waits for; nil: nothing

	fixed    string   // what the last repair that succeeded did
	where    []string // its hosts; none: all
	again    int      // how often in a row it was there again right after
	verifies bool     // the next round is the first after a repair
}

func newTries(jitter func(time.Duration) time.Duration) tries {
	return tries{look: newTry(jitter), heal: newTry(jitter), release: newTry(jitter), room: newTry(jitter)}
}

// reset forgets what was given up: something has changed.
func (t *tries) reset() {
	t.look.reset()
	t.heal.reset()
	t.release.reset()
	t.room.reset()
	t.approval = nil
	t.fixed, t.where, t.again, t.verifies = "", nil, 0, false
}

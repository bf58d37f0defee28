package loop

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kamald/kamald/release"
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
	idle     idle           // what the last attempt of a release had nothing to do for

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
	t.approval, t.idle = nil, idle{}
	t.fixed, t.where, t.again, t.verifies = "", nil, 0, false
}

// idle is a proposal that differs from what is held, and leaves nothing to do: an accessory's change that waits for a reboot, or a setting
// that shows with the next release. Nothing is recorded of it, so it goes on to differ.
type idle struct {
	digest string // of what is wanted; "": there is none
	held   int    // the release that is held
	until  time.Time
}

// covers tells whether a release would have nothing to do again. It is asked anew once until has passed, unless something is to be healed:
// that is healing's, which has a budget and leaves alone what somebody has stopped.
func (i idle) covers(f facts) bool {
	return i.digest != "" && i.digest == release.Digest(f.wanted) && i.held == numberOf(f.held) && (f.now.Before(i.until) || len(f.repairs.Steps) > 0)
}

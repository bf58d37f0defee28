package loop_test

import (
	"context"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
)

// round gives the newest look that found drift by an event.
func (w *world) detection(what func()) loop.Round {
	w.t.Helper()
	return w.detectionWithin(10*time.Second, what)
}

func (w *world) detectionWithin(d time.Duration, what func()) loop.Round {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	notices := w.loop.Subscribe(ctx)
	what()
	w.pass(d)
	for found := (loop.Round{}); ; {
		select {
		case n := <-notices:
			if n.Status != nil && !n.Status.Round.EventAt.IsZero() {
				found = n.Status.Round
			}
		default:
			return found
		}
	}
}

func TestItIsToldWhenWhatALookHasFoundHappened(t *testing.T) {
	for name, skew := range map[string]time.Duration{"by a clock that is right": 0, "by one that is ahead": 25 * time.Second, "by one that is behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.SetSkew("h1", skew)
				w.deployed("v1").start().settle()
				var began time.Time
				round := w.detection(func() { began = time.Now(); w.RemoveContainer("h1", "shop-web-v1") })
				if off := round.EventAt.Sub(began).Abs(); round.Why != "event" || off > 10*time.Millisecond {
					t.Errorf("it happened at %s, and is told to have at %s: %+v", began, round.EventAt, round)
				}
				if took := round.Seen.Sub(round.EventAt); took <= 0 || took > 100*time.Millisecond {
					t.Errorf("it was found after %s", took)
				}
			})
		})
	}
}

func TestALookThatFindsNothingByAnEventTellsNoTime(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		if round := w.detection(func() { w.StopContainer("h1", "kamal-proxy") }); round.EventAt.IsZero() {
			t.Error("the test sees no detection at all")
		}
		if round := w.detection(func() { w.Untag("h1", "none:such") }); !round.EventAt.IsZero() {
			t.Errorf("nothing was found, and it is told: %+v", round)
		}
		if round := w.detection(func() { w.RemoveRoute("h1", "shop-web"); w.loop.Look(shop) }); !round.EventAt.IsZero() {
			t.Errorf("no engine tells of a route, and it is told when it went: %+v", round)
		}
	})
}

// What is removed again and again is found as soon each time, for as long as the budget has it replaced: only events that lead to nothing
// are gathered for longer.
func TestTheTenthRemovalIsFoundAsSoonAsTheFirst(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Budget, w.source.release.Reconcile.Flap = 100, 1000
		w.deployed("v1").start().settle()
		for i := range 10 {
			round := w.detectionWithin(5*time.Second, func() { w.RemoveContainer("h1", "shop-web-v1") })
			if took := round.Seen.Sub(round.EventAt); took <= 0 || took > 100*time.Millisecond {
				t.Errorf("removal %d was found after %s: %+v", i+1, took, round)
			}
			w.want(all("v1"))
		}
	})
}

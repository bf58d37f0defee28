package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// elsewhere is the same servers as another machine sees them: with a store of its own.
func (w *world) elsewhere() *world {
	return &world{World: w.World, t: w.t, store: &memory{}}
}

func (w *world) mustPlan(desired release.Release) plan.Plan {
	w.t.Helper()
	var planned reconcile.Planned
	w.using(func(c *reconcile.Controller) {
		var err error
		if planned, err = c.Plan(w.t.Context(), desired, reconcile.Options{}); err != nil {
			w.t.Fatal(err)
		}
	})
	return planned.Plan
}

func (w *world) mustRelease(version string) reconcile.Report {
	w.t.Helper()
	var report reconcile.Report
	w.using(func(c *reconcile.Controller) {
		var err error
		if report, err = c.Apply(w.t.Context(), w.release(version), reconcile.Options{Hold: true}); err != nil {
			w.t.Fatal(err)
		}
	})
	return report
}

func (w *world) mustResume() reconcile.Resumed {
	w.t.Helper()
	var resumed reconcile.Resumed
	w.using(func(c *reconcile.Controller) {
		var err error
		if resumed, err = c.Resume(w.t.Context(), w.release("v1")); err != nil {
			w.t.Fatal(err)
		}
	})
	return resumed
}

// mustBeHeld wants what is proposed to wait, and an apply of it to be refused without a change.
func (w *world) mustBeHeld(version string) {
	w.t.Helper()
	p := w.mustPlan(w.release(version))
	if !p.Empty() || p.Waits == "" || len(p.Items) == 0 || p.Items[0].Deferred == "" {
		w.t.Errorf("the plan: %q, %d steps, items %+v", p.Waits, len(p.Steps), p.Items)
	}
	before := w.versions()
	_, err := w.apply(w.t.Context(), w.release(version))
	var held *reconcile.HeldError
	if !errors.As(err, &held) || !strings.Contains(err.Error(), "kamald resume") {
		w.t.Errorf("apply of %s: %v", version, err)
	}
	if got := w.versions(); got != before {
		w.t.Errorf("it changed to %s", got)
	}
}

func TestWhatAPersonReleasedHoldsUntilItIsLifted(t *testing.T) {
	for name, word := range map[string]func(w *world){
		"a rollback": func(w *world) { w.mustRollBack(w.release("v2")) },
		"a release":  func(w *world) { w.mustRelease("v1") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 401)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				laptop := w.elsewhere()
				laptop.mustPlan(w.release("v2")) // it has seen release 2
				word(w)
				w.mustBeHeld("v2")
				laptop.mustBeHeld("v2")
				if !strings.Contains(laptop.progress(), "was released by") {
					t.Errorf("the laptop does not say who released: %s", laptop.progress())
				}
				w.RemoveContainer("h3", "shop-workers-v1") // what is held is still repaired
				w.mustApply(w.release("v1"))
				if resumed := laptop.mustResume(); !resumed.Lifted || resumed.Release.HoldBy == "" {
					t.Errorf("resumed: %+v", resumed)
				}
				if resumed := laptop.mustResume(); resumed.Lifted {
					t.Error("it was lifted twice")
				}
				w.mustApply(w.release("v2"))
				w.noLocks(0)
				if got := w.versions(); got != allV2 {
					t.Errorf("at the end: %s", got)
				}
			})
		})
	}
}

func TestAReleaseOfWhatRunsAlreadyHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 402)
		w.mustApply(w.release("v1"))
		if report := w.mustRelease("v1"); report.Kind != plan.KindNone {
			t.Errorf("report: %+v", report)
		}
		w.mustBeHeld("v2")
		w.mustRelease("v2") // a newer word
		w.mustRelease("v1")
		w.mustBeHeld("v2")
	})
}

// killedEverywhere kills a run at each of its remote calls in turn, in a world of its own each time.
func killedEverywhere(t *testing.T, prepare func(w *world), do func(c *reconcile.Controller, w *world), then func(w *world)) {
	step := 11 // a sample; `make long` takes every call
	if long() {
		step = 1
	}
	for n := 1; ; n += step {
		hit := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 403)
			last := 0
			w.Before(func(c sim.Call) error {
				last = max(last, c.N)
				return nil
			})
			prepare(w)
			base := last
			w.KillNth(base + n)
			w.using(func(c *reconcile.Controller) { do(c, w) })
			hit = last >= base+n
			w.Revive()
			w.ClearHooks()
			then(w)
			w.noLocks(n)
		})
		if !hit {
			if n < 20 {
				t.Errorf("it has only %d calls", n)
			}
			return
		}
	}
}

func TestALiftingThatIsKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	killedEverywhere(t, func(w *world) {
		w.mustApply(w.release("v1"))
		w.mustRelease("v1")
	}, func(c *reconcile.Controller, w *world) {
		_, _ = c.Resume(w.t.Context(), w.release("v1"))
	}, func(w *world) {
		w.mustResume()
		w.mustApply(w.release("v2"))
	})
}

// A cordoned host takes no part in lifting a hold either; what the others say counts when it comes back.
func TestAHoldIsLiftedWithoutACordonedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 410)
		w.mustApply(w.release("v1"))
		w.mustRelease("v2")
		w.cordon("h2", time.Time{})
		w.WriteFile("h2", lockDetails, kamalLock("mine"))
		w.using(func(c *reconcile.Controller) {
			c.LockWait = false
			if resumed, err := c.Resume(t.Context(), w.release("v2")); err != nil || !resumed.Lifted || len(resumed.Skipped) > 0 {
				t.Errorf("%+v: %v", resumed, err)
			}
			if _, err := c.Uncordon(t.Context(), w.release("v2"), "h2"); err != nil {
				t.Fatal(err)
			}
		})
		w.RemoveFile("h2", ".kamal/lock-shop")
		w.mustApply(w.release("v3"))
		if got := w.versions(); got != allV3 {
			t.Errorf("after it: %s", got)
		}
	})
}

// Who is refused because of a hold learns which hosts have missed what is held, and what brings it there.
func TestAHostThatMissedWhatIsHeldIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3002)
		w.released("v1", "v2")
		w.Cut("h1")
		if _, err := w.controller().Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{SkipUnreachable: true}); err != nil {
			t.Fatal(err)
		}
		w.Restore("h1")
		_, err := w.apply(t.Context(), w.release("v2"))
		var held *reconcile.HeldError
		if !errors.As(err, &held) || !strings.Contains(err.Error(), "h1 runs web of version v2") || !strings.Contains(err.Error(), "`kamald rollback --version v1`") {
			t.Fatalf("error: %v", err)
		}
		if _, err := w.controller().Rollback(t.Context(), w.release("v2"), reconcile.Back{Version: "v1"}, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after it: %s", got)
		}
	})
}

// A host that was cordoned while a hold was set has an older copy of the record: the next apply brings it, once.
func TestAHostThatMissedAHoldIsGivenItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3004)
		w.released("v1")
		w.cordon("h2", time.Time{})
		if _, err := w.applyWith(w.release("v1"), reconcile.Options{Hold: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.controller().Uncordon(t.Context(), w.release("v1"), "h2"); err != nil {
			t.Fatal(err)
		}
		w.mustApply(w.release("v1"))
		planned, err := w.controller().Plan(t.Context(), w.release("v1"), reconcile.Options{})
		if err != nil || !planned.Plan.Empty() {
			t.Errorf("after it: %v %+v", err, planned.Plan.Items)
		}
	})
}

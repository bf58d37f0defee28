package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
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
	for n := 1; ; n++ {
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

// byKamal is a server fleet that Kamal deployed a version on: no label and no record of kamald's.
func (w *world) byKamal(version string) {
	w.mustApply(w.release(version))
	for _, host := range w.Hosts() {
		w.RemoveFile(host, ".kamal/apps/shop/kamald")
		w.handMade(host, version)
	}
	w.store = &memory{}
}

// handMade replaces a host's containers by equal ones of a version that kamald did not make, and moves latest, as `kamal deploy` does.
func (w *world) handMade(host, version string) {
	spec := func(c state.Container) state.Spec {
		s := *c.Asked
		s.Image = repository + ":" + version
		s.Digest = ""
		return s
	}
	for _, c := range w.Containers(host, state.View{}) {
		if c.Role == "" || !c.Running() || c.Asked == nil {
			continue
		}
		made := spec(c)
		role := c.Role
		values := map[string]release.Secret{}
		for name := range made.Secrets {
			values[name] = release.NewSecret(canary)
		}
		w.RemoveContainer(host, c.Name)
		id := w.RunContainer(host, "shop-"+role+"-"+version, made, nil, values)
		for _, route := range w.Routes(host) {
			if route.Name == "shop-"+role {
				route.Targets = []string{state.ShortID(id) + ":3000"}
				w.SetRoute(host, route)
			}
		}
	}
	w.Retag(host, repository+":"+version, repository+":latest")
}

func (w *world) mustAdopt(version string) reconcile.Adopted {
	w.t.Helper()
	var adopted reconcile.Adopted
	w.using(func(c *reconcile.Controller) {
		runs, err := c.Runs(w.t.Context(), w.release("v6"))
		if err != nil || runs != version {
			w.t.Fatalf("runs %q: %v", runs, err)
		}
		if adopted, err = c.Adopt(w.t.Context(), w.release(runs), false); err != nil {
			w.t.Fatal(err)
		}
	})
	return adopted
}

func TestAHandsMoveIsReportedAndNeverPutBackUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		move func(w *world)
		runs string
	}{
		"latest by hand": {func(w *world) { w.Retag("h1", repository+":v1", repository+":latest") }, "v2"},
		"the old one started and the new one stopped": {func(w *world) {
			for host, role := range map[string]string{"h1": "web", "h2": "web", "h3": "workers"} {
				w.StartContainer(host, "shop-"+role+"-v1")
				w.StopContainer(host, "shop-"+role+"-v2")
			}
		}, "v1"},
		"a kamal deploy": {func(w *world) {
			for _, host := range w.Hosts() {
				w.Place(host, sim.Image{Ref: repository + ":v5", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v5"}})
				w.handMade(host, "v5")
			}
		}, "v5"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 404)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				c.move(w)
				before := w.versions()
				for _, version := range []string{"v2", "v3"} {
					if p := w.mustPlan(w.release(version)); !p.Empty() || len(p.Moved) == 0 || p.Waits == "" {
						t.Errorf("the plan of %s: %+v", version, p)
					}
					_, err := w.apply(t.Context(), w.release(version))
					var moved *reconcile.HandMovedError
					if !errors.As(err, &moved) || !strings.Contains(err.Error(), "kamald adopt") {
						t.Errorf("apply of %s: %v", version, err)
					}
				}
				w.using(func(c *reconcile.Controller) {
					drift, err := c.Drift(t.Context(), w.release("v2"), reconcile.Options{})
					if err != nil || len(drift.Plan.Moved) == 0 {
						t.Errorf("drift: %+v %v", drift.Plan.Moved, err)
					}
				})
				w.mustAdopt(c.runs)
				if got := w.versions(); got != before {
					t.Errorf("adopt changed %s to %s", before, got)
				}
				if p := w.mustPlan(w.release(c.runs)); len(p.Moved) > 0 {
					t.Errorf("after adopt: %+v", p.Moved)
				}
				w.mustBeHeld("v3")
				w.mustRelease("v3")
				w.mustBeEmpty(w.release("v3"))
			})
		})
	}
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

func TestAServerThatKamalDeployedIsAdoptedWithNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 405)
		w.byKamal("v1")
		if p := w.mustPlan(w.release("v1")); len(p.Moved) > 0 || p.Waits != "" {
			t.Errorf("a first plan: %+v", p)
		}
		adopted := w.mustAdopt("v1")
		if adopted.Release == 0 || adopted.Already {
			t.Errorf("adopted: %+v", adopted)
		}
		if again := w.mustAdopt("v1"); !again.Already {
			t.Errorf("again: %+v", again)
		}
		w.mustBeHeld("v2")
		w.mustResume()
		w.mustApply(w.release("v2"))
		w.mustRollBack(w.release("v2"))
		if got := w.versions(); got != allV1 {
			t.Errorf("after the rollback: %s", got)
		}
	})
}

func TestAnAdoptionThatIsKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	killedEverywhere(t, func(w *world) { w.byKamal("v1") }, func(c *reconcile.Controller, w *world) {
		_, _ = c.Adopt(w.t.Context(), w.release("v1"), false)
	}, func(w *world) {
		w.mustAdopt("v1")
		if got := w.versions(); got != allV1 {
			w.t.Errorf("runs: %s", got)
		}
		w.mustBeHeld("v2")
		w.mustRelease("v2") // takes over a lock that was left
	})
}

// A run that dies between the tag and the record has moved latest with no record: that is not a hand's move.
func TestARunThatIsKilledIsNoHandsMove(t *testing.T) {
	for name, back := range map[string]bool{"a release": false, "a rollback to a container that is still there": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 406)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.Before(func(c sim.Call) error {
					if c.Method == "Files.Write" && strings.Contains(c.Args, "/releases/3.json") {
						return sim.ErrFault
					}
					return nil
				})
				w.using(func(c *reconcile.Controller) {
					if back {
						_, _ = c.Rollback(ctx, w.release("v2"), reconcile.Back{}, reconcile.Options{})
					} else {
						_, _ = c.Apply(ctx, w.release("v3"), reconcile.Options{})
					}
				})
				w.ClearHooks()
				if p := w.mustPlan(w.release("v2")); len(p.Moved) > 0 || p.Waits != "" {
					t.Errorf("taken for a hand's move: %+v", p.Moved)
				}
				w.mustApply(w.release("v4"))
			})
		})
	}
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

// Nor when another run has come and failed since.
func TestARollbackThatIsKilledBeforeAFailureIsNoHandsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 411)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.Before(func(c sim.Call) error {
			if c.Method != "Engine.Tag" {
				return nil
			}
			w.Kill()
			return context.Canceled
		})
		w.using(func(c *reconcile.Controller) {
			_, _ = c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{})
		})
		w.ClearHooks()
		w.Revive()
		time.Sleep(time.Minute)
		w.image("v9", sim.Exits(1, 0))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil || w.versions() != allV1 {
			t.Fatalf("%s: %v", w.versions(), err)
		}
		w.mustApply(w.release("v2"))
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

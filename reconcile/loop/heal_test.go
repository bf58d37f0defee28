package loop_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// inWorld plays a story in virtual time.
func inWorld(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		story(w)
		if w.stop != nil {
			w.stop()
		}
	})
}

func TestWhatIsRemovedIsBackWithinTwoSeconds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.wantConditions("")
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(2 * time.Second)
		w.want(all("v1"))
		w.pass(time.Second)
		w.wantConditions("")
		if told := w.told(); told != "drifted, healed" {
			t.Errorf("told: %s", told)
		}
		events, _ := w.store.Events(shop, 0)
		if events[0].Kind != "drift" || events[0].Outcome != "healed" {
			t.Errorf("the newest event is %+v", events[0])
		}
	})
}

func TestEachDriftIsHealed(t *testing.T) {
	latest := repository + ":latest"
	for name, drift := range map[string]func(w *world){
		"a container is stopped":    func(w *world) { w.StopContainer("h2", "shop-web-v1") },
		"a worker is removed":       func(w *world) { w.RemoveContainer("h3", "shop-workers-v1") },
		"a network is detached":     func(w *world) { w.DetachNetwork("h1", "shop-web-v1", "kamal") },
		"a route is removed":        func(w *world) { w.RemoveRoute("h1", "shop-web") },
		"latest is taken away":      func(w *world) { w.Untag("h1", latest) },
		"memory is changed by hand": func(w *world) { w.UpdateMemory("h3", "shop-workers-v1", "268435456") },
		"the proxy is stopped":      func(w *world) { w.StopContainer("h1", "kamal-proxy") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				drift(w)
				w.pass(6 * time.Minute) // not every drift has an event
				w.want(all("v1"))
				w.wantConditions("")
				if told := w.told(); told != "drifted, healed" {
					t.Errorf("told: %s", told)
				}
				if n := len(w.Routes("h1")); n != 1 || w.ImageID("h1", latest) == "" {
					t.Errorf("h1 has %d routes, and latest at %q", n, w.ImageID("h1", latest))
				}
			})
		})
	}
}

func TestInReportNothingIsTouched(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Mode = release.ModeReport
		w.deployed("v1").start().settle()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Hour)
		w.want("h2/web=v1 h3/workers=v1")
		w.wantConditions("drifted")
		status, _ := w.loop.Status(shop)
		if len(status.Findings) == 0 || status.Findings[0].Event == "" || status.Pending == nil {
			t.Errorf("the finding does not say which event it came by, or what healing would do: %+v", status.Findings)
		}
		if told := w.told(); told != "drifted" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestHealingHasABudget(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle() // half of two: one within ten minutes
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
		w.RemoveContainer("h2", "shop-web-v1")
		w.pass(time.Minute)
		w.want("h1/web=v1 h3/workers=v1")
		w.wantConditions("drifted over-budget")
		w.RemoveContainer("h3", "shop-workers-v1") // another role has a budget of its own
		w.pass(5 * time.Second)
		w.want("h1/web=v1 h3/workers=v1")
		w.pass(10 * time.Minute)
		w.want(all("v1"))
	})
}

func TestAFlappingContainerIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Budget, w.source.release.Reconcile.Flap = 100, 3
		w.source.release.Reconcile.Window = time.Hour
		w.deployed("v1").start().settle()
		for range 3 {
			w.want(all("v1"))
			if t.Failed() {
				return
			}
			w.RemoveContainer("h3", "shop-workers-v1")
			w.pass(10 * time.Second)
		}
		w.want("h1/web=v1 h2/web=v1")
		w.pass(5 * time.Minute)
		w.want("h1/web=v1 h2/web=v1")
		w.wantConditions("drifted flapping")
	})
}

func TestAHostThatIsAwayForAMinuteIsHealedOnceAndToldOfOnceAtMost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.Cut("h2")
		w.pass(30 * time.Second)
		w.wantConditions("unreachable")
		w.RemoveContainer("h2", "shop-web-v1")
		w.pass(20 * time.Second)
		w.Restore("h2")
		w.pass(time.Minute)
		w.want(all("v1"))
		w.wantConditions("")
		if told := w.told(); told != "drifted, healed" {
			t.Errorf("told: %s\n%s", told, w.said())
		}
	})
}

func TestAnEngineThatRestartsBringsItsOwnBack(t *testing.T) {
	for name, befall := range map[string]func(w *world){
		"the engine restarts": func(w *world) { w.RestartEngine("h1", 10*time.Second) },
		"the host reboots":    func(w *world) { w.Reboot("h1", 20*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				before := w.Containers("h1", state.View{})
				befall(w)
				w.pass(2 * time.Minute)
				w.want(all("v1"))
				w.wantConditions("")
				if after := w.Containers("h1", state.View{}); len(after) != len(before) || after[0].ID != before[0].ID {
					t.Errorf("containers were made again\n%s", w.said())
				}
			})
		})
	}
}

func TestWhatIsPausedIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		now := time.Now()
		if err := w.loop.Pause(shop, state.Pause{Role: "workers", Reason: "moving the queue", Who: "ada", Until: now.Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		w.RemoveContainer("h3", "shop-workers-v1")
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Minute)
		w.want("h1/web=v1 h2/web=v1")
		w.wantConditions("drifted paused")
		w.pass(2 * time.Hour)
		w.want(all("v1"))
		w.wantConditions("")
	})
}

func TestARepairThatChangesNothingIsNotRepeated(t *testing.T) {
	inWorld(t, func(w *world) {
		w.limited = true
		w.source.release = w.wanted("v1")
		w.deployed("v1")
		w.start(func(o *loopOptions) {
			open := o.Open
			o.Open = func(r release.Release) (*reconcile.Controller, error) { return w.deaf(open, r) }
		}).settle()
		w.UpdateMemory("h3", "shop-workers-v1", "268435456")
		w.pass(time.Hour)
		w.wantConditions("drifted not-converging")
		if n := w.updates(); n > 3 {
			t.Errorf("the same repair was made %d times", n)
		}
	})
}

func TestTheFirstRoundAfterAnUpgradeOnlyReports(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.stop()
		w.RemoveContainer("h1", "shop-web-v1")
		w.start(func(o *loopOptions) { o.Comparator = "test 2" })
		w.pass(4 * time.Minute)
		w.want("h2/web=v1 h3/workers=v1")
		w.wantConditions("drifted report-only")
		w.pass(2 * time.Minute)
		w.want(all("v1"))
	})
}

func TestANewBastionKnowsWhatIsHeldAndDeploysNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1")
		w.source.release = desired("v2")
		w.start()
		w.pass(time.Hour)
		w.want(all("v1"))
		status, _ := w.loop.Status(shop)
		if status.Held == nil || status.Held.Version != "v1" || status.Approve == "" {
			t.Fatalf("it does not know what is held, or what waits: %+v", status)
		}
		w.wantConditions("approval")
		if err := w.loop.Approve(shop, status.Approve, loopPerson("ada")); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.want(all("v2"))
		w.wantConditions("")
	})
}

func TestAFullStoreForbidsEveryRepairAndSaysSo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.store.mu.Lock()
		w.store.full = errFull
		w.store.mu.Unlock()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Minute)
		w.want("h2/web=v1 h3/workers=v1")
		w.wantConditions("drifted store")
		w.store.mu.Lock()
		w.store.full = nil
		w.store.mu.Unlock()
		w.pass(10 * time.Minute)
		w.want(all("v1"))
		w.wantConditions("")
	})
}

func TestAHostWithoutRoomIsPruned(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.SetFree("h1", 1<<20)
		w.pass(10 * time.Minute)
		w.wantConditions("low-disk")
		_ = sim.Healthy
	})
}

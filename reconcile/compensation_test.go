package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestASwitchThatHappenedAndFailedIsTakenBackBeforeItsContainerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 41)
		w.mustApply(w.release("v1"))
		before := w.Routes("h2")
		once := false
		w.After(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Proxy.Deploy" && !once {
				once = true
				return sim.ErrFault
			}
			return nil
		})
		stop, failed := w.watch(true)
		report, err := w.apply(t.Context(), w.release("v2"))
		stop()
		if err == nil || report.Outcome != state.OutcomeFailed || !report.Undone || len(report.Left) > 0 {
			t.Errorf("report: %+v %v", report, err)
		}
		if count := failed(); count > 0 {
			t.Errorf("%d requests failed\n%s", count, w.progress())
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after the failure: %s", got)
		}
		if after := w.Routes("h2"); len(after) != 1 || after[0].TargetID() != before[0].TargetID() {
			t.Errorf("the route is %+v, was %+v", after, before)
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

func TestHealingKeepsWhatItHealedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 42)
		desired := w.release("v1")
		desired.Roles[1].Hosts = []string{"h2", "h3"}
		w.mustApply(desired)
		w.RemoveContainer("h1", "shop-web-v1")
		w.RemoveRoute("h1", "shop-web")
		w.RemoveContainer("h2", "shop-workers-v1")
		w.RemoveContainer("h3", "shop-workers-v1")
		w.Before(func(c sim.Call) error {
			if c.Host == "h3" && c.Method == "Engine.Start" {
				return sim.ErrFault
			}
			return nil
		})
		report, err := w.apply(t.Context(), desired)
		if err == nil || report.Kind != plan.KindHeal || report.Outcome != state.OutcomeFailed {
			t.Errorf("report: %+v %v", report, err)
		}
		if got := w.versions(); got != "h1/web=v1 h2/web=v1 h2/workers=v1" {
			t.Errorf("after the healing: %s\n%s", got, w.progress())
		}
		if status := w.Request("h1", "shop.example.com", "/"); status != 200 {
			t.Errorf("h1 answers %d", status)
		}
		w.ClearHooks()
		w.mustApply(desired)
	})
}

func TestASingletonNeverRunsTwice(t *testing.T) {
	singleton := func(w *world, version string) release.Release {
		desired := w.release(version)
		desired.Roles[1].Singleton = true
		return desired
	}
	for name, fails := range map[string]string{"it succeeds": "", "a switch fails after it": "Proxy.Deploy", "its own proof fails": "Engine.Start"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 43)
				w.mustApply(singleton(w, "v1"))
				stop, most := w.most("h3", "workers")
				w.Before(func(c sim.Call) error {
					if c.Method == fails && c.Host == "h2" && fails == "Proxy.Deploy" {
						return sim.ErrFault
					}
					return nil
				})
				once, want := fails == "Engine.Start", allV2
				w.After(func(c sim.Call) error {
					if once && c.Host == "h3" && c.Method == "Engine.Start" {
						once = false
						w.Misbehave("h3", "shop-workers-v2", sim.Exits(1, time.Second))
					}
					return nil
				})
				_, err := w.apply(t.Context(), singleton(w, "v2"))
				stop()
				if fails != "" {
					want = allV1
				}
				if (err != nil) != (fails != "") || w.versions() != want {
					t.Errorf("%s: %v\n%s", w.versions(), err, w.progress())
				}
				if n := most(); n != 1 {
					t.Errorf("%d at once", n)
				}
			})
		})
	}
}

// most counts all the time how many containers of a role run on a host, and gives the highest count.
func (w *world) most(host, role string) (stop func(), most func() int) {
	quit, done := make(chan struct{}), make(chan int, 1)
	go func() {
		highest := 0
		for {
			select {
			case <-quit:
				done <- highest
				return
			case <-time.After(5 * time.Millisecond):
			}
			count := 0
			for _, c := range w.Containers(host, state.View{}) {
				if c.Role == role && c.Running() {
					count++
				}
			}
			highest = max(highest, count)
		}
	}()
	return func() { close(quit) }, func() int { return <-done }
}

// The version that comes back is asked where it answers, which need not be where the failed one was to answer.
func TestWhatComesBackIsAskedAsItsOwnReleaseSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 46)
		before := w.release("v1")
		before.Roles[1].Health = &release.Health{TCP: 3000, Interval: time.Second, Timeout: time.Second}
		w.mustApply(before)
		w.image("v9", sim.Behaviour{Ready: 300 * time.Millisecond, Port: 8080})
		desired := w.release("v9")
		desired.Rollout.Limit = release.Limit{Count: 1}
		desired.Roles[0].Proxy.AppPort = 8080
		desired.Roles[1].Health = &release.Health{TCP: 8080, Interval: time.Second, Timeout: time.Second}
		failed := false
		w.After(func(c sim.Call) error {
			if c.Host == "h3" && c.Method == "Engine.Stop" && !failed { // every host has the new version by then
				failed = true
				return sim.ErrFault
			}
			return nil
		})
		report, err := w.apply(t.Context(), desired)
		if err == nil || !report.Undone || len(report.Left) > 0 || w.versions() != allV1 {
			t.Errorf("%s, left %v: %v\n%s", w.versions(), report.Left, err, w.progress())
		}
		w.mustBeEmpty(before)
	})
}

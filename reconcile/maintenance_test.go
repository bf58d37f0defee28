package reconcile_test

import (
	"context"
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

// answers gives what the web hosts answer.
func (w *world) answers() [2]int {
	return [2]int{w.Answer("h1", "shop.example.com", "/"), w.Answer("h2", "shop.example.com", "/")}
}

var (
	bothServe = [2]int{200, 200}
	bothShut  = [2]int{503, 503}
)

// maintain puts the app in maintenance until `live`.
func (w *world) maintain(ctx context.Context, m reconcile.Maintenance, hosts ...string) (done reconcile.Commanded, err error) {
	w.using(func(c *reconcile.Controller) { done, err = c.Maintain(ctx, w.release("v1"), m, hosts, nil) })
	return done, err
}

func (w *world) live(ctx context.Context, hosts ...string) (done reconcile.Commanded, err error) {
	w.using(func(c *reconcile.Controller) { done, err = c.Live(ctx, w.release("v1"), hosts, nil) })
	return done, err
}

func TestAReleaseInMaintenanceBringsTheNewVersionAndKeepsThe503(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 821)
		w.mustApply(w.release("v1"))
		done, err := w.maintain(t.Context(), reconcile.Maintenance{Message: "soon", Reason: "migration", Drain: -1})
		if err != nil || len(done.Done) != 2 || w.answers() != bothShut || w.Routes("h1")[0].StopMessage != "soon" {
			t.Fatalf("%+v %v %v", done, err, w.answers())
		}
		w.mustBeEmpty(w.release("v1"))
		w.mustApply(w.release("v2"))
		if w.versions() != allV2 || w.answers() != bothShut {
			t.Errorf("%s %v", w.versions(), w.answers())
		}
		w.image("v9", sim.NeverHealthy(503))
		if report, err := w.apply(t.Context(), w.release("v9")); err == nil || !report.Undone || w.versions() != allV2 || w.answers() != bothShut {
			t.Errorf("a broken version is let through because nobody sees it: %s %v %v", w.versions(), w.answers(), err)
		}
		if _, err := w.live(t.Context()); err != nil || w.answers() != bothServe {
			t.Errorf("%v %v", err, w.answers())
		}
		if planned := w.planWith(w.release("v2"), reconcile.Options{}); !planned.Plan.Empty() || len(planned.Plan.Gates) > 0 {
			t.Errorf("%+v", planned.Plan.Gates)
		}
		w.noLocks(0)
	})
}

func TestMaintenanceIsNotedBeforeItIsDoneAndInTheHostsAuditFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 822)
		w.mustApply(w.release("v1"))
		noted := false
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Stop" {
				events, _ := w.store.Events(state.App{}, 0)
				for _, e := range events {
					noted = noted || e.Kind == "maintenance" && e.Outcome == state.EventIntended && e.Host == c.Host && e.Role == "web"
				}
			}
			return nil
		})
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{}, "h1"); err != nil || !noted {
			t.Errorf("noted %t: %v", noted, err)
		}
		if file, _ := w.File("h1", ".kamal/shop-audit.log"); !strings.Contains(string(file), "[web] Put in maintenance") {
			t.Errorf("%s", file)
		}
		if w.answers() != [2]int{503, 200} {
			t.Errorf("only h1 was meant: %v", w.answers())
		}
		w.store.full = context.DeadlineExceeded
		before := len(w.History())
		if _, err := w.live(t.Context()); err == nil || len(w.History()) > before {
			t.Errorf("without a store something is done: %v", err)
		}
	})
}

func TestMaintenanceThatFailsOnAHostSaysSoAndCanBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 823)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h1" && (c.Method == "Proxy.Stop" || c.Method == "Proxy.Resume") {
				return sim.ErrFault
			}
			return nil
		})
		done, err := w.maintain(t.Context(), reconcile.Maintenance{})
		if err == nil || done.Done[0].Error == "" || done.Done[1].Error != "" || w.answers() != [2]int{200, 503} {
			t.Errorf("%+v %v %v", done, err, w.answers())
		}
		if planned := w.planWith(w.release("v1"), reconcile.Options{}); len(planned.Plan.Gates) != 1 || planned.Plan.Gates[0].Host != "h2" || !planned.Plan.Empty() {
			t.Errorf("%+v", planned.Plan.Gates)
		}
		w.ClearHooks()
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{}); err != nil || w.answers() != bothShut {
			t.Errorf("%v %v", err, w.answers())
		}
		w.Cut("h2")
		done, err = w.live(t.Context())
		if err != nil || len(done.Skipped) != 1 || done.Skipped[0].Host != "h2" {
			t.Errorf("%+v %v", done, err)
		}
		w.Restore("h2")
		if _, err := w.live(t.Context()); err != nil || w.answers() != bothServe {
			t.Errorf("%v %v", err, w.answers())
		}
	})
}

func TestWhatAHandOrKamalHasStoppedIsShownAndLiftedByLiveOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 824)
		w.mustApply(w.release("v1"))
		route := w.Routes("h1")[0]
		route.Stopped = true
		w.SetRoute("h1", route)
		w.mustBeEmpty(w.release("v1"))
		w.using(func(c *reconcile.Controller) {
			drift, err := c.Drift(t.Context(), w.release("v1"), reconcile.Options{})
			if err != nil || len(drift.Plan.Drifted()) > 0 || len(drift.Plan.Gates) != 1 || drift.Plan.Gates[0].Intent != nil {
				t.Errorf("%+v %v", drift.Plan.Gates, err)
			}
		})
		w.mustApply(w.release("v2"))
		if w.answers() != [2]int{503, 200} {
			t.Errorf("a release lifts it: %v", w.answers())
		}
		if _, err := w.live(t.Context()); err != nil || w.answers() != bothServe {
			t.Errorf("%v %v", err, w.answers())
		}
	})
}

func TestMaintenanceEndsAtItsTimeWithTheNextApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 825)
		w.mustApply(w.release("v1"))
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		w.mustBeEmpty(w.release("v1"))
		time.Sleep(time.Hour)
		report, err := w.apply(t.Context(), w.release("v1"))
		if err != nil || report.Kind != plan.KindHeal || w.answers() != bothServe {
			t.Fatalf("%+v %v %v", report, err, w.answers())
		}
		route := w.Routes("h1")[0]
		route.Stopped = true
		w.SetRoute("h1", route) // a hand, for another reason
		w.mustBeEmpty(w.release("v1"))
		if w.answers() != [2]int{503, 200} {
			t.Errorf("%v", w.answers())
		}
		if _, err := w.live(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{Until: time.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.mustApply(w.release("v2"))
		if w.answers() != bothServe {
			t.Errorf("a release after its time: %v", w.answers())
		}
	})
}

func TestARouteThatWasLostInMaintenanceComesBackShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 826)
		w.mustApply(w.release("v1"))
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{Message: "soon"}); err != nil {
			t.Fatal(err)
		}
		w.RemoveRoute("h1", "shop-web")
		w.mustApply(w.release("v1"))
		if w.answers() != bothShut || w.Routes("h1")[0].StopMessage != "soon" {
			t.Errorf("%v %+v", w.answers(), w.Routes("h1"))
		}
	})
}

func TestAPauseHoldsRequestsAndIsNoMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 827)
		w.mustApply(w.release("v1"))
		pause := func() (reconcile.Commanded, error) {
			c := w.controller()
			defer func() { _ = c.Close() }()
			return c.PauseRoutes(t.Context(), w.release("v1"), 0, time.Minute, nil, nil)
		}
		resume := func() (reconcile.Commanded, error) {
			c := w.controller()
			defer func() { _ = c.Close() }()
			return c.ResumeRoutes(t.Context(), w.release("v1"), nil, nil)
		}
		if _, err := pause(); err != nil || !w.Routes("h1")[0].Paused || w.Routes("h2")[0].MaxPause != time.Minute {
			t.Errorf("%v %+v", err, w.Routes("h1"))
		}
		w.mustBeEmpty(w.release("v1"))
		if _, err := resume(); err != nil || w.answers() != bothServe {
			t.Errorf("%v %v", err, w.answers())
		}
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{}, "h1"); err != nil {
			t.Fatal(err)
		}
		for name, act := range map[string]func() (reconcile.Commanded, error){"pause": pause, "resume": resume} {
			if done, err := act(); err == nil || !strings.Contains(done.Done[0].Error, "kamald app live") || !w.Routes("h1")[0].Stopped {
				t.Errorf("%s ends a maintenance: %+v %v", name, done, err)
			}
		}
	})
}

// Whatever happens to one call of the two commands, doing the same again brings what was asked for.
func TestMaintenanceAndLiveCanBeRepeatedAfterAnyFault(t *testing.T) {
	step := 29
	if long() {
		step = 1
	}
	for name, inject := range map[string]func(w *world, n int){
		"fails":           func(w *world, n int) { w.FailNth(n) },
		"reply is lost":   func(w *world, n int) { w.LostReplyNth(n) },
		"is torn":         func(w *world, n int) { w.TearNth(n) },
		"hangs":           func(w *world, n int) { w.HangNth(n) },
		"killed after it": func(w *world, n int) { w.KillAfterNth(n) },
	} {
		t.Run(name, func(t *testing.T) {
			for n, met := 1, true; met; n += step {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 828)
					w.mustApply(w.release("v1"))
					for _, c := range []struct {
						do   func() (reconcile.Commanded, error)
						want [2]int
					}{
						{func() (reconcile.Commanded, error) { return w.maintain(t.Context(), reconcile.Maintenance{}) }, bothShut},
						{func() (reconcile.Commanded, error) { return w.live(t.Context()) }, bothServe},
					} {
						first := w.Calls()
						inject(w, first+n)
						done, err := c.do()
						met = w.Calls()-first >= n
						w.ClearHooks()
						w.Revive()
						if err == nil && len(done.Skipped) == 0 && w.answers() != c.want {
							t.Errorf("n=%d: it says that it is done: %+v %v", n, done, w.answers())
						}
						time.Sleep(2 * time.Minute)
						if _, err := c.do(); err != nil || w.answers() != c.want {
							t.Errorf("n=%d: again: %v %v", n, err, w.answers())
						}
						w.mustBeEmpty(w.release("v1"))
						w.noLocks(n)
					}
				})
			}
		})
	}
}

func TestNoRouteIsStoppedOfARoleThatIsNotProxiedOrOutOfScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 829)
		desired := w.release("v1")
		desired.Roles[1].Proxy = &release.Proxy{AppPort: 3000, Options: desired.Roles[0].Proxy.Options}
		w.mustApply(desired)
		w.using(func(c *reconcile.Controller) {
			done, err := c.Maintain(t.Context(), desired, reconcile.Maintenance{}, nil, []string{"work*"})
			if err != nil || len(done.Done) != 1 || done.Done[0].Host != "h3" || !w.Routes("h3")[0].Stopped || w.answers() != bothServe {
				t.Errorf("%+v %v", done, err)
			}
			if _, err := c.Maintain(t.Context(), w.release("v1"), reconcile.Maintenance{}, []string{"h3"}, nil); err == nil || !strings.Contains(err.Error(), "proxied") {
				t.Errorf("%v", err)
			}
		})
	})
}

func TestLiveDoesNotSayThatARouteServesThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 830)
		w.mustApply(w.release("v1"))
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{}, "h2"); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"h1", "h2"} {
			w.RemoveRoute(host, "shop-web")
		}
		done, err := w.live(t.Context())
		if err == nil || !strings.Contains(done.Done[0].Error, "does not know the route shop-web") {
			t.Errorf("nobody asked for a maintenance on h1, and it serves nothing: %+v %v", done.Done, err)
		}
		if did := done.Done[1].Did; !strings.Contains(did, "there is no route: `kamald apply` makes it") || strings.Contains(did, "serves") {
			t.Errorf("h2: %q", did)
		}
		if w.mustApply(w.release("v1")); w.answers() != bothServe {
			t.Errorf("the maintenance on h2 was ended: %v", w.answers())
		}
	})
}

func TestLiveOfWhatWasStoppedOnPurposeSaysWhatStartsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 831)
		w.mustApply(w.release("v1"))
		if _, err := w.maintain(t.Context(), reconcile.Maintenance{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{Reason: "new disk"}, nil, nil); err != nil {
			t.Fatal(err)
		}
		for _, said := range []func(reconcile.CommandedOn) string{
			func(on reconcile.CommandedOn) string { return on.Did },
			func(on reconcile.CommandedOn) string { return on.Error }, // again: there is no maintenance to end any more
		} {
			done, _ := w.live(t.Context())
			for _, on := range done.Done {
				if !strings.Contains(said(on), "new disk; `kamald app start` starts it") {
					t.Errorf("%+v", on)
				}
			}
		}
		if _, err := w.startApp(); err != nil || w.answers() != bothServe {
			t.Errorf("%v %v", err, w.answers())
		}
	})
}

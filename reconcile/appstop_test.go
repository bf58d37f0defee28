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

// stopApp stops roles on purpose, in a run of its own.
func (w *world) stopApp(ctx context.Context, why reconcile.StopReason, hosts, roles []string) (done reconcile.Commanded, err error) {
	w.using(func(c *reconcile.Controller) { done, err = c.StopApp(ctx, w.release("v1"), why, hosts, roles) })
	return done, err
}

// held carries out something of the held release.
func (w *world) held(do func(*reconcile.Controller, context.Context, release.Release, reconcile.Options) (reconcile.Report, error), options reconcile.Options) (report reconcile.Report, err error) {
	w.using(func(c *reconcile.Controller) { report, err = do(c, w.t.Context(), w.release("v1"), options) })
	return report, err
}

func (w *world) startApp(hosts ...string) (reconcile.Report, error) {
	return w.held((*reconcile.Controller).StartApp, reconcile.Options{Hosts: hosts})
}

// healing is what healing would plan of the held release.
func (w *world) healing() (repairs reconcile.Planned) {
	w.t.Helper()
	w.using(func(c *reconcile.Controller) {
		survey, err := c.Survey(w.t.Context(), w.release("v1"), reconcile.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		repairs = survey.Repairs
	})
	return repairs
}

const onlyH1AndWorkers = "h1/web=v1 h3/workers=v1"

func TestWhatWasStoppedOnPurposeIsLeftUntilItIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 901)
		w.mustApply(w.release("v1"))
		noted := false
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && (c.Method == "Proxy.Stop" || c.Method == "Proxy.Remove" || c.Method == "Engine.Stop") {
				file, _ := w.File("h2", ".kamal/apps/shop/kamald/intents/stop-h2~web.json")
				noted = strings.Contains(string(file), `"reason": "new disk"`)
				if !noted {
					t.Errorf("%s before it is on the host", c)
				}
			}
			return nil
		})
		done, err := w.stopApp(t.Context(), reconcile.StopReason{Reason: "new disk"}, []string{"h2"}, nil)
		if err != nil || len(done.Done) != 1 || done.Done[0].Did != "stopped shop-web-v1" || !noted {
			t.Fatalf("%+v %v", done, err)
		}
		w.ClearHooks()
		if w.versions() != onlyH1AndWorkers || len(w.Routes("h2")) != 0 || len(w.Routes("h1")) != 1 {
			t.Errorf("%s, routes %v", w.versions(), w.Routes("h2"))
		}
		planned := w.planWith(w.release("v1"), reconcile.Options{})
		if !planned.Plan.Empty() || len(planned.Plan.Items) > 0 || len(planned.Plan.Gates) != 1 || !strings.Contains(planned.Plan.Gates[0].String(), "web was stopped on purpose by") {
			t.Errorf("%+v %+v", planned.Plan.Items, planned.Plan.Gates)
		}
		if repairs := w.healing(); len(repairs.Plan.Steps) > 0 {
			t.Errorf("healing would bring it back: %+v", repairs.Plan.Items)
		}
		w.mustApply(w.release("v1"))
		if w.versions() != onlyH1AndWorkers {
			t.Errorf("an apply brought it back: %s", w.versions())
		}
		report, err := w.startApp("h2")
		if err != nil || w.versions() != allV1 || w.answers() != bothServe || report.Command != "start" || report.Kind != plan.KindHeal {
			t.Fatalf("%+v %v: %s %v\n%s", report, err, w.versions(), w.answers(), w.progress())
		}
		w.mustBeEmpty(w.release("v1"))
		if planned := w.planWith(w.release("v1"), reconcile.Options{}); len(planned.Plan.Gates) > 0 {
			t.Errorf("%+v", planned.Plan.Gates)
		}
		w.noLocks(0)
	})
}

func TestAStopIsTakenBackOnlyWhenTheRoleServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902)
		w.mustApply(w.release("v1"))
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{}, []string{"h2"}, nil); err != nil {
			t.Fatal(err)
		}
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Proxy.Deploy" {
				return sim.ErrFault
			}
			return nil
		})
		if _, err := w.startApp(); err == nil {
			t.Fatal("a route that cannot be made is no failure")
		}
		w.ClearHooks()
		if gates := w.planWith(w.release("v1"), reconcile.Options{}).Plan.Gates; len(gates) != 1 || gates[0].Host != "h2" {
			t.Errorf("that it was stopped is forgotten: %+v", gates)
		}
		if _, err := w.startApp(); err != nil || w.versions() != allV1 || w.answers() != bothServe {
			t.Errorf("%v %s %v", err, w.versions(), w.answers())
		}
	})
}

func TestAStopEndsAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		w.mustApply(w.release("v1"))
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{Until: time.Now().Add(time.Hour)}, nil, []string{"workers"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if repairs := w.healing(); len(repairs.Plan.Steps) > 0 {
			t.Errorf("%+v", repairs.Plan.Items)
		}
		time.Sleep(time.Hour)
		if report, err := w.apply(t.Context(), w.release("v1")); err != nil || report.Kind != plan.KindHeal || w.versions() != allV1 {
			t.Errorf("%+v %v %s", report, err, w.versions())
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

func TestAReleaseLeavesWhatWasStoppedAndAStartBringsItAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 904)
		w.mustApply(w.release("v1"))
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{}, []string{"h2", "h3"}, nil); err != nil {
			t.Fatal(err)
		}
		if report, err := w.apply(t.Context(), w.release("v2")); err != nil || report.Kind != plan.KindRelease {
			t.Fatalf("%+v %v\n%s", report, err, w.progress())
		}
		w.mustBeEmpty(w.release("v2"))
		if w.versions() != "h1/web=v2" || w.latest("h1") != "v2" || w.latest("h2") != "v1" {
			t.Errorf("%s, latest %s and %s", w.versions(), w.latest("h1"), w.latest("h2"))
		}
		if planned := w.planWith(w.release("v2"), reconcile.Options{}); len(planned.Plan.Moved) > 0 {
			t.Errorf("a host that was left out is taken for one that a hand moved: %v", planned.Plan.Moved)
		}
		if report, err := w.held((*reconcile.Controller).StartApp, reconcile.Options{}); err != nil || w.versions() != allV2 || w.answers() != bothServe {
			t.Fatalf("%+v %v %s\n%s", report, err, w.versions(), w.progress())
		}
		w.mustBeEmpty(w.release("v2"))
		if w.latest("h2") != "v2" || w.latest("h3") != "v2" {
			t.Errorf("latest is %s and %s", w.latest("h2"), w.latest("h3"))
		}
	})
}

func TestNothingIsReleasedToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		w.mustApply(w.release("v1"))
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{Reason: "move"}, nil, nil); err != nil || w.versions() != "" {
			t.Fatal(err, w.versions())
		}
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil || !strings.Contains(err.Error(), "everything in scope was stopped on purpose") || !strings.Contains(err.Error(), "move") {
			t.Errorf("%v", err)
		}
		if report, err := w.held((*reconcile.Controller).StartApp, reconcile.Options{Roles: []string{"workers"}}); err != nil || w.versions() != "h3/workers=v1" {
			t.Fatalf("%+v %v", report, err)
		}
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil || !strings.Contains(err.Error(), "it was stopped on purpose on every host in scope") {
			t.Errorf("workers without the barrier: %v", err)
		}
		if w.versions() != "h3/workers=v1" {
			t.Errorf("%s", w.versions())
		}
	})
}

func TestAStopOfServersWithoutARecordIsTakenBackToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := observed(newWorld(t, 906))
		deployedByKamal(h)
		w := h.world
		w.ClearHooks()
		if _, err := w.stopApp(t.Context(), reconcile.StopReason{}, nil, nil); err != nil || w.versions() != "" {
			t.Fatal(err, w.versions())
		}
		report, err := w.held((*reconcile.Controller).StartApp, reconcile.Options{})
		if err != nil || w.versions() != allV1 || w.answers() != bothServe {
			t.Errorf("%+v %v %s %v\n%s", report, err, w.versions(), w.answers(), w.progress())
		}
		if report.Kind != plan.KindHeal {
			t.Errorf("a start is a %s", report.Kind)
		}
		if _, err := w.held((*reconcile.Controller).RestartApp, reconcile.Options{}); err == nil || !strings.Contains(err.Error(), "kamald adopt") {
			t.Errorf("%v", err)
		}
	})
}

func TestARestartMakesEveryContainerAnewAndFailsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := observed(newWorld(t, 907))
		h.must(h.release("v1"))
		before := h.ids()
		c := h.run("restart", h.release("v1"), func(c *reconcile.Controller) (reconcile.Report, error) {
			return c.RestartApp(t.Context(), h.release("v1"), reconcile.Options{})
		})
		if c.err != nil || h.versions() != allV1 {
			t.Fatalf("%v %s\n%s", c.err, h.versions(), h.progress())
		}
		for id := range h.ids() {
			if before[id] {
				t.Errorf("%s is still there", id)
			}
		}
		h.mustBeEmpty(h.release("v1"))
		if found := h.violations(); len(found) > 0 {
			t.Errorf("%s", strings.Join(found, "\n"))
		}
		if next := strings.Index(h.progress(), "begin h2 rename/"); next < strings.Index(h.progress(), "done h1 stop/h1/web") {
			t.Errorf("not one host after the other:\n%s", h.progress())
		}
	})
}

// ids are the IDs of the app's containers that run.
func (w *world) ids() map[string]bool {
	ids := map[string]bool{}
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Role != "" && c.Running() {
				ids[c.ShortID()] = true
			}
		}
	}
	return ids
}

func TestARestartThatFailsOnAHostStopsThereAndKeepsWhatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 908)
		w.mustApply(w.release("v1"))
		old := w.Routes("h2")[0].TargetID()
		first := w.Routes("h1")[0].TargetID()
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Engine.Start" {
				return sim.ErrFault
			}
			return nil
		})
		report, err := w.held((*reconcile.Controller).RestartApp, reconcile.Options{Roles: []string{"web"}})
		if err == nil || !report.Undone || w.answers() != bothServe || w.versions() != allV1 {
			t.Fatalf("%+v %v %v %s", report, err, w.answers(), w.versions())
		}
		if w.Routes("h2")[0].TargetID() != old || w.Routes("h1")[0].TargetID() == first {
			t.Errorf("h1 is restarted and h2 is as it was: %v %v", w.Routes("h1")[0].Targets, w.Routes("h2")[0].Targets)
		}
		w.ClearHooks()
		w.mustBeEmpty(w.release("v1"))
	})
}

func TestASingletonsOldContainerStopsBeforeTheNewOneStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 909)
		desired := w.release("v1")
		desired.Roles[1].Singleton = true
		w.mustApply(desired)
		ran := 0
		w.Before(func(c sim.Call) error {
			if c.Host == "h3" && c.Method == "Engine.Start" {
				ran = len(strings.Fields(w.versions())) - 2
			}
			return nil
		})
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RestartApp(t.Context(), desired, reconcile.Options{Roles: []string{"workers"}}); err != nil {
				t.Fatal(err)
			}
		})
		if ran != 0 || w.versions() != allV1 {
			t.Errorf("%d ran when the new one started; %s", ran, w.versions())
		}
	})
}

func TestWhatIsStaleIsShownAndStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 910)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		for _, c := range w.Containers("h2", state.View{}) {
			if c.Name == "shop-web-v1" {
				w.StartContainer("h2", c.Name)
			}
		}
		w.using(func(c *reconcile.Controller) {
			look, err := c.Look(t.Context(), w.release("v2"), nil, nil, false)
			stale := []string{}
			for _, x := range look.Containers(w.release("v2")) {
				if x.Stale {
					stale = append(stale, x.Host+"/"+x.Name)
				}
			}
			if err != nil || strings.Join(stale, " ") != "h2/shop-web-v1" {
				t.Errorf("%v %v", stale, err)
			}
			done, err := c.StopStale(t.Context(), w.release("v2"), nil, nil)
			if err != nil || done.Done[1].Did != "stopped shop-web-v1" || !done.Done[0].Unchanged {
				t.Errorf("%+v %v", done, err)
			}
		})
		if w.versions() != allV2 || w.answers() != bothServe {
			t.Errorf("%s %v", w.versions(), w.answers())
		}
		w.noLocks(0)
	})
}

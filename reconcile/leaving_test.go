package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// without takes a host out of a release.
func without(desired release.Release, name string) release.Release {
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(h release.Host) bool { return h.Name == name })
	desired.Roles = slices.Clone(desired.Roles)
	for i, role := range desired.Roles {
		desired.Roles[i].Hosts = slices.DeleteFunc(slices.Clone(role.Hosts), func(h string) bool { return h == name })
	}
	return desired
}

func TestAHostThatLeftTheFileIsEmptiedAndThenLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 401)
		w.mustApply(w.release("v1"))
		w.store = &memory{} // the record on the servers is enough to know
		left := without(w.release("v1"), "h2")
		report, err := w.apply(t.Context(), left)
		if err != nil || w.versions() != "h1/web=v1 h3/workers=v1" || len(w.Routes("h2")) > 0 || len(w.Containers("h2", state.View{})) > 1 {
			t.Fatalf("%s %v %v\n%s", w.versions(), w.Routes("h2"), err, w.progress())
		}
		if i := slices.IndexFunc(report.Rows, func(r reconcile.Row) bool { return r.Host == "h2" }); i < 0 || report.Rows[i].Before != "v1" || report.Rows[i].Now != "" {
			t.Errorf("rows: %+v", report.Rows)
		}
		w.noLocks(0)
		w.mustBeEmpty(left)
		w.Cut("h2")
		w.mustBeEmpty(left)
		if planned := w.planWith(left, reconcile.Options{}); len(planned.Plan.Left) > 0 {
			t.Errorf("an emptied host is still asked for: %+v", planned.Plan.Left)
		}
	})
}

func TestALeavingHostThatIsDownBlocksNothingAndIsEmptiedWhenItReturnsOrForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 402)
		w.mustApply(w.release("v1"))
		w.Cut("h2")
		left := without(w.release("v2"), "h2")
		report, err := w.apply(t.Context(), left)
		if err != nil || len(report.LeftBehind) != 1 || report.LeftBehind[0].Host != "h2" || report.Outcome != state.OutcomeSucceeded {
			t.Fatalf("%+v %v", report, err)
		}
		w.store = &memory{}
		if planned := w.planWith(left, reconcile.Options{}); len(planned.Plan.Left) != 1 || !planned.Plan.Empty() {
			t.Errorf("after the release it is forgotten: %+v", planned.Plan)
		}
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Forget(t.Context(), left, "h1"); err == nil || !strings.Contains(err.Error(), "in the file") {
			t.Errorf("a host of the file: %v", err)
		}
		if _, err := c.Forget(t.Context(), left, "h2"); err != nil {
			t.Fatal(err)
		}
		w.Restore("h2")
		if planned := w.planWith(left, reconcile.Options{}); len(planned.Plan.Left) > 0 || !planned.Plan.Empty() {
			t.Errorf("it was forgotten: %+v", planned.Plan.Items)
		}
		w.mustApply(w.release("v2")) // it comes back
		w.mustApply(left)
		if w.versions() != "h1/web=v2 h3/workers=v2" {
			t.Errorf("it left again: %s", w.versions())
		}
	})
}

func TestACordonedHostIsLeftOutAndConvergesAfterwards(t *testing.T) {
	for _, cordoned := range []string{"h1", "h2"} { // h1 is the primary host
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 403)
			w.mustApply(w.release("v1"))
			c := w.controller()
			defer func() { _ = c.Close() }()
			if _, err := c.Cordon(t.Context(), w.release("v1"), cordoned, "its disk is being changed", time.Time{}); err != nil {
				t.Fatal(err)
			}
			w.Cut(cordoned)
			w.store = &memory{}
			report, err := w.apply(t.Context(), w.release("v2"))
			if err != nil || len(report.Cordoned) != 1 || !strings.Contains(report.Cordoned[0].Reason, "its disk") || report.Outcome != state.OutcomeSucceeded {
				t.Fatalf("%s: %+v %v", cordoned, report, err)
			}
			if want := strings.Replace(allV2, cordoned+"/web=v2", cordoned+"/web=v1", 1); w.versions() != want {
				t.Errorf("%s, want %s", w.versions(), want)
			}
			w.noLocks(0)
			calls := 0
			w.Before(func(c sim.Call) error {
				if c.Host == cordoned {
					calls++
				}
				return nil
			})
			w.mustBeEmpty(w.release("v2"))
			if calls > 0 {
				t.Errorf("%d calls to a cordoned host", calls)
			}
			w.ClearHooks()
			w.Restore(cordoned)
			if _, err := c.Uncordon(t.Context(), w.release("v2"), cordoned); err != nil {
				t.Fatal(err)
			}
			w.mustApply(w.release("v2"))
			if w.versions() != allV2 {
				t.Errorf("after it: %s", w.versions())
			}
		})
	}
}

// A release that no host would take part in is not called done.
func TestAReleaseToCordonedHostsOnlyIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		cordoned []string
		options  reconcile.Options
	}{
		"all":             {cordoned: []string{"h1", "h2", "h3"}},
		"all of its part": {[]string{"h2"}, reconcile.Options{Hosts: []string{"h2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 406)
				w.mustApply(w.release("v1"))
				for _, host := range c.cordoned {
					w.cordon(host, time.Time{})
				}
				w.using(func(run *reconcile.Controller) {
					report, err := run.Apply(t.Context(), w.release("v2"), c.options)
					if !errors.Is(err, reconcile.ErrProblems) || !strings.Contains(err.Error(), "kamald server uncordon h2") {
						t.Errorf("%+v: %v", report, err)
					}
				})
			})
		})
	}
}

func TestARepairNeedsNotEveryHostAndAReleaseDoes(t *testing.T) {
	for _, down := range []string{"h1", "h2"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 404)
			w.mustApply(w.release("v1"))
			w.Cut(down)
			w.StopContainer("h3", "shop-workers-v1")
			if _, err := w.apply(t.Context(), w.release("v2")); err == nil || !strings.Contains(err.Error(), "--skip-unreachable") {
				t.Errorf("a release without %s: %v", down, err)
			}
			report, err := w.apply(t.Context(), w.release("v1"))
			if err != nil || report.Outcome != state.OutcomePartial || len(report.Skipped) != 1 || !strings.Contains(w.versions(), "h3/workers=v1") {
				t.Errorf("a repair without %s: %+v %v", down, report, err)
			}
			w.Restore(down)
			w.mustBeEmpty(w.release("v1"))
		})
	}
}

func TestASingletonThatMovesIsNeverThereTwice(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 405)
			before := w.release("v1")
			before.Roles[1].Singleton = true
			w.mustApply(before)
			moved := w.release("v2")
			moved.Roles[1].Singleton, moved.Roles[1].Hosts = true, []string{"h2"}
			if fails {
				w.Before(func(c sim.Call) error {
					if c.Method == "Proxy.Deploy" && c.Host == "h1" {
						return sim.ErrFault
					}
					return nil
				})
			}
			most, stop, done := 0, make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						most = max(most, strings.Count(w.versions(), "/workers="))
					}
				}
			}()
			_, err := w.apply(t.Context(), moved)
			close(stop)
			<-done
			want := "h1/web=v2 h2/web=v2 h2/workers=v2"
			if fails {
				want = allV1
			}
			if most > 1 || (err != nil) != fails || w.versions() != want {
				t.Errorf("%d at once, %s: %v\n%s", most, w.versions(), err, w.progress())
			}
		})
	}
}

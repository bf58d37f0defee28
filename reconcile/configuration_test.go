package reconcile_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// reconfigurations change v1's release and leave its version.
var reconfigurations = map[string]struct {
	before, after func(*release.Release)
	want          string // what runs then
}{
	"a route's option": {func(*release.Release) {}, func(desired *release.Release) {
		options := desired.Roles[0].Proxy.Options
		options.Hosts = []string{"shop.example.com"}
		desired.Roles[0].Proxy = &release.Proxy{AppPort: 3000, Options: options}
	}, allV1},
	"a role that left": {func(desired *release.Release) {
		cron := desired.Roles[1]
		cron.Name, cron.Hosts = "cron", []string{"h2"}
		desired.Roles = append(desired.Roles, cron)
	}, func(*release.Release) {}, allV1},
	"a variable": {func(*release.Release) {}, func(desired *release.Release) {
		for i := range desired.Roles {
			desired.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": "debug"}
		}
	}, allV1},
}

func TestAnotherConfigurationIsAReleaseAndNoDrift(t *testing.T) {
	for name, r := range reconfigurations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 51)
				before, after := w.release("v1"), w.release("v1")
				r.before(&before)
				r.after(&after)
				w.mustApply(before)
				planned := w.plan(after, reconcile.Options{})
				if planned.Plan.Kind != plan.KindConfig || len(planned.Plan.Drifted()) > 0 {
					t.Errorf("planned as %s: %+v", planned.Plan.Kind, planned.Plan.Items)
				}
				w.mustApply(after)
				if got := w.versions(); got != r.want {
					t.Errorf("after it: %s", got)
				}
				w.mustBeRecorded(2, plan.KindConfig)
				w.mustHoldStill(after)
			})
		})
	}
}

func TestAConfigurationThatWasInterruptedIsCompletedAndRecorded(t *testing.T) {
	for name, at := range map[string]string{"while it makes containers": "Engine.Create", "while it stops the old ones": "Engine.Stop"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 52)
				w.mustApply(w.release("v1"))
				desired := w.release("v1")
				reconfigurations["a variable"].after(&desired)
				var met atomic.Int32
				w.After(func(c sim.Call) error {
					if c.Method == at && met.Add(1) == 3 {
						w.Kill()
					}
					return nil
				})
				if _, err := w.apply(t.Context(), desired); err == nil || !w.Killed() {
					t.Fatalf("it was not killed: %v", err)
				}
				w.ClearHooks()
				w.Revive()
				report := w.mustApply(desired)
				w.mustBeRecorded(report.Release, plan.KindConfig)
				for _, host := range w.Hosts() {
					for _, c := range w.Containers(host, state.View{}) {
						if c.Role != "" && c.Running() && c.Live.Env["LOG_LEVEL"] != "debug" {
							t.Errorf("%s: %s runs with LOG_LEVEL=%s", host, c.Name, c.Live.Env["LOG_LEVEL"])
						}
					}
				}
				w.mustHoldStill(desired)
			})
		})
	}
}

// plan gives the plan of a run of its own.
func (w *world) plan(desired release.Release, options reconcile.Options) reconcile.Planned {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, options)
	if err != nil {
		w.t.Fatal(err)
	}
	return planned
}

// mustBeRecorded wants a release to be recorded as succeeded in the store.
func (w *world) mustBeRecorded(number int, kind plan.Kind) {
	w.t.Helper()
	record, there := w.store.releases[number]
	if !there || record.Kind != string(kind) || record.Outcome != state.OutcomeSucceeded {
		w.t.Errorf("release %d is recorded as %q %q", number, record.Kind, record.Outcome)
	}
}

// mustHoldStill wants the servers to be as the held release says.
func (w *world) mustHoldStill(file release.Release) {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Drift(w.t.Context(), file, reconcile.Options{})
	if err != nil || !planned.Plan.Empty() || len(planned.Plan.Drifted()) > 0 {
		w.t.Errorf("drift: %+v %v", planned.Plan.Items, err)
	}
}

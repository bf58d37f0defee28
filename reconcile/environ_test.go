package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestContainersGetWhatTheirHostSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 811)
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "at ${NODE}"}
		}
		w.SetVariable("h1", "NODE", "h1!")
		w.SetVariable("h2", "NODE", "h2!")
		if _, err := w.applyWith(desired, reconcile.Options{}); err == nil || !strings.Contains(err.Error(), "has no NODE") {
			t.Errorf("h3 does not set it: %v", err)
		}
		w.SetVariable("h3", "NODE", "h3!")
		w.mustApply(desired)
		for _, host := range []string{"h1", "h2", "h3"} {
			for _, c := range w.Containers(host, state.View{Clear: map[string]bool{"NODE": true}}) {
				if c.Role != "" && c.Live.Env["NODE"] != "at "+host+"!" {
					t.Errorf("%s on %s has %q", c.Name, host, c.Live.Env["NODE"])
				}
			}
		}
		if p := w.mustPlan(desired); !p.Empty() {
			t.Errorf("the plan after it: %+v", p.Items)
		}
		w.SetVariable("h3", "NODE", "moved")
		if p := w.mustPlan(desired); p.Kind != plan.KindConfig {
			t.Errorf("the host says otherwise now, and the plan is %s", p.Kind)
		}
	})
}

// asking is a release of v1 that asks each host for its NODE, which is the host's name.
func (w *world) asking() release.Release {
	desired := w.release("v1")
	for i := range desired.Roles {
		desired.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "${NODE}"}
	}
	for _, host := range w.Hosts() {
		w.SetVariable(host, "NODE", host)
	}
	return desired
}

// What is held is measured as it was released, whatever the file asks the hosts for today.
func TestDriftAsksTheHostsForWhatTheHeldReleaseNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 831)
		held := w.asking()
		w.mustApply(held)
		file := w.release("v1")
		for i := range file.Roles {
			file.Roles[i].Env.Secrets = nil
		}
		w.using(func(c *reconcile.Controller) {
			drift, err := c.Drift(t.Context(), file, reconcile.Options{})
			if err != nil || len(drift.Plan.Problems) > 0 || len(drift.Plan.Items) > 0 {
				t.Errorf("nothing drifted: %+v %+v %v", drift.Plan.Problems, drift.Plan.Items, err)
			}
		})
	})
}

func TestARollbackAsksTheHostsForWhatItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 832)
		first := w.asking()
		w.mustApply(first)
		w.mustApply(w.release("v2"))
		w.using(func(c *reconcile.Controller) {
			if _, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{}); err != nil {
				t.Error(err)
			}
		})
		if got := w.versions(); got != allV1 {
			t.Errorf("it runs %s", got)
		}
	})
}

func TestASavedPlanNamesTheHostsVariableThatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 834)
		desired := w.asking()
		saved := w.save(desired)
		w.SetVariable("h2", "NODE", "moved")
		if _, err := w.applySaved(saved); err == nil || !strings.Contains(err.Error(), "h2: its own variable NODE was h2 and is moved") {
			t.Errorf("%v", err)
		}
		if _, err := w.applySaved(w.save(desired)); err != nil {
			t.Error(err)
		}
	})
}

func TestAHostThatLeftIsNotAskedForVariables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 835)
		desired := w.asking()
		w.mustApply(desired)
		w.mustApply(without(desired, "h2"))
		if got := w.versions(); got != "h1/web=v1 h3/workers=v1" {
			t.Errorf("it runs %s", got)
		}
	})
}

package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// What is held is measured as it was released, whatever the file asks the hosts for today.
func TestDriftAsksTheHostsForWhatTheHeldReleaseNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 831)
		held := w.release("v1")
		for i := range held.Roles {
			held.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "${NODE}"}
		}
		for _, host := range w.Hosts() {
			w.SetVariable(host, "NODE", host)
		}
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
		first := w.release("v1")
		for i := range first.Roles {
			first.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "${NODE}"}
		}
		for _, host := range w.Hosts() {
			w.SetVariable(host, "NODE", host)
		}
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

func TestADiffOfSomeHostsLeavesTheStoredLookWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 833)
		desired := w.release("v1")
		w.mustApply(desired)
		w.using(func(c *reconcile.Controller) {
			scope, err := plan.FilterOf(desired, []string{"h1"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.EnvDiff(t.Context(), desired, scope); err != nil {
				t.Fatal(err)
			}
		})
		desired.Roles[0].Cmd = []string{"serve"}
		if p := w.planWith(desired, reconcile.Options{Stored: true}).Plan; len(p.Problems) > 0 || p.Empty() {
			t.Errorf("the plan from the stored look: %+v", p.Problems)
		}
	})
}

func TestADiffOfSomeHostsIsSilentOnTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 836)
		desired := w.release("v1")
		w.mustApply(desired)
		w.Cut("h2")
		w.with("other", func(c *reconcile.Controller) error {
			scope, err := plan.FilterOf(desired, []string{"h1"}, nil)
			if err != nil {
				return err
			}
			differences, skipped, err := c.EnvDiff(t.Context(), desired, scope)
			if len(differences) != 1 || differences[0].Host != "h1" || len(skipped) > 0 {
				t.Errorf("%+v, skipped %+v", differences, skipped)
			}
			return err
		})
	})
}

func TestASavedPlanNamesTheHostsVariableThatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 834)
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "${NODE}"}
		}
		for _, host := range w.Hosts() {
			w.SetVariable(host, "NODE", host)
		}
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
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "${NODE}"}
		}
		for _, host := range w.Hosts() {
			w.SetVariable(host, "NODE", host)
		}
		w.mustApply(desired)
		w.mustApply(without(desired, "h2"))
		if got := w.versions(); got != "h1/web=v1 h3/workers=v1" {
			t.Errorf("it runs %s", got)
		}
	})
}

package reconcile_test

import (
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// mustRollBack goes back to the release before.
func (w *world) mustRollBack(current release.Release) reconcile.Report {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	report, err := c.Rollback(w.t.Context(), current, reconcile.Back{}, reconcile.Options{})
	if err != nil || report.Outcome != state.OutcomeSucceeded || report.Kind != plan.KindRollback {
		w.t.Fatalf("the rollback: %s %s %v\n%s", report.Kind, report.Outcome, err, w.progress())
	}
	return report
}

func TestARollbackGoesToTheRightReleaseThoughTheStoreMissedTheLastOne(t *testing.T) {
	for name, forget := range map[string]func(w *world){
		"killed before the store was written": func(w *world) {
			record := w.store.releases[3]
			record.Outcome = state.OutcomeRunning
			w.store.releases[3] = record
		},
		"the store was lost": func(w *world) { w.store = &memory{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 101)
				for _, version := range []string{"v1", "v2", "v3"} {
					w.mustApply(w.release(version))
				}
				forget(w)
				w.mustRollBack(w.release("v3"))
				if got := w.versions(); got != allV2 {
					t.Errorf("after the rollback: %s", got)
				}
				if record := w.store.releases[3]; record.Version != "v3" || record.Outcome != state.OutcomeSucceeded {
					t.Errorf("release 3 is recorded as %s %s", record.Version, record.Outcome)
				}
			})
		})
	}
}

func TestARollbackBringsAHostThatJoinedSinceAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 102)
		w.mustApply(w.release("v1"))
		w.AddHost("h4")
		grown := w.release("v2")
		grown.Hosts = append(grown.Hosts, release.Host{Name: "h4", Address: "h4", SSH: grown.SSH})
		grown.Roles[0].Hosts = append(grown.Roles[0].Hosts, "h4")
		w.mustApply(grown)
		report := w.mustRollBack(grown)
		if got := w.versions(); got != "h1/web=v1 h2/web=v1 h3/workers=v1 h4/web=v1" {
			t.Errorf("after the rollback: %s", got)
		}
		for _, host := range w.Hosts() {
			if got := w.latest(host); got != "v1" {
				t.Errorf("latest on %s is %q", host, got)
			}
		}
		if status := w.Request("h4", "shop.example.com", "/"); status != 200 || len(report.Rows) != 4 {
			t.Errorf("h4 answers %d; report: %+v", status, report.Rows)
		}
	})
}

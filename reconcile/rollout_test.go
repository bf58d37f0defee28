package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// What the file says of hosts that cannot be reached counts as what the command line says does.
func TestAReleaseSkipsWhatCannotBeReachedWhereItsFileSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 861)
		w.mustApply(w.release("v1"))
		w.Cut("h2")
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil || w.versions() != allV1 {
			t.Fatalf("without it: %s %v", w.versions(), err)
		}
		desired := w.release("v2")
		desired.Rollout.SkipUnreachable = true
		report, err := w.apply(t.Context(), desired)
		if err != nil || report.Outcome != state.OutcomePartial || len(report.Skipped) != 1 || report.Skipped[0].Host != "h2" {
			t.Fatalf("%s, skipped %v: %v", report.Outcome, report.Skipped, err)
		}
		if got := w.versions(); got != "h1/web=v2 h2/web=v1 h3/workers=v2" {
			t.Errorf("with it: %s", got)
		}
		w.Restore("h2")
		w.mustApply(desired)
		if got := w.versions(); got != "h1/web=v2 h2/web=v2 h3/workers=v2" {
			t.Errorf("when it is back: %s", got)
		}
	})
}

// A role starts when those are healthy that it depends on, and not before.
func TestARoleStartsAfterThoseItDependsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 862)
		desired := w.release("v1")
		clock := desired.Roles[1]
		clock.Name, clock.DependsOn = "clock", []string{"workers"}
		desired.Roles = []release.Role{desired.Roles[0], clock, desired.Roles[1]}
		var order []string
		w.Before(func(c sim.Call) error {
			if c.Host != "h3" || c.Method != "Engine.Start" {
				return nil
			}
			for _, x := range w.Glance("h3") {
				if x.ID == c.Args {
					order = append(order, x.Role)
				}
			}
			return nil
		})
		w.mustApply(desired)
		if !slices.Equal(order, []string{"workers", "clock"}) {
			t.Errorf("started: %v", order)
		}
	})
}

// --retain counts for this release, whatever the file keeps.
func TestAReleaseKeepsAsManyAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 863)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.withRetain(version, 5))
		}
		if _, err := w.applyWith(w.withRetain("v4", 5), reconcile.Options{Retain: 1}); err != nil {
			t.Fatal(err)
		}
		var kept []string
		for _, c := range w.Glance("h1") {
			if c.Role == "web" {
				kept = append(kept, c.Name)
			}
		}
		slices.Sort(kept)
		if got := strings.Join(kept, " "); got != "shop-web-v3 shop-web-v4" || w.images("h1") != "v3 v4" {
			t.Errorf("containers %s, images %s", got, w.images("h1"))
		}
	})
}

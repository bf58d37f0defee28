package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestHealingAgainAndAgainKeepsWhatARollbackNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 111)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(version)) // which keeps two older ones
		}
		for range 3 {
			w.UpdateContainer("h3", "shop-workers-v3", map[string][]string{"cpus": {"500000000"}})
			w.mustApply(w.release("v3"))
		}
		count := map[string]int{}
		for _, c := range w.Containers("h3", state.View{}) {
			if c.Role == "workers" {
				count[c.Version()]++
			}
		}
		if count["v1"] != 1 || count["v2"] != 1 || count["v3"] < 1 || count["v3"] > 2 {
			t.Errorf("containers of versions: %v", count)
		}
		for _, version := range []string{"v1", "v2"} {
			if w.ImageID("h3", repository+":"+version) == "" {
				t.Errorf("the image of %s is gone", version)
			}
		}
		w.mustRollBack(w.release("v3"))
		if got := w.versions(); got != allV2 {
			t.Errorf("after a rollback: %s", got)
		}
	})
}

// A release that broke off half-way serves on some hosts, but nobody goes back to it: what the next release keeps is the one
// before.
func TestAReleaseThatBrokeOffTakesNoPlaceOfOneToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 112)
		at := func(version string) release.Release {
			desired := w.release(version)
			desired.RetainContainers = 1
			desired.Rollout.Limit, desired.Rollout.Halt = release.Limit{Count: 1}, true
			return desired
		}
		w.mustApply(at("v1"))
		w.mustApply(at("v2"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Engine.Create" {
				return sim.ErrFault
			}
			return nil
		})
		if report, err := w.apply(t.Context(), at("v5")); err == nil || report.Rows[0].Now != "v5" {
			t.Fatalf("it did not break off half-way: %v %+v", err, report.Rows)
		}
		w.ClearHooks()
		w.mustApply(at("v3"))
		for _, host := range []string{"h1", "h2"} {
			if !slices.ContainsFunc(w.Containers(host, state.View{}), func(c state.Container) bool { return c.Version() == "v2" }) || w.ImageID(host, repository+":v2") == "" {
				t.Errorf("%s: v2 is gone", host)
			}
		}
		w.mustRollBack(at("v3"))
		if got := w.versions(); got != allV2 {
			t.Errorf("after a rollback: %s", got)
		}
	})
}

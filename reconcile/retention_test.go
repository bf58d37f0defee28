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

// TestAReleaseOfWhichOnlyTheCleaningFailedIsOneToGoBackTo: the servers hold it, so the store must not call it failed, or the next
// release throws away what a rollback needs.
func TestAReleaseOfWhichOnlyTheCleaningFailedIsOneToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		at := func(version string) release.Release {
			desired := w.release(version)
			desired.RetainContainers = 1
			return desired
		}
		w.mustApply(at("v1"))
		w.mustApply(at("v2"))
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Remove" {
				return sim.ErrFault
			}
			return nil
		})
		if report, err := w.apply(t.Context(), at("v3")); err == nil || report.Undone {
			t.Fatalf("the removals did not fail: %+v, %v", report, err)
		}
		w.ClearHooks()
		if records, _ := w.store.Releases(state.App{}); records[0].Version != "v3" || records[0].Outcome != state.OutcomeSucceeded || records[0].Reason == "" {
			t.Errorf("the store says %s of %s: %q", records[0].Outcome, records[0].Version, records[0].Reason)
		}
		w.mustApply(at("v4"))
		c := w.controller()
		defer func() { _ = c.Close() }()
		report, err := c.Rollback(t.Context(), at("v4"), reconcile.Back{}, reconcile.Options{})
		if err != nil || w.versions() != strings.ReplaceAll(allV2, "v2", "v3") {
			t.Errorf("back to %s: %+v, %v", w.versions(), report, err)
		}
		made := 0
		for _, call := range w.History() {
			if call.Method == "Engine.Create" && strings.Contains(call.Args, "-v3") {
				made++
			}
		}
		if made != len(w.Hosts()) {
			t.Errorf("%d containers of v3 were made: one on each host, and none to go back to it", made)
		}
	})
}

func TestARollbackToAReleaseThatKeptLessKeepsWhatTheFileSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 844)
		w.mustApply(w.withRetain("v1", 1))
		for _, version := range []string{"v2", "v3", "v4"} {
			w.mustApply(w.withRetain(version, 5))
		}
		if got := w.rollBack(t.Context(), w.withRetain("v4", 5), reconcile.Back{Number: 1}); got.err != nil || w.versions() != allV1 {
			t.Fatalf("%s: %v", w.versions(), got.err)
		}
		if got := w.images("h1"); got != "v1 v2 v3 v4" {
			t.Errorf("images to go back to: %s", got)
		}
		if got := w.rollBack(t.Context(), w.withRetain("v4", 5), reconcile.Back{Number: 3}); got.err != nil || w.versions() != allV3 {
			t.Errorf("%s: %v", w.versions(), got.err)
		}
	})
}

// Another bastion, or one that has lost its store, decides the same: what became of the releases that made what is there is
// asked of the servers.
func TestWhoeverKnowsNothingKeepsWhatARollbackNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 113)
		at := func(version string) release.Release {
			desired := w.release(version)
			desired.RetainContainers, desired.Rollout.Halt = 1, true
			return desired
		}
		w.mustApply(at("v1"))
		w.mustApply(at("v2"))
		w.image("v9", sim.NeverHealthy(503))
		if _, err := w.apply(t.Context(), at("v9")); err == nil {
			t.Fatal("it succeeded")
		}
		w.store = &memory{}
		w.mustApply(at("v2"))
		for _, host := range []string{"h1", "h2"} {
			if !slices.ContainsFunc(w.Containers(host, state.View{}), func(c state.Container) bool { return c.Name == "shop-web-v1" }) {
				t.Errorf("%s: the container to go back to is gone", host)
			}
		}
		if len(w.store.releases) != 3 || w.store.releases[3].Outcome != state.OutcomeFailed {
			t.Errorf("the store knows %+v", w.store.releases)
		}
	})
}

package plan_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// TestARollbackWithinWhatIsKeptFindsItsRecord, whatever was released, and however it ended.
func TestARollbackWithinWhatIsKeptFindsItsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := shop().App()
		keep := rapid.IntRange(1, 4).Draw(t, "keep")
		var known []state.Record
		var there []int
		host := state.Host{Name: "web-1"}
		for n := 1; n <= rapid.IntRange(1, 20).Draw(t, "releases"); n++ {
			there = append(there, n)
			if rapid.IntRange(0, 9).Draw(t, "known") == 0 {
				continue
			}
			known = append(known, state.Record{Number: n, Version: rapid.SampledFrom([]string{"v1", "v2", "v3", "v4", "v5"}).Draw(t, "version"),
				Outcome: rapid.SampledFrom([]state.Outcome{state.OutcomeSucceeded, state.OutcomeSucceeded, state.OutcomeSucceeded, state.OutcomeFailed, state.OutcomePartial, state.OutcomeRunning}).Draw(t, "outcome")})
		}
		labelled := rapid.IntRange(1, len(there)).Draw(t, "label")
		host.Containers = []state.Container{{ID: "c", Service: app.Service, Role: "web", Name: app.ContainerName("web", "v1"), Release: labelled}}
		old := plan.OldRecords(there, known, host, app, keep)
		left := map[int]bool{}
		for _, n := range there {
			left[n] = !slices.Contains(old, n)
		}
		if !left[labelled] {
			t.Fatalf("a container bears %d", labelled)
		}
		versions, succeeded := map[string]bool{}, 0
		for _, r := range slices.Backward(known) {
			if r.Outcome != state.OutcomeSucceeded {
				if !left[r.Number] && succeeded == 0 {
					t.Fatalf("%d is newer than all that succeeded", r.Number)
				}
				continue
			}
			if !versions[r.Version] && len(versions) <= keep && !left[r.Number] {
				t.Fatalf("release %d is the newest of %s, which is within what is kept (%v of %v gone)", r.Number, r.Version, old, known)
			}
			versions[r.Version] = true
			succeeded++
		}
		for _, n := range there {
			if !left[n] && !slices.ContainsFunc(known, func(r state.Record) bool { return r.Number == n && r.Outcome != state.OutcomeRunning }) {
				t.Fatalf("nobody knows how %d ended", n)
			}
		}
		if most := 2*(keep+1) + 2 + 1; succeeded > most && len(known)-len(old) > most+len(known)-succeeded {
			t.Fatalf("%d of %d are left", len(known)-len(old), len(known))
		}
		if again := plan.OldRecords(slices.DeleteFunc(slices.Clone(there), func(n int) bool { return !left[n] }), known, host, app, keep); len(again) > 0 {
			t.Fatalf("a second time: %v", again)
		}
	})
}

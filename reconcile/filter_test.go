package reconcile_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// applyWith makes a version true with options, in a run of its own.
func (w *world) applyWith(desired release.Release, options reconcile.Options) (reconcile.Report, error) {
	c := w.controller()
	defer func() { _ = c.Close() }()
	return c.Apply(w.t.Context(), desired, options)
}

// planWith plans with options, in a run of its own.
func (w *world) planWith(desired release.Release, options reconcile.Options) reconcile.Planned {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, options)
	if err != nil {
		w.t.Fatal(err)
	}
	return planned
}

// snapshotRecord is the partial release that the last look saw on h1.
func (m *memory) snapshotRecord() state.Partial {
	host, _ := m.snapshot.Host("h1")
	if len(host.Partials) == 0 {
		return state.Partial{}
	}
	return host.Partials[0]
}

// drifted gives what drift finds.
func (w *world) drifted(desired release.Release) []plan.Item {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Drift(w.t.Context(), desired, reconcile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return planned.Plan.Drifted()
}

func TestAPartialReleaseIsRecordedSoAndTheNextUnfilteredOneMakesItWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 301)
		w.mustApply(w.release("v1"))
		only := reconcile.Options{Hosts: []string{"h1"}}
		report, err := w.applyWith(w.release("v2"), only)
		if err != nil || report.Outcome != state.OutcomePartial || len(report.Rows) != 1 || report.Rows[0].Now != "v2" || report.Rows[0].Before != "v1" {
			t.Fatalf("%+v %v", report, err)
		}
		if got := w.versions(); got != "h1/web=v2 h2/web=v1 h3/workers=v1" {
			t.Errorf("after it: %s", got)
		}
		if w.latest("h1") != "v1" || w.store.releases[2].Outcome != state.OutcomePartial {
			t.Errorf("latest is %s, the record %+v", w.latest("h1"), w.store.releases[2])
		}
		for host, there := range map[string]bool{"h1": true, "h2": false} {
			if _, ok := w.File(host, ".kamal/apps/shop/kamald/releases/2.json"); ok != there {
				t.Errorf("the record on %s: %t", host, ok)
			}
		}
		w.store = &memory{} // what is on the servers is enough to know
		again := w.planWith(w.release("v2"), only)
		if !again.Plan.Empty() || again.Held == nil || again.Held.Version != "v1" {
			t.Errorf("the second plan: %+v, held %+v", again.Plan.Items, again.Held)
		}
		if drift := w.drifted(w.release("v2")); len(drift) > 0 {
			t.Errorf("the partial release is called drift: %+v", drift)
		}
		if pin := w.planWith(w.release("v2"), reconcile.Options{}).Plan.Pin; pin.From != "partial release 2" || pin.Digest != w.store.snapshotRecord().Digest {
			t.Errorf("the rest is not to be what the part is: %+v", pin)
		}
		if report := w.mustApply(w.release("v2")); report.Outcome != state.OutcomeSucceeded || w.versions() != allV2 || w.latest("h1") != "v2" {
			t.Errorf("%s, latest %s: %+v", w.versions(), w.latest("h1"), report)
		}
	})
}

// Who rolls back after a release to some of the servers wants that undone, and the others left alone.
func TestARollbackAfterAPartialReleaseGoesToWhatWasHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 302)
		w.mustApply(w.release("v1"))
		for _, held := range []string{allV1, allV2} { // also where there is no release before the held one
			next := map[string]string{allV1: "v2", allV2: "v3"}[held]
			if _, err := w.applyWith(w.release(next), reconcile.Options{Hosts: []string{"h1", "h3"}}); err != nil {
				t.Fatal(err)
			}
			report := w.goBack(w.release(next), reconcile.Back{})
			if got := w.versions(); got != held || !strings.Contains(report.Note, "reached only a part of the servers") {
				t.Errorf("from %s, which was held, it went to %s: %q", held, got, report.Note)
			}
			if held == allV1 {
				w.mustResume()
				w.mustApply(w.release("v2"))
			}
		}
		w.goBack(w.release("v3"), reconcile.Back{})
		if got := w.versions(); got != allV1 {
			t.Errorf("the second one went to %s", got)
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

// goBack rolls back, in a run of its own.
func (w *world) goBack(file release.Release, back reconcile.Back) reconcile.Report {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	report, err := c.Rollback(w.t.Context(), file, back, reconcile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

func TestAPartialReleaseThatFailsIsTakenBack(t *testing.T) {
	for _, hosts := range []string{"h1", "h1,h2", "h1,h3"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 303)
			w.mustApply(w.release("v1"))
			w.image("v9", sim.Exits(7, 50*time.Millisecond))
			report, err := w.applyWith(w.release("v9"), reconcile.Options{Hosts: strings.Split(hosts, ",")})
			if err == nil || report.Outcome != state.OutcomeFailed || !report.Undone || w.versions() != allV1 {
				t.Errorf("%s: %s %+v %v", hosts, w.versions(), report, err)
			}
			w.noLocks(0)
			w.mustBeEmpty(w.release("v1"))
		})
	}
}

func TestFilteredRunsExcludeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 304)
		w.mustApply(w.release("v1"))
		w.image("v8", sim.Healthy(3*time.Second))
		var locked sync.Map // by host: calls come at once
		w.After(func(c sim.Call) error {
			if c.Method == "Files.Mkdir" {
				locked.Store(c.Host, true)
			}
			return nil
		})
		done := make(chan error)
		go func() {
			_, err := w.applyWith(w.release("v8"), reconcile.Options{Hosts: []string{"h2"}})
			done <- err
		}()
		time.Sleep(time.Second)
		for host, want := range map[string]bool{"h1": true, "h2": true, "h3": false} {
			if _, got := locked.Load(host); got != want {
				t.Errorf("%s: a lock was taken: %t, want %t", host, got, want)
			}
		}
		c := w.controller()
		defer func() { _ = c.Close() }()
		c.LockWait = false
		_, err := c.Apply(context.WithoutCancel(t.Context()), w.release("v8"), reconcile.Options{Hosts: []string{"h1"}})
		if err == nil || !strings.Contains(err.Error(), "lock") {
			t.Errorf("the second run: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAFilterThatMatchesNothingSaysWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 305)
		_, err := w.applyWith(w.release("v1"), reconcile.Options{Roles: []string{"jobs"}})
		if err == nil || !strings.Contains(err.Error(), "the roles are web, workers") {
			t.Error(err)
		}
	})
}

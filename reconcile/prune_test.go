package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func (w *world) prune(retain int) (reconcile.Report, error) {
	c := w.controller()
	defer func() { _ = c.Close() }()
	return c.Prune(w.t.Context(), w.release("v6"), reconcile.Options{Retain: retain})
}

func (w *world) images(host string) string {
	var there []string
	for n := 1; n <= 9; n++ {
		if w.ImageID(host, fmt.Sprintf("%s:v%d", repository, n)) != "" {
			there = append(there, fmt.Sprintf("v%d", n))
		}
	}
	return strings.Join(there, " ")
}

func TestPruneKeepsWhatARollbackNeedsAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 821)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(version))
		}
		w.image("v9", sim.Exits(1, time.Millisecond))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("a broken release succeeded")
		}
		w.mustNote()
		w.image("v7", sim.Healthy(0))
		w.Place("h1", sim.Image{Ref: repository + ":v7", Size: 1 << 20})                                                   // built there: nobody knows for what
		w.Place("h1", sim.Image{Ref: repository + ":latest-staging", Size: 2 << 20})                                       // another destination's
		w.Place("h1", sim.Image{Ref: repository + ":v8", Size: 3 << 20, Labels: map[string]string{"service": "newsroom"}}) // another service's
		before := len(w.History())
		planned, err := w.controller().PlanPrune(t.Context(), w.release("v6"), reconcile.Options{Retain: 1})
		if err != nil || planned.Plan.Kind != plan.KindPrune || planned.Plan.Empty() {
			t.Fatalf("%v %+v", err, planned.Plan)
		}
		var text strings.Builder
		_ = planned.Plan.Text(&text, plan.TextOptions{})
		for _, line := range []string{"kamald will prune shop: up to 36 MiB", "- container shop-web-v1 (web)  retention: beyond", "- image " + repository + ":v9  retention: its release failed"} {
			if !strings.Contains(text.String(), line) {
				t.Errorf("no %q in\n%s", line, text.String())
			}
		}
		if after := w.History(); len(after) != before {
			t.Errorf("a dry run did %v", after[before:])
		}
		report, err := w.prune(1)
		if err != nil || report.Outcome != state.OutcomeSucceeded || report.Kind != plan.KindPrune {
			t.Fatalf("%+v: %v", report, err)
		}
		if got := w.images("h1"); got != "v2 v3 v7 v8" || w.ImageID("h1", repository+":latest-staging") == "" {
			t.Errorf("images on h1: %s", got)
		}
		if got := w.images("h3"); got != "v2 v3" {
			t.Errorf("images on h3: %s", got)
		}
		if report, err := w.prune(1); err != nil || len(report.Plan.Steps) > 0 {
			t.Errorf("again: %+v %v", report.Plan.Items, err)
		}
		w.mustBeEmpty(w.release("v3"))
		w.mustRollBack(w.release("v3"))
		if got := w.versions(); got != allV2 {
			t.Errorf("after a rollback: %s", got)
		}
	})
}

func TestAReleaseTakesTheImagesOfFailedOnesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 822)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Exits(1, time.Millisecond))
		_, _ = w.apply(t.Context(), w.release("v9"))
		w.mustApply(w.release("v2"))
		if got := w.images("h1"); got != "v1 v2" {
			t.Errorf("images: %s", got)
		}
	})
}

// A run that was killed left a container that ended: it must not take the place of a version to go back to.
func TestWhatAFailedReleaseLeftPushesNothingOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 823)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.image("v9", sim.Exits(1, time.Millisecond))
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Remove" && c.Host == "h3" {
				return sim.ErrFault
			}
			return nil
		})
		_, _ = w.apply(t.Context(), w.release("v9"))
		w.ClearHooks()
		w.mustApply(w.release("v3"))
		left := map[string]bool{}
		for _, c := range w.Containers("h1", state.View{}) {
			left[c.Version()] = true
		}
		for _, c := range w.Containers("h3", state.View{}) {
			left[c.Version()] = true
		}
		if !left["v1"] || !left["v2"] || left["v9"] {
			t.Errorf("containers of %v", left)
		}
	})
}

func TestPruneGoesOnWithTheHostsThatCanBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 824)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(version))
		}
		w.Cut("h1")
		report, err := w.prune(1)
		if err != nil || report.Outcome != state.OutcomePartial || len(report.Skipped) != 1 {
			t.Errorf("%s %+v: %v", report.Outcome, report.Skipped, err)
		}
		if w.images("h2") != "v2 v3" || w.images("h1") != "v1 v2 v3" {
			t.Errorf("h1 %s, h2 %s", w.images("h1"), w.images("h2"))
		}
	})
}

func TestPruneTakesOldTemporaryFilesAwayAndNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 825)
		w.mustApply(w.release("v1"))
		old := []string{".kamal/apps/shop/kamald/releases/.1.json.ABCDEFGH2345", ".kamal/apps/shop/env/roles/.web.env.ABCDEFGH2345",
			".kamal/apps/shop/kamald/intents/.cordon-h2.json.ABCDEFGH2345"}
		stays := []string{".kamal/.other.ABCDEFGH2345", ".kamal/apps/shop/kamald/releases/.hidden", ".kamal/apps/shop/env/roles/web.env", ".kamal/apps/blog/kamald/.fence.ABCDEFGH2345"}
		for _, name := range append(old, stays...) {
			if _, there := w.File("h1", name); !there {
				w.WriteFile("h1", name, []byte("x"))
			}
		}
		w.MakeDir("h1", ".kamal/lock-shop.stale-7-1")
		time.Sleep(2 * time.Hour)
		young := ".kamal/apps/shop/kamald/.fence.ABCDEFGH2345"
		w.WriteFile("h1", young, []byte("x"))
		if _, err := w.prune(0); err != nil {
			t.Fatal(err)
		}
		for _, name := range old {
			if _, there := w.File("h1", name); there {
				t.Errorf("%s is left", name)
			}
		}
		for _, name := range append(stays, young) {
			if _, there := w.File("h1", name); !there {
				t.Errorf("%s is gone", name)
			}
		}
		if names := strings.Join(w.FileNames("h1"), " "); strings.Contains(names, "stale") {
			t.Errorf("the lock that was moved aside is left: %s", names)
		}
	})
}

func TestPruneOnServersThatNobodyReleasedToKeepsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 826)
		report, err := w.prune(0)
		if err != nil || len(report.Plan.Steps) > 0 {
			t.Errorf("%+v: %v", report.Plan.Items, err)
		}
		w.mustApply(w.release("v1"))
		w.store = &memory{} // and lost: the servers' records stand
		for _, host := range w.Hosts() {
			w.RemoveFile(host, ".kamal/apps/shop/kamald/releases")
		}
		if _, err := w.prune(1); err != nil {
			t.Error(err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("what runs: %s", got)
		}
	})
}

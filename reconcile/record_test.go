package reconcile_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

const recordTwo = ".kamal/apps/shop/kamald/releases/2.json"

// The record of a release is the last thing that is written. A host where that failed gets what the others have, and not a
// release of its own.
func TestAHostWhereTheRecordCouldNotBeWrittenGetsTheOthersCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 831)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Files.Write" && strings.Contains(c.Args, "releases/2.json") {
				return errors.New("the disk says no")
			}
			return nil
		})
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil {
			t.Fatal("it did not say that a record is missing")
		}
		w.ClearHooks()
		if _, there := w.File("h2", recordTwo); there {
			t.Fatal("it was written")
		}
		planned := w.planWith(w.release("v2"), reconcile.Options{})
		if len(planned.Plan.Steps) != 1 || planned.Plan.Steps[0].Kind != plan.StepKeep || planned.Plan.Kind != plan.KindHeal {
			t.Fatalf("%+v", planned.Plan.Steps)
		}
		report := w.mustApply(w.release("v2"))
		if report.Outcome != state.OutcomeSucceeded {
			t.Errorf("%+v", report)
		}
		mine, _ := w.File("h2", recordTwo)
		theirs, _ := w.File("h1", recordTwo)
		if len(mine) == 0 || !bytes.Equal(mine, theirs) {
			t.Errorf("h1 has\n%s\nh2 has\n%s", theirs, mine)
		}
		w.mustNote()
	})
}

func (w *world) records(host string) string {
	var there []string
	for _, name := range w.FileNames(host) {
		if number, ok := strings.CutPrefix(name, "/root/.kamal/apps/shop/kamald/releases/"); ok {
			there = append(there, strings.TrimSuffix(number, ".json"))
		}
	}
	return strings.Join(there, " ")
}

// With two older versions kept, a fourth release needs the first one's record no more.
func TestRecordsBeyondWhatIsKeptGoWithTheNextRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 832)
		for _, version := range []string{"v1", "v2", "v3", "v4", "v5", "v6"} {
			w.mustApply(w.release(version))
		}
		w.mustNote()
		if got := w.records("h1"); got != "4 5 6" {
			t.Errorf("records on h1: %s", got)
		}
		if report, err := w.prune(1); err != nil || report.Outcome != state.OutcomeSucceeded {
			t.Fatalf("%+v: %v", report, err)
		}
		if report, err := w.prune(1); err != nil || len(report.Plan.Steps) > 0 {
			t.Fatalf("again: %+v: %v", report.Plan.Items, err)
		}
		if got := w.records("h1"); got != "5 6" {
			t.Errorf("records on h1 after a prune: %s", got)
		}
		w.using(func(c *reconcile.Controller) {
			if records, err := c.History(t.Context(), w.release("v6")); err != nil || len(records) != 6 {
				t.Errorf("the history has %d: %v", len(records), err)
			}
		})
		w.store = &memory{} // lost: the servers' own say it
		w.back(w.release("v6"), reconcile.Back{}, 5, strings.ReplaceAll(allV1, "v1", "v5"))
	})
}

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

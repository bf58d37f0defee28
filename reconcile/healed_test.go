package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
)

// Healing is no release, so no record tells of its containers: what a plan costs stays the same after it.
func TestAPlanAfterHealingAsksForNoReleasesThatNothingWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2002)
		w.mustApply(w.release("v1"))
		w.RemoveContainer("h1", "shop-web-v1")
		if _, err := w.apply(t.Context(), w.release("v1")); err != nil {
			t.Fatal(err)
		}
		lists := map[string]int{}
		w.Before(func(c sim.Call) error {
			if c.Method == "Files.List" && strings.HasSuffix(c.Args, "/releases") {
				w.mu.Lock()
				defer w.mu.Unlock()
				lists[c.Host]++
			}
			return nil
		})
		w.mustBeEmpty(w.release("v1"))
		for host, n := range lists {
			if n > 1 { // the look's own
				t.Errorf("%s: the records were listed %d times", host, n)
			}
		}
	})
}

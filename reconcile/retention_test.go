package reconcile_test

import (
	"testing"
	"testing/synctest"

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

package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// One step back from what `kamal deploy` brought, with no record of it, is to what was held before.
func TestARollbackFromWhatAHandDeployedIsToWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 922)
		w.released("v1", "v2")
		for _, host := range w.Hosts() {
			w.Place(host, sim.Image{Ref: repository + ":v5", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v5"}})
			w.handMade(host, "v5")
		}
		report := w.back(w.release("v2"), reconcile.Back{}, 2, allV2)
		if !strings.Contains(report.Note, "v5") || !strings.Contains(report.Note, "`kamald rollback 1`") {
			t.Errorf("%q", report.Note)
		}
		w.back(w.release("v2"), reconcile.Back{}, 1, allV1)
	})
}

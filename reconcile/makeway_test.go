package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// A repair is no release: what the servers held before it they hold during it, and one step back is from there.
func TestARollbackDuringARepairGoesOneReleaseBack(t *testing.T) {
	for name, killed := range map[string]bool{"under way": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 908)
				w.released("v1", "v2")
				w.StopContainer("h2", "shop-web-v2")
				result := make(chan rolled, 1)
				w.during(func(c sim.Call) bool { return c.Method == "Engine.Start" && c.Host == "h2" }, func() {
					if killed {
						w.Kill()
						return
					}
					result <- w.rollBack(t.Context(), w.release("v2"), reconcile.Back{})
				})
				report, err := w.apply(t.Context(), w.release("v2"))
				if killed {
					time.Sleep(time.Minute)
					w.ClearHooks()
					w.Revive()
					result <- w.rollBack(t.Context(), w.release("v2"), reconcile.Back{})
				}
				back := <-result
				if got := w.versions(); back.err != nil || got != allV1 || back.report.To != 1 {
					t.Errorf("it runs %s; the repair: %s %v; the rollback: to %d, %q %v\n%s", got, report.Outcome, err, back.report.To, back.report.Note, back.err, w.progress())
				}
				w.noLocks(0)
				w.noRequests()
			})
		})
	}
}

func TestTheRequestToEndIsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 131)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		under := w.begin(w.oneByOne("v3"))
		time.Sleep(time.Second)
		if back := w.rollBack(t.Context(), w.release("v3"), reconcile.Back{}); back.err != nil || !reconcile.IsCancelled((<-under).err) {
			t.Fatalf("it was not cancelled: %v", back.err)
		}
		outcomes := map[string]int{}
		for _, e := range w.store.events {
			if e.Kind == "cancel" {
				outcomes[e.Host+" "+e.Outcome]++
			}
		}
		if outcomes["h1 "+state.EventIntended] != 1 || outcomes["h1 "+state.EventDone] != 1 {
			t.Errorf("the store knows of %v", outcomes)
		}
	})
}

package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
)

// A run looks at its lock, then asks the host something, and the answer takes longer than what was left of the lease: what it
// would have done next belongs to whoever has the lock by now.
func TestNoChangeBeginsWhenTheLeaseHasPassedWhileAnAnswerWasAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 17)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.NeverHealthy(503))
		var began, slow time.Time
		w.Before(func(c sim.Call) error {
			switch {
			case c.Host != "h2":
			case c.Method == "Files.Touch":
				return sim.ErrFault
			case c.Method == "Engine.Inspect" && time.Since(began) > 10*time.Second && slow.IsZero():
				slow = time.Now()
				time.Sleep(25 * time.Second)
			}
			return nil
		})
		began = time.Now()
		ended := <-w.begin(w.release("v9"))
		if slow.IsZero() || ended.err == nil {
			t.Fatalf("nothing was looked at while the release was taken back: %v", ended.err)
		}
		for _, c := range w.mutations("h2", began.Add(lease)) {
			if c.Method != "Files.Remove" {
				t.Errorf("begun %s after the lock was taken: %s", c.At.Sub(began), c)
			}
		}
		w.mustBeLostOn(ended.report, "h2")
	})
}

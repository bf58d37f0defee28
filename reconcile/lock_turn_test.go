package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// One run has the locks of some hosts without the primary host's, another has that and wants the rest: neither waits for ever.
func TestTwoRunsOfWhichOneMissedThePrimaryHostDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 912)
		w.mustApply(w.release("v1"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		met := false
		w.Cut("h1")
		w.Before(func(c sim.Call) error {
			if met || c.Method != "Files.Mkdir" || c.Host != "h3" || !strings.Contains(c.Args, "lock-") {
				return nil
			}
			met = true // it has h2's, and is about to take h3's
			w.Restore("h1")
			go func() {
				_, err := w.apply(ctx, w.release("v3"))
				ended <- err
			}()
			time.Sleep(2 * time.Second)
			return nil
		})
		_, err := w.controller().Apply(ctx, w.release("v2"), reconcile.Options{SkipUnreachable: true})
		if other := <-ended; err != nil || other != nil || !met {
			t.Fatalf("met %t: %v; %v", met, err, other)
		}
		if got := w.versions(); got != allV3 {
			t.Errorf("in the end: %s", got)
		}
		w.noLocks(0)
	})
}

package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

func TestAnInterruptionEndsALongPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 121)
		w.mustApply(w.release("v1"))
		w.Push(sim.Image{Ref: repository + ":v9", PullTakes: 10 * time.Minute, Labels: map[string]string{"service": "shop", "version": "v9"}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		time.AfterFunc(30*time.Second, cancel)
		stop, failed := w.watch(true)
		report, err := w.apply(ctx, w.release("v9"))
		stop()
		if took := time.Since(began); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("it ended %s after it began", took)
		}
		if !errors.Is(err, context.Canceled) || report.Outcome != state.OutcomeCancelled || len(report.Left) > 0 {
			t.Errorf("report: %+v %v", report, err)
		}
		if got := w.versions(); got != allV1 || failed() > 0 {
			t.Errorf("after the interruption: %s", got)
		}
		w.noLocks(0)
		w.mustBeEmpty(w.release("v1"))
		w.mustApply(w.release("v2"))
	})
}

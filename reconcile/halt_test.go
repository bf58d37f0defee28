package reconcile_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
)

// A release that halts leaves what it made to be looked at, and names it.
func TestWhatAHaltedReleaseLeavesRunningIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 851)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.NeverHealthy(503))
		desired := w.release("v9")
		desired.Rollout.Halt = true
		report, err := w.apply(t.Context(), desired)
		if err == nil || report.Undone {
			t.Fatalf("%+v %v", report.Rows, err)
		}
		if !slices.Contains(report.Left, "h1: shop-web-v9 runs beside shop-web-v1, which serves") {
			t.Errorf("left: %q", report.Left)
		}
	})
}

// One that a person interrupts is taken back as any other.
func TestAReleaseThatWouldHaltIsTakenBackWhenItIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 852)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Healthy(8*time.Second))
		desired := w.release("v9")
		desired.Rollout.Halt = true
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		time.AfterFunc(4*time.Second, interrupt)
		report, err := w.apply(ctx, desired)
		if err == nil || !report.Undone || w.versions() != allV1 {
			t.Errorf("%s: %+v %v", w.versions(), report.Rows, err)
		}
	})
}

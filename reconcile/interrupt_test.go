package reconcile_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
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

// An interruption at whatever call of the locking leaves no lock, though a driver gives up a call that has been carried out.
func TestAnInterruptionWhileLocksAreTakenLeavesNone(t *testing.T) {
	for name, act := range map[string]func(ctx context.Context, w *world, c *reconcile.Controller) error{
		"a release": func(ctx context.Context, w *world, c *reconcile.Controller) error {
			_, err := c.Apply(ctx, w.release("v2"), reconcile.Options{})
			return err
		},
		"a lock by hand": func(ctx context.Context, w *world, c *reconcile.Controller) error {
			return c.AcquireLock(ctx, w.release("v1"), "database migration")
		},
	} {
		for _, host := range []string{"h1", "h2"} {
			for _, method := range []string{"Files.Mkdir", "Files.Write"} {
				t.Run(name+" "+host+" "+method, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, 122)
						w.mustApply(w.release("v1"))
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						c := w.given(interruptDuring(cancel, host, method))
						if err := act(ctx, w, c); !errors.Is(err, context.Canceled) {
							t.Errorf("it ended with %v", err)
						}
						_ = c.Close()
						w.noLocks(0)
						if got := w.versions(); got != allV1 {
							t.Errorf("after it: %s", got)
						}
					})
				})
			}
		}
	}
}

// given is a run whose calls go through an interceptor.
func (w *world) given(around reconcile.Interceptor) *reconcile.Controller {
	return reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}, around), w.store, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
}

// interruptDuring cancels a run while its first call of a method to a host is under way. It is carried out; whoever may be
// interrupted hears nothing of that.
func interruptDuring(cancel context.CancelFunc, host, method string) reconcile.Interceptor {
	var once sync.Once
	return func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		err := next(ctx)
		if call.Host != host || call.Method != method || err != nil {
			return err
		}
		once.Do(cancel)
		return ctx.Err()
	}
}

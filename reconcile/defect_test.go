package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// breaking is a driver that breaks at one call, before or after it was carried out.
type breaking struct {
	at    int64
	after bool
	calls atomic.Int64
	met   atomic.Pointer[reconcile.Call]
}

func (b *breaking) around(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
	if b.calls.Add(1) != b.at {
		return next(ctx)
	}
	b.met.Store(&call)
	if b.after {
		_ = next(ctx) // nobody hears of it
	}
	panic("a planted defect")
}

// A driver that breaks at the n-th call: the run ends with an error that says so and the old release, or with the new one where that call
// was not needed; no lock stays, and the place where it broke is told once.
func TestADriverMayBreakAtAnyCall(t *testing.T) {
	step := int64(7)
	if long() {
		step = 1
	}
	failed := 0
	for n := int64(1); ; n += step {
		met := false
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, uint64(n))
				w.mustApply(w.release("v1"))
				w.log = nil
				b := &breaking{at: n, after: after}
				c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}, b.around), w.store, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
				c.Report = func(p reconcile.Progress) {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.log = append(w.log, p)
				}
				_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
				_ = c.Close()
				call := b.met.Load()
				if met = call != nil; !met {
					return
				}
				where := fmt.Sprintf("call %d, %s on %s, carried out %v", n, call.Method, call.Host, after)
				switch runs := w.versions(); {
				case err == nil && runs != allV2:
					t.Errorf("%s: there is no error, and %s runs", where, runs)
				case err != nil && runs != allV1 && runs != allV2:
					t.Errorf("%s: after %v there runs %s", where, err, runs)
				case err != nil && (!strings.Contains(err.Error(), "a planted defect") || strings.Contains(err.Error(), "goroutine")):
					t.Errorf("%s: the error does not say what it is in a line: %v", where, err)
				}
				if err != nil {
					failed++
				}
				if told := w.progress(); strings.Count(told, "(*breaking).around") != 1 {
					t.Errorf("%s: the place is not told once:\n%s", where, told)
				}
				w.noLocks(1) // where the taking of it broke there may be one, as after a lost reply, which the next run takes over
				w.mustApply(w.release("v2"))
			})
		}
		if !met {
			t.Logf("%d of the runs with a defect in one of %d calls ended with an error", failed, n)
			if failed == 0 {
				t.Error("no run failed")
			}
			return
		}
	}
}

// What breaks beside the steps, in kamald's own goroutines, is an error of what was asked for, with the place where it broke.
func TestADefectInALookIsAnErrorAndHasItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		c := w.over(brokenConnector{connector{w.Connector()}, "h2"})
		defer func() { _ = c.Close() }()
		_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), "h2") || !strings.Contains(err.Error(), "a planted defect") {
			t.Errorf("the error is %v", err)
		}
		if told := w.progress(); !strings.Contains(told, "brokenEngine.Networks") {
			t.Errorf("nobody is told where it broke:\n%s", told)
		}
		if is := w.versions(); is != allV1 {
			t.Errorf("there runs %s", is)
		}
		w.noLocks(0)
	})
}

// brokenConnector reaches one host through a driver that breaks.
type brokenConnector struct {
	connector
	host string
}

func (b brokenConnector) Connect(ctx context.Context, on release.Host) (*reconcile.Connection, error) {
	conn, err := b.connector.Connect(ctx, on)
	if err == nil && on.Name == b.host {
		conn.Engine = brokenEngine{conn.Engine}
	}
	return conn, err
}

type brokenEngine struct{ reconcile.Engine }

func (brokenEngine) Networks(context.Context) ([]state.Network, error) { panic("a planted defect") }

// What a store breaks in the middle of a run gives the locks back, and is the run's error.
func TestADefectUnderTheLocksGivesThemBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.mustApply(w.release("v1"))
		c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), brokenStore{w.store}, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
		defer func() { _ = c.Close() }()
		_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
		defect, is := errors.AsType[*reconcile.DefectError](err)
		if !is || !strings.Contains(defect.Stack, "brokenStore.SavePlan") || !errors.Is(err, reconcile.ErrPanicked) {
			t.Errorf("the error is %v", err)
		}
		w.noLocks(0)
		w.mustApply(w.release("v2"))
	})
}

type brokenStore struct{ *memory }

func (brokenStore) SavePlan(state.App, state.PlanRecord) error { panic("a planted defect") }

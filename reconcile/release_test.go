package reconcile_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

const (
	allV1 = "h1/web=v1 h2/web=v1 h3/workers=v1"
	allV2 = "h1/web=v2 h2/web=v2 h3/workers=v2"
)

func TestAReleaseRunsOnEveryHostAndLeavesAnEmptyPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		if got := w.versions(); got != allV1 {
			t.Fatalf("after v1: %s", got)
		}
		report := w.mustApply(w.release("v2"))
		if got := w.versions(); got != allV2 {
			t.Fatalf("after v2: %s", got)
		}
		for _, host := range w.Hosts() {
			if got := w.latest(host); got != "v2" {
				t.Errorf("latest on %s is %q", host, got)
			}
		}
		if report.Outcome != state.OutcomeSucceeded || len(report.Rows) != 3 || report.Rows[0].Before != "v1" || report.Rows[0].Now != "v2" {
			t.Errorf("report: %+v", report)
		}
	})
}

func TestABrokenVersionChangesNothing(t *testing.T) {
	for name, behaviour := range map[string]sim.Behaviour{
		"exits":     sim.Exits(7, 50*time.Millisecond),
		"sick":      sim.NeverHealthy(503),
		"redirects": sim.Redirects("https://elsewhere"),
		"elsewhere": sim.ListensElsewhere(8080),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				w.mustApply(w.release("v1"))
				w.image("v9", behaviour)
				began := time.Now()
				report, err := w.apply(t.Context(), w.release("v9"))
				var unhealthy *reconcile.UnhealthyError
				if !errors.As(err, &unhealthy) {
					t.Fatalf("error: %v", err)
				}
				if name == "exits" && (time.Since(began) > 3*time.Second || !strings.Contains(unhealthy.Cause, "exit code 7")) {
					t.Errorf("gave up after %s: %v", time.Since(began), err)
				}
				if got := w.versions(); got != allV1 {
					t.Errorf("after the failure: %s\n%s", got, w.progress())
				}
				if got := w.latest("h1"); got != "v1" {
					t.Errorf("latest moved to %q", got)
				}
				if report.Outcome != state.OutcomeFailed || len(report.Left) > 0 {
					t.Errorf("report: %+v", report)
				}
				w.mustBeEmpty(w.release("v1"))
				w.mustApply(w.release("v2"))
			})
		})
	}
}

func TestOthersWaitAtTheBarrierUntilThePrimaryIsHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.image("v8", sim.Healthy(3*time.Second))
		w.mustApply(w.release("v1"))
		workerStarted, primaryProven := time.Time{}, time.Time{}
		w.log = nil
		w.mustApply(w.release("v8"))
		for _, p := range w.log {
			switch {
			case p.Step == "start/h3/workers" && p.Kind == "begin":
				workerStarted = p.At
			case strings.HasPrefix(p.Step, "prove/h") && strings.HasSuffix(p.Step, "/web") && p.Kind == "done" && primaryProven.IsZero():
				primaryProven = p.At
			}
		}
		if workerStarted.IsZero() || primaryProven.IsZero() || workerStarted.Before(primaryProven) {
			t.Errorf("the worker started at %s, the first primary was healthy at %s", workerStarted, primaryProven)
		}
	})
}

func TestRequestsNeverFailDuringARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.mustApply(w.release("v1"))
		stop, done := make(chan struct{}), make(chan int)
		go func() {
			failed := 0
			for {
				select {
				case <-stop:
					done <- failed
					return
				case <-time.After(5 * time.Millisecond):
				}
				for _, host := range []string{"h1", "h2"} {
					if w.Request(host, "shop.example.com", "/") != 200 {
						failed++
					}
				}
			}
		}()
		w.mustApply(w.release("v2"))
		w.image("v9", sim.NeverHealthy(500))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Error("a sick version was released")
		}
		close(stop)
		if failed := <-done; failed > 0 {
			t.Errorf("%d requests failed", failed)
		}
	})
}

func TestRollbackGoesBackToTheReleaseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after the rollback: %s", got)
		}
		_, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{Version: "v7"}, reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), "version v2") {
			t.Errorf("a missing version: %v", err)
		}
		records, err := c.History(t.Context(), w.release("v2"))
		if err != nil || len(records) != 3 || records[0].Kind != "rollback" || records[0].From != 1 || !records[0].Hold {
			t.Errorf("history: %+v %v", records, err)
		}
	})
}

func TestNoSecretIsKeptAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		w.mustApply(w.release("v1"))
		kept, err := json.Marshal([]any{w.store.snapshot, w.store.releases, w.store.plans, w.store.events, w.log, w.Containers("h1", state.View{})})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(kept), canary) {
			t.Error("the secret is in the store, the log or a snapshot")
		}
		for _, name := range w.FileNames("h1") {
			if data, _ := w.File("h1", name); strings.Contains(string(data), canary) && !strings.Contains(name, "/env/roles/") {
				t.Errorf("the secret is in %s", name)
			}
		}
	})
}

func TestDriftIsSeenAndHealed(t *testing.T) {
	for name, do := range map[string]func(w *world){
		"container removed": func(w *world) { w.RemoveContainer("h1", "shop-web-v2") },
		"container stopped": func(w *world) { w.StopContainer("h3", "shop-workers-v2") },
		"memory changed":    func(w *world) { w.UpdateMemory("h3", "shop-workers-v2", "33554432") },
		"old one started":   func(w *world) { w.StartContainer("h3", "shop-workers-v1") },
		"network detached":  func(w *world) { w.DetachNetwork("h1", "shop-web-v2", "kamal") },
		"route removed":     func(w *world) { w.RemoveRoute("h1", "shop-web") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 7)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				releases := len(w.store.releases)
				do(w)
				c := w.controller()
				planned, err := c.Plan(t.Context(), w.release("v2"), reconcile.Options{})
				_ = c.Close()
				if err != nil || len(planned.Plan.Drifted()) == 0 {
					t.Fatalf("the drift is not seen: %+v %v", planned.Plan.Items, err)
				}
				w.mustApply(w.release("v2"))
				if got := w.versions(); got != allV2 {
					t.Errorf("after healing: %s", got)
				}
				if len(w.store.releases) != releases {
					t.Error("healing was recorded as a release")
				}
			})
		})
	}
}

func TestARowSaysWhatFailedForAllRolesOfItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 15)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Engine.Pull" {
				return sim.ErrFault
			}
			return nil
		})
		report, _ := w.apply(t.Context(), w.release("v2"))
		for _, row := range report.Rows {
			if here := strings.Contains(row.Why, "get image"); row.Why == "" || here != (row.Host == "h2") {
				t.Errorf("%+v", row)
			}
		}
	})
}

// What was seen after the last step counts, and not the steps' own word.
func TestAReleaseWhoseContainerHasEndedByItsEndIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 16)
		w.mustApply(w.release("v1"))
		w.After(func(c sim.Call) error {
			if c.Host == "h3" && c.Method == "Engine.Tag" && strings.HasSuffix(c.Args, "latest") {
				go w.StopContainer("h3", "shop-workers-v2")
			}
			return nil
		})
		report, err := w.apply(t.Context(), w.release("v2"))
		if err == nil || !strings.Contains(err.Error(), "h3: workers v2") || report.Outcome != state.OutcomeFailed || report.Rows[2].Why == "" {
			t.Errorf("%+v: %v", report, err)
		}
		w.ClearHooks()
		if report := w.mustApply(w.release("v2")); report.Kind != plan.KindHeal {
			t.Errorf("the release is not held: %s", report.Kind)
		}
	})
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// tried is a release that is tried on half of the traffic first.
func (w *world) tried(version string) release.Release {
	desired := w.release(version)
	desired.Rollout.Canary = &release.Canary{Percent: 50, Hold: 10 * time.Second}
	return desired
}

// rollouts gives the hosts' routes that have one.
func (w *world) rollouts() (list []string) {
	for _, host := range w.Hosts() {
		for _, route := range w.Routes(host) {
			if route.Rollout != nil {
				list = append(list, fmt.Sprintf("%s %s %d %%", host, route.Name, route.Rollout.Percent))
			}
		}
	}
	return list
}

func TestACanaryThatDoesWellIsFollowedByTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 901)
		w.mustApply(w.release("v1"))
		during := make(chan []string, 1)
		time.AfterFunc(8*time.Second, func() { during <- w.rollouts() })
		stop, failed := w.watch(true)
		began := time.Now()
		report := w.mustApply(w.tried("v2"))
		stop()
		if n := failed(); n > 0 || w.versions() != allV2 || time.Since(began) < 10*time.Second {
			t.Errorf("%d requests failed, %s after %s", n, w.versions(), time.Since(began))
		}
		if got := strings.Join(<-during, ", "); got != "h1 shop-web 50 %, h2 shop-web 50 %" || len(w.rollouts()) > 0 {
			t.Errorf("rollouts during it: %s, after it: %v", got, w.rollouts())
		}
		if len(report.Left) > 0 || !strings.Contains(w.progress(), "answers of v2 were 5xx") {
			t.Errorf("left %v\n%s", report.Left, w.progress())
		}
	})
}

func TestACanaryWhoseAnswersAreWorseIsTakenBack(t *testing.T) {
	for _, halt := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 902)
			w.mustApply(w.release("v1"))
			w.image("v9", sim.Behaviour{Ready: 300 * time.Millisecond, Pages: 500}) // healthy where it is asked for its health
			desired := w.tried("v9")
			desired.Rollout.Halt = halt
			stop, failed := w.watch(true)
			began := time.Now()
			report, err := w.apply(t.Context(), desired)
			stop()
			if err == nil || !strings.Contains(err.Error(), "answers of v9 were 5xx, 0 of ") || !strings.Contains(err.Error(), "canary of web") {
				t.Fatalf("it ended with %v", err)
			}
			if time.Since(began) > 9*time.Second || failed() == 0 {
				t.Errorf("it was seen after %s", time.Since(began))
			}
			if len(w.rollouts()) > 0 || w.Answer("h1", "shop.example.com", "/") != 200 || w.latest("h1") != "v1" {
				t.Errorf("what it left: %v", w.rollouts())
			}
			if halt {
				return
			}
			if !report.Undone || len(report.Left) > 0 || w.versions() != allV1 {
				t.Errorf("undone %v, left %v, %s", report.Undone, report.Left, w.versions())
			}
			w.noLocks(0)
			w.mustBeEmpty(w.release("v1"))
			w.mustApply(w.tried("v2"))
		})
	}
}

func TestACanaryWithTooFewRequestsPassesAndTheReportSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		w.mustApply(w.release("v1"))
		report := w.mustApply(w.tried("v2"))
		if w.versions() != allV2 || len(report.Left) != 1 || !strings.Contains(report.Left[0], "0 of 0 answers of v2") || !strings.Contains(report.Left[0], "fewer than 20") {
			t.Errorf("%s, left %q", w.versions(), report.Left)
		}
	})
}

func TestACanaryWhoseContainerEndsIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 904)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Behaviour{Ready: 300 * time.Millisecond, Ends: true, EndsIn: 6 * time.Second, ExitCode: 7})
		_, err := w.apply(t.Context(), w.tried("v9"))
		if err == nil || !strings.Contains(err.Error(), "canary") || w.versions() != allV1 || len(w.rollouts()) > 0 {
			t.Errorf("%v: %s %v", err, w.versions(), w.rollouts())
		}
	})
}

func TestAnInterruptionEndsACanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		w.mustApply(w.release("v1"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(8*time.Second, func() {
			if len(w.rollouts()) != 2 {
				t.Errorf("before the interruption: %v", w.rollouts())
			}
			cancel()
		})
		stop, failed := w.watch(true)
		report, err := w.apply(ctx, w.tried("v2"))
		stop()
		if !errors.Is(err, context.Canceled) || report.Outcome != state.OutcomeCancelled || len(report.Left) > 0 || failed() > 0 {
			t.Errorf("report: %+v %v", report, err)
		}
		if w.versions() != allV1 || len(w.rollouts()) > 0 {
			t.Errorf("after it: %s %v", w.versions(), w.rollouts())
		}
		w.noLocks(0)
		w.mustBeEmpty(w.release("v1"))
	})
}

func TestAProgramThatIsKilledDuringACanaryLeavesNothingForLong(t *testing.T) {
	for _, next := range []string{"v1", "v2", "v3"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 906)
			w.mustApply(w.release("v1"))
			time.AfterFunc(8*time.Second, w.Kill)
			stop, failed := w.watch(true)
			if _, err := w.apply(t.Context(), w.tried("v2")); err == nil || len(w.rollouts()) != 2 {
				t.Fatalf("%v: %v", err, w.rollouts())
			}
			w.Revive()
			time.Sleep(6 * time.Minute) // its locks have expired
			w.mustApply(w.tried(next))
			stop()
			if got := w.versions(); got != strings.ReplaceAll(allV1, "v1", next) || len(w.rollouts()) > 0 || failed() > 0 {
				t.Errorf("after %s: %s %v", next, got, w.rollouts())
			}
		})
	}
}

func TestARolloutOfSomebodyElseOutlivesARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 907)
		w.mustApply(w.release("v1"))
		route := w.Routes("h1")[0]
		route.Rollout = &state.Rollout{Targets: []string{"by-hand:3000"}, On: true, Percent: 5}
		w.SetRoute("h1", route)
		if _, err := w.apply(t.Context(), w.tried("v2")); err == nil || !strings.Contains(err.Error(), "kamald has not made") || w.versions() != allV1 {
			t.Fatalf("with a canary: %v", err)
		}
		w.mustApply(w.release("v2"))
		if got := w.rollouts(); !slices.Equal(got, []string{"h1 shop-web 5 %"}) {
			t.Errorf("after the release: %v", got)
		}
	})
}

func TestACanaryIsCountedOnWhenItsProxyBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 908)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Behaviour{Ready: 300 * time.Millisecond, Pages: 500})
		desired := w.tried("v9")
		desired.Rollout.Canary.Hold = time.Minute
		var asked sync.WaitGroup
		asked.Go(func() { // 12 answers of the new version, then the counts begin anew, then 12 more
			for !slices.Contains(w.rollouts(), "h1 shop-web 50 %") {
				time.Sleep(100 * time.Millisecond)
			}
			for round := range 2 {
				for range 12 {
					w.Request("h1", "shop.example.com", "/")
					w.Request("h1", "shop.example.com", "/")
				}
				time.Sleep(5 * time.Second)
				if round == 0 {
					w.CountsAnew("h1")
					time.Sleep(5 * time.Second)
				}
			}
		})
		if _, err := w.apply(t.Context(), desired); err == nil || !strings.Contains(err.Error(), "24 of 24 answers of v9 were 5xx, 0 of 24") {
			t.Errorf("it ended with %v", err)
		}
		asked.Wait()
	})
}

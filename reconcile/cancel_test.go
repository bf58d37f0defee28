package reconcile_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// rolled is how a rollback ended.
type rolled struct {
	report reconcile.Report
	err    error
}

// rollBack goes back in a run of its own, which does not wait for locks.
func (w *world) rollBack(ctx context.Context, current release.Release, back reconcile.Back) rolled {
	c := w.controller()
	c.LockWait = false
	c.Owner.PID++ // another process
	defer func() { _ = c.Close() }()
	report, err := c.Rollback(ctx, current, back, reconcile.Options{})
	return rolled{report, err}
}

// oneByOne is a release that goes over the hosts one after another.
func (w *world) oneByOne(version string) release.Release {
	desired := w.release(version)
	desired.Rollout.Limit = release.Limit{Count: 1}
	return desired
}

// cancelledAt releases v3 over v2, and asks for a rollback at its n-th call. done tells whether the release made fewer calls.
func (w *world) cancelledAt(n int, back reconcile.Back) (applied, back2 rolled, locked, done bool) {
	first := w.Calls()
	w.log = nil
	result := make(chan rolled, 1)
	asked := false
	w.Before(func(c sim.Call) error {
		if c.N >= first+n && !asked {
			asked = true
			locked = len(w.locked()) > 0
			go func() { result <- w.rollBack(w.t.Context(), w.release("v3"), back) }()
		}
		return nil
	})
	report, err := w.apply(w.t.Context(), w.oneByOne("v3"))
	applied = rolled{report, err}
	if !asked {
		return applied, rolled{}, false, true
	}
	return applied, <-result, locked, false
}

// A rollback that is asked for at any call of a release: no request fails, one release runs everywhere, no lock and no request
// to end is left, and the servers are where a person wants them: on what was before.
func TestARollbackAskedForAtAnyCallOfAReleaseIsSafe(t *testing.T) {
	step := 29 // a sample; `make long` takes every call
	if long() {
		step = 1
	}
	runs, cancelled := 0, 0
	for n := 1; ; n += step {
		last := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, uint64(n))
			w.mustApply(w.release("v1"))
			w.mustApply(w.release("v2"))
			stop, failed := w.watch(true)
			applied, back, locked, done := w.cancelledAt(n, reconcile.Back{})
			time.Sleep(10 * time.Second)
			stop()
			count := failed() // also ends the watch
			if last = done; done {
				return
			}
			runs++
			w.ClearHooks()
			if applied.report.Outcome == state.OutcomeCancelled {
				cancelled++
				if !reconcile.IsCancelled(applied.err) || !strings.Contains(applied.err.Error(), "rollback asked for") || len(applied.report.Left) > 0 {
					t.Errorf("n=%d: the release: %+v %v", n, applied.report, applied.err)
				}
			}
			got := w.versions()
			switch {
			case locked && (got != allV2 || back.err != nil || back.report.Outcome != state.OutcomeSucceeded):
				t.Errorf("n=%d: %s; the rollback: %+v %v\n%s", n, got, back.report, back.err, w.progress())
			case !slices.Contains([]string{allV1, allV2, allV3}, got):
				t.Errorf("n=%d: %s\n%s", n, got, w.progress())
			}
			if count > 0 {
				t.Errorf("n=%d: %d requests failed\n%s", n, count, w.progress())
			}
			w.noLocks(n)
			w.noRequests()
			w.mustBeEmpty(w.release(strings.TrimPrefix(strings.Fields(got)[0], "h1/web=")))
		})
		if last {
			break
		}
	}
	if t.Logf("%d runs, %d of them cancelled", runs, cancelled); cancelled == 0 || cancelled == runs {
		t.Error("the rollback should come in time for some and too late for others")
	}
}

// noRequests wants no request to end to be left.
func (w *world) noRequests() {
	w.t.Helper()
	for _, host := range w.Hosts() {
		if slices.ContainsFunc(w.FileNames(host), func(name string) bool { return strings.HasSuffix(name, "kamald/cancel") }) {
			w.t.Errorf("%s: a request to end is left", host)
		}
	}
}

// duringSwitch asks for something while the release has switched some groups and not all.
func (w *world) during(what func(c sim.Call) bool, do func()) {
	once := false
	w.Before(func(c sim.Call) error {
		if !once && what(c) {
			once = true
			go do()
		}
		return nil
	})
}

func TestARollbackCancelsAReleaseThatHasSwitchedSomeGroups(t *testing.T) {
	for name, c := range map[string]struct {
		back reconcile.Back
		want string
		kind plan.Kind
	}{
		"to what was before": {reconcile.Back{}, allV2, plan.KindNone},
		"to a number":        {reconcile.Back{Number: 1}, allV1, plan.KindRollback},
		"to a version":       {reconcile.Back{Version: "v1"}, allV1, plan.KindRollback},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 901)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				result := make(chan rolled, 1)
				w.image("v3", sim.Healthy(5*time.Second))
				w.during(func(c sim.Call) bool { return c.Method == "Engine.Start" && c.Host == "h2" }, func() {
					result <- w.rollBack(t.Context(), w.release("v3"), c.back)
				})
				stop, failed := w.watch(true)
				report, err := w.apply(t.Context(), w.oneByOne("v3"))
				back := <-result
				stop()
				if report.Outcome != state.OutcomeCancelled || !report.Undone || !reconcile.IsCancelled(err) {
					t.Errorf("the release: %+v %v", report, err)
				}
				if back.err != nil || back.report.Kind != c.kind || c.kind == plan.KindNone && !strings.Contains(back.report.Note, "release 3 of") {
					t.Errorf("the rollback: %+v %v\n%s", back.report, back.err, w.progress())
				}
				if got := w.versions(); got != c.want || failed() > 0 {
					t.Errorf("it runs %s", got)
				}
				record := w.store.releases[3]
				if record.Outcome != state.OutcomeCancelled || !strings.HasPrefix(record.Reason, "cancelled by ") {
					t.Errorf("release 3 is recorded as %s: %s", record.Outcome, record.Reason)
				}
				w.noLocks(0)
				w.noRequests()
			})
		})
	}
}

// A mistyped number is no reason to end somebody's release.
func TestARollbackToWhatIsNotThereCancelsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 907)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		result := make(chan rolled, 1)
		w.image("v3", sim.Healthy(5*time.Second))
		w.during(func(c sim.Call) bool { return c.Method == "Engine.Start" && c.Host == "h2" }, func() {
			result <- w.rollBack(t.Context(), w.release("v3"), reconcile.Back{Number: 99})
		})
		report, err := w.apply(t.Context(), w.oneByOne("v3"))
		back := <-result
		if err != nil || report.Outcome != state.OutcomeSucceeded || w.versions() != allV3 {
			t.Errorf("the release: %+v %v: %s", report, err, w.versions())
		}
		if back.err == nil || !strings.Contains(back.err.Error(), "there is no release 99 among those that succeeded: 2 (version v2), 1 (version v1)") {
			t.Errorf("the rollback: %v", back.err)
		}
		w.noLocks(0)
		w.noRequests()
	})
}

func TestARollbackThatComesInTheLastPhaseRollsTheFinishedReleaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		result := make(chan rolled, 1)
		slow := false
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Tag" && c.Host == "h3" && strings.Contains(c.Args, "latest") && !slow {
				slow = true
				go func() { result <- w.rollBack(t.Context(), w.release("v3"), reconcile.Back{}) }()
				time.Sleep(5 * time.Second) // so that the request is there before the end
			}
			return nil
		})
		report, err := w.apply(t.Context(), w.release("v3"))
		back := <-result
		if err != nil || report.Outcome != state.OutcomeSucceeded {
			t.Errorf("the release: %+v %v", report, err)
		}
		if back.err != nil || back.report.Kind != plan.KindRollback || back.report.To != 2 || w.versions() != allV2 {
			t.Errorf("the rollback: %+v %v: %s\n%s", back.report, back.err, w.versions(), w.progress())
		}
		w.noLocks(0)
		w.noRequests()
	})
}

func TestARollbackTakesOverFromAReleaseThatWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		switched := 0
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Deploy" {
				switched++
			}
			if switched == 2 && !w.Killed() {
				go w.Kill()
			}
			return nil
		})
		_, _ = w.apply(t.Context(), w.oneByOne("v3"))
		time.Sleep(time.Minute) // its lease has passed
		w.ClearHooks()
		w.Revive()
		w.store = &memory{} // asked for from another machine
		back := w.rollBack(t.Context(), w.release("v3"), reconcile.Back{})
		if back.err != nil || !strings.Contains(back.report.Note, "did not end") || back.report.To != 2 || w.versions() != allV2 {
			t.Errorf("the rollback: %+v %v: %s\n%s", back.report, back.err, w.versions(), w.progress())
		}
		w.noLocks(0)
	})
}

func TestOnlyOurOwnReleasesAreCancelled(t *testing.T) {
	for name, text := range map[string]string{
		"Kamal's":           "Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: Automatic deploy lock\n",
		"a person's":        "Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: migrating\n",
		"another rollback":  "Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: Automatic deploy lock\nOwner: alice@far pid 7\nReason: rollback\nFence: 9\nLease: 30s\nNonce: ABC\n",
		"not a release run": "Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: Automatic deploy lock\nOwner: alice@far pid 7\nReason: prune\nFence: 9\nLease: 30s\nNonce: ABC\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 904)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				w.WriteFile("h1", lockDetails, encoded(text))
				back := w.rollBack(t.Context(), w.release("v2"), reconcile.Back{})
				var locked *reconcile.LockedError
				if !errors.As(back.err, &locked) || w.versions() != allV2 {
					t.Errorf("%+v %v: %s", back.report, back.err, w.versions())
				}
				w.noRequests()
			})
		})
	}
}

func TestARollbackThatMayNotCancelIsRefusedOrWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.image("v3", sim.Healthy(5*time.Second))
		refused, waited := make(chan rolled, 1), make(chan rolled, 1)
		w.during(func(c sim.Call) bool { return c.Method == "Engine.Start" }, func() {
			refused <- w.rollBack(t.Context(), w.release("v3"), reconcile.Back{NoCancel: true})
			c := w.controller() // one that waits for locks
			defer func() { _ = c.Close() }()
			report, err := c.Rollback(t.Context(), w.release("v3"), reconcile.Back{NoCancel: true}, reconcile.Options{})
			waited <- rolled{report, err}
		})
		report, err := w.apply(t.Context(), w.release("v3"))
		if err != nil || report.Outcome != state.OutcomeSucceeded {
			t.Errorf("the release: %+v %v", report, err)
		}
		var locked *reconcile.LockedError
		if first := <-refused; !errors.As(first.err, &locked) {
			t.Errorf("%v", first.err)
		}
		if second := <-waited; second.err != nil || second.report.To != 2 || w.versions() != allV2 {
			t.Errorf("%+v %v: %s", second.report, second.err, w.versions())
		}
	})
}

func TestARollbackWaitsForTheEndOfARunNoLongerThanItsLimit(t *testing.T) {
	const limit = 20 * time.Second
	for name, c := range map[string]struct {
		back    reconcile.Back
		outcome state.Outcome // of the release that it waits for
		runs    string
	}{
		"it is left alone":   {reconcile.Back{NoCancel: true}, state.OutcomeSucceeded, allV3},
		"it is asked to end": {reconcile.Back{}, state.OutcomeCancelled, allV2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 906)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				waited := make(chan rolled, 1)
				var took time.Duration
				w.during(func(c sim.Call) bool { return c.Method == "Engine.Pull" }, func() {
					rollback := w.controller()
					rollback.LockWaitLimit = limit
					defer func() { _ = rollback.Close() }()
					began := time.Now()
					report, err := rollback.Rollback(t.Context(), w.release("v3"), c.back, reconcile.Options{})
					took = time.Since(began)
					waited <- rolled{report, err}
				})
				w.Before(func(c sim.Call) error {
					if c.Method == "Engine.Pull" {
						time.Sleep(time.Minute)
					}
					return nil
				})
				if report, _ := w.apply(t.Context(), w.release("v3")); report.Outcome != c.outcome {
					t.Errorf("the release: %+v", report)
				}
				var locked *reconcile.LockedError
				if ended := <-waited; !errors.As(ended.err, &locked) || locked.Waited < limit || took > limit+5*time.Second {
					t.Errorf("after %s: %+v %v", took, ended.report, ended.err)
				}
				if got := w.versions(); got != c.runs {
					t.Errorf("%s", got)
				}
				w.noRequests()
				w.noLocks(0)
			})
		})
	}
}

// encoded is a lock's text as it lies on a host.
func encoded(text string) []byte {
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}

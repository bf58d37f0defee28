package reconcile_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	lockDetails = ".kamal/lock-shop/details"
	lease       = 30 * time.Second
)

// lockOf is the text of a lock with a lease, as another kamald would write it.
func lockOf(owner string) []byte {
	text := "Locked by: " + owner + " at 2026-01-01T00:00:00Z\nVersion: v5\nMessage: Automatic deploy lock\n" +
		"Owner: " + owner + "@elsewhere pid 7\nReason: release\nFence: 99\nLease: 30s\n"
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}

// slow pushes a version that takes its time to become healthy, and gives a release that waits for it.
func (w *world) slow(version string, ready time.Duration) release.Release {
	w.image(version, sim.Healthy(ready))
	desired := w.release(version)
	desired.DeployTimeout = 10 * time.Minute
	return desired
}

// ending is how an apply ended.
type ending struct {
	report reconcile.Report
	err    error
}

// begin lets an apply run beside the test.
func (w *world) begin(desired release.Release) <-chan ending {
	ended := make(chan ending, 1)
	go func() {
		report, err := w.apply(w.t.Context(), desired)
		ended <- ending{report, err}
	}()
	return ended
}

// mutations gives what was changed on a host after a time.
func (w *world) mutations(host string, after time.Time) (list []sim.Call) {
	for _, call := range w.History() {
		if call.Host == host && call.At.After(after) {
			list = append(list, call)
		}
	}
	return list
}

// times gives when a method was called on a host.
func (w *world) times(host, method string) (list []time.Time) {
	for _, call := range w.History() {
		if call.Host == host && call.Method == method {
			list = append(list, call.At)
		}
	}
	return list
}

// locked gives the hosts on which a lock of the app lies.
func (w *world) locked() (hosts []string) {
	for _, host := range w.Hosts() {
		for _, name := range w.FileNames(host) {
			if strings.HasSuffix(name, "/lock-shop") {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

func TestALeaseThatCannotBeRenewedEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 11)
		w.mustApply(w.release("v1"))
		desired := w.slow("v9", 2*time.Minute)
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Files.Touch" {
				return sim.ErrFault
			}
			return nil
		})
		began := time.Now()
		ended := <-w.begin(desired)
		if !errors.Is(ended.err, reconcile.ErrLeaseLost) || !strings.Contains(ended.err.Error(), "h2") {
			t.Errorf("error: %v", ended.err)
		}
		if took := time.Since(began); took < lease/2 || took > lease+10*time.Second {
			t.Errorf("the run ended after %s", took)
		}
		w.mustBeLostOn(ended.report, "h2")
		for _, call := range w.mutations("h2", began.Add(lease)) {
			if call.Method != "Files.Remove" || !strings.HasSuffix(call.Args, "lock-shop") {
				t.Errorf("begun on the lost host: %s", call)
			}
		}
		w.ClearHooks()
		w.mustApply(w.release("v2"))
		if got := w.versions(); got != allV2 {
			t.Errorf("after the next run: %s", got)
		}
	})
}

func TestALockThatAnotherTookOverIsLeftToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 12)
		w.mustApply(w.release("v1"))
		ends := w.begin(w.slow("v9", 2*time.Minute))
		time.Sleep(lease / 2)
		taken := time.Now()
		w.WriteFile("h2", lockDetails, lockOf("somebody"))
		ended := <-ends
		if !errors.Is(ended.err, reconcile.ErrLeaseLost) || !strings.Contains(ended.err.Error(), "h2") {
			t.Errorf("error: %v", ended.err)
		}
		w.mustBeLostOn(ended.report, "h2")
		for _, call := range w.mutations("h2", taken) {
			t.Errorf("begun on the lost host: %s", call)
		}
		if kept, _ := w.File("h2", lockDetails); string(kept) != string(lockOf("somebody")) {
			t.Errorf("the other's lock is %q now", kept)
		}
		if got := strings.Join(w.locked(), " "); got != "h2" {
			t.Errorf("locks are left on %q", got)
		}
	})
}

// mustBeLostOn wants a run that lost its lease on one host to have failed, to have compensated on the others, and to say what
// is left there.
func (w *world) mustBeLostOn(report reconcile.Report, host string) {
	w.t.Helper()
	if report.Outcome != state.OutcomeFailed || !report.Undone || len(report.Left) == 0 {
		w.t.Errorf("report: %+v", report)
	}
	for _, left := range report.Left {
		if !strings.HasPrefix(left, host+": ") {
			w.t.Errorf("left elsewhere: %s", left)
		}
	}
	for _, other := range w.Hosts() {
		for _, c := range w.Containers(other, state.View{}) {
			if other != host && c.Version() == "v9" {
				w.t.Errorf("%s: %s was not taken away", other, c.Name)
			}
		}
	}
	for _, record := range w.store.releases {
		if record.Version == "v9" && record.Outcome != state.OutcomeFailed {
			w.t.Errorf("recorded as %s", record.Outcome)
		}
	}
}

func TestARenewalSurvivesALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 13)
		w.mustApply(w.release("v1"))
		ends := w.begin(w.slow("v9", 2*time.Minute))
		time.Sleep(lease / 2)
		w.Cut("h2")
		time.Sleep(time.Millisecond)
		w.Restore("h2")
		if ended := <-ends; ended.err != nil || ended.report.Outcome != state.OutcomeSucceeded {
			t.Fatalf("%s: %v", ended.report.Outcome, ended.err)
		}
		w.mustBeRenewed("h2")
		w.noLocks(0)
	})
}

// applyThrough applies in a run whose every call goes through an interceptor.
func (w *world) applyThrough(around reconcile.Interceptor, desired release.Release) error {
	c := w.controller()
	through := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}, around), w.store, c.Secrets)
	defer func() { _ = through.Close() }()
	_, err := through.Apply(w.t.Context(), desired, reconcile.Options{})
	return err
}

// hangs lets the first renewals on a host hang for as long as their callers wait.
func hangs(host string, first int) reconcile.Interceptor {
	return func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		if call.Host == host && call.Method == "Files.Touch" && first > 0 {
			first--
			<-ctx.Done()
			return ctx.Err()
		}
		return next(ctx)
	}
}

func TestARenewalThatHangsIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 14)
		w.mustApply(w.release("v1"))
		if err := w.applyThrough(hangs("h2", 1), w.slow("v9", 2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.mustBeRenewed("h1", "h2", "h3")
	})
}

func TestAHostThatDoesNotAnswerDelaysNoOthersRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 15)
		w.mustApply(w.release("v1"))
		err := w.applyThrough(hangs("h1", 1000), w.slow("v9", 2*time.Minute))
		if !errors.Is(err, reconcile.ErrLeaseLost) || !strings.Contains(err.Error(), "h1") {
			t.Errorf("error: %v", err)
		}
		w.mustBeRenewed("h2", "h3")
	})
}

// mustBeRenewed wants the locks on hosts to have been renewed well within their lease.
func (w *world) mustBeRenewed(hosts ...string) {
	w.t.Helper()
	for _, host := range hosts {
		times := w.times(host, "Files.Touch")
		if len(times) < 2 {
			w.t.Errorf("%s: renewed %d times", host, len(times))
		}
		for i := 1; i < len(times); i++ {
			if pause := times[i].Sub(times[i-1]); pause > lease*2/3+time.Second {
				w.t.Errorf("%s: not renewed for %s", host, pause)
			}
		}
	}
}

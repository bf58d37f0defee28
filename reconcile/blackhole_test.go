package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	dialLimit = 15 * time.Second // of one dial over SSH
	// afterFirst is how long a run may go on after the first dial that nobody answered.
	afterFirst = 40 * time.Second
)

// patient dials as SSH does: for so long, and no longer.
type patient struct {
	connector
	dialled func(host string, err error)
}

func (p patient) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	slow := &noAnswer{}
	bounded, cancel := context.WithTimeoutCause(ctx, dialLimit, slow)
	defer cancel()
	conn, err := p.connector.Connect(bounded, host)
	if err != nil && context.Cause(bounded) == error(slow) {
		err = fmt.Errorf("%s: dial: %w", host.Name, slow)
	}
	p.dialled(host.Name, err)
	return conn, err
}

type noAnswer struct{}

func (*noAnswer) Error() string { return fmt.Sprintf("no answer within %s", dialLimit) }
func (*noAnswer) Timeout() bool { return true }
func (*noAnswer) Unwrap() error { return state.ErrUnreachable }

// patiently is one run of kamald whose dials end as those of SSH do.
func (w *world) patiently(dialled func(host string, err error)) *reconcile.Controller {
	through := patient{connector{w.Connector()}, dialled}
	return reconcile.NewController(reconcile.NewFleet(through), w.store, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
}

// swallow makes a host a black hole as a call to it is made, and gives when that was. Its connections are given up after a time,
// as keepalives do.
func (w *world) swallow(host, method string, noticed time.Duration) (fault *time.Time) {
	fault = &time.Time{}
	var mu sync.Mutex // calls come at once
	w.Before(func(c sim.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if c.Host == host && c.Method == method && fault.IsZero() {
			*fault = time.Now()
			w.BlackHole(host, true, true)
			time.AfterFunc(noticed, func() { w.RestartSSH(host) })
		}
		return nil
	})
	return fault
}

func TestAHostThatSwallowsPacketsIsNotWaitedForAtEachStepOfTheWayBack(t *testing.T) {
	type trial struct {
		method  string
		noticed time.Duration
	}
	var trials []trial
	for _, method := range []string{"Engine.Create", "Engine.Start", "Proxy.Deploy", "Engine.Stop"} {
		trials = append(trials, trial{method, 0}, trial{method, 15 * time.Second})
	}
	for _, c := range trials {
		t.Run(fmt.Sprintf("%s, noticed after %s", c.method, c.noticed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 951)
				w.mustApply(w.release("v1"))
				fault := w.swallow("h2", c.method, c.noticed)
				most := afterFirst
				if c.method == "Proxy.Deploy" { // it may switch yet, and is asked until it cannot any more; the last dial then takes its time
					most += w.release("v2").DeployTimeout + 15*time.Second
				}
				var mu sync.Mutex
				var first time.Time
				c := w.patiently(func(_ string, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err != nil && first.IsZero() {
						first = time.Now()
					}
				})
				defer func() { _ = c.Close() }()
				report, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
				if err == nil || report.Outcome != state.OutcomeFailed || first.IsZero() {
					t.Fatalf("%+v %v", report, err)
				}
				t.Logf("%s after the fault, %s after the first dial without an answer", time.Since(*fault), time.Since(first))
				if took := time.Since(first); took > most {
					t.Errorf("it ended %s after the first dial without an answer", took)
				}
				if text := err.Error(); !strings.Contains(text, "h2: the deploy lock .kamal/lock-shop stays") || !strings.Contains(text, "it expires by itself 30s from now") {
					t.Errorf("the lock that stays is not told: %s", text)
				}
				w.Restore("h2")
				if again, err := c.Plan(t.Context(), w.release("v2"), reconcile.Options{}); err != nil || len(again.Plan.Unreachable) > 0 {
					t.Errorf("the next run does not look at the host again: %+v %v", again.Plan.Unreachable, err)
				}
			})
		})
	}
}

func TestAHostThatAnswersAgainLaterOnTheWayBackIsDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 952)
		w.image("v2", sim.Behaviour{Ready: 300 * time.Millisecond, IgnoresStop: true}) // to end it takes its grace
		slowly := func(version string) release.Release {
			desired := w.release(version)
			desired.Roles[0].Stop.Grace = time.Minute
			return desired
		}
		w.mustApply(slowly("v1"))
		w.swallow("h2", "Proxy.Deploy", 0)
		var mu sync.Mutex
		timedOut := 0
		c := w.patiently(func(_ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			var slow *noAnswer
			if errors.As(err, &slow) {
				timedOut++
			}
			if timedOut == 2 { // the first failed the run, this one is remembered
				time.AfterFunc(time.Second, func() { w.Restore("h2") })
			}
		})
		defer func() { _ = c.Close() }()
		_, err := c.Apply(t.Context(), slowly("v2"), reconcile.Options{})
		if err == nil || strings.Contains(err.Error(), "the deploy lock") {
			t.Errorf("%v", err)
		}
		if timedOut != 2 {
			t.Errorf("%d dials timed out", timedOut)
		}
		w.noLocks(0)
	})
}

func TestAHostThatRefusesOnTheWayBackIsTriedEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 953)
		w.mustApply(w.release("v1"))
		var mu sync.Mutex
		once, refused := false, 0
		w.Before(func(c sim.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Host == "h2" && c.Method == "Proxy.Deploy" && !once {
				once = true
				w.Cut("h2")
			}
			return nil
		})
		c := w.patiently(func(_ string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				return
			}
			if refused++; refused == 3 { // none of them took long: the next finds it
				w.Restore("h2")
			}
		})
		defer func() { _ = c.Close() }()
		if _, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{}); err == nil {
			t.Error("it did not fail")
		}
		if refused != 3 {
			t.Errorf("%d dials were refused", refused)
		}
		w.noLocks(0)
	})
}

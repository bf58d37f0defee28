package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// lost loses the connection of a host at the first call of a method, before or after it is carried out.
func (w *world) lost(host, method string, carriedOut bool) {
	once := false
	hook := func(c sim.Call) error {
		if c.Host != host || c.Method != method || once {
			return nil
		}
		once = true
		return fmt.Errorf("the connection was lost: %w", state.ErrUnreachable)
	}
	if carriedOut {
		w.After(hook)
		return
	}
	w.Before(hook)
}

// loses lets a deploy reach the proxy and loses the connection while it is waited for.
func (w *world) loses(host string) {
	once := false
	w.Before(func(c sim.Call) error {
		if c.Host == host && c.Method == "Proxy.Deploy" && !once {
			once = true
			time.AfterFunc(100*time.Millisecond, func() { w.RestartSSH(host) })
		}
		return nil
	})
}

func TestALateSwitchWhoseReplyWasLostIsWaitedForAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3301)
		w.mustApply(w.release("v1"))
		w.SwitchesLate("h2", 4*time.Second)
		w.loses("h2")
		stop, failed := w.watch(true)
		report, err := w.apply(t.Context(), w.release("v2"))
		stop()
		if err != nil || report.Outcome != state.OutcomeSucceeded || failed() > 0 {
			t.Fatalf("%+v %v, requests failed: %d\n%s", report, err, failed(), w.progress())
		}
		if !strings.Contains(w.progress(), "the reply of the proxy about route shop-web was lost") {
			t.Errorf("it is not said:\n%s", w.progress())
		}
		w.mustBeEmpty(w.release("v2"))
	})
}

// The release fails elsewhere while a proxy that nobody hears of is still about to switch: what is undone there is undone after that.
func TestWhatMaySwitchYetIsNotTakenBackBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3302)
		w.mustApply(w.release("v1"))
		w.SwitchesLate("h2", 6*time.Second)
		w.loses("h2")
		w.Before(func(c sim.Call) error {
			switch {
			case c.Host == "h1" && c.Method == "Proxy.Deploy":
				return sim.ErrFault
			case c.Host == "h2" && c.Method == "Engine.Stop":
				time.Sleep(8 * time.Second) // what was seen before it may have changed
			}
			return nil
		})
		stop, failed := w.watch(true)
		report, err := w.apply(t.Context(), w.release("v2"))
		time.Sleep(time.Minute)
		stop()
		if err == nil || !report.Undone || len(report.Left) > 0 || failed() > 0 {
			t.Fatalf("%+v %v, requests failed: %d\n%s", report, err, failed(), w.progress())
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after it: %s", got)
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

// Nothing can be heard of the proxy until the time for its switch is over: it did not come to it, and the old one goes on.
func TestASwitchThatNeverReachedTheProxyIsGivenUpWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3303)
		w.mustApply(w.release("v1"))
		w.lost("h2", "Proxy.Deploy", false)
		began := time.Now()
		desired := w.release("v2")
		report, err := w.apply(t.Context(), desired)
		if err == nil || !report.Undone || len(report.Left) > 0 || time.Since(began) < desired.DeployTimeout {
			t.Fatalf("%+v %v after %s", report, err, time.Since(began))
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after it: %s", got)
		}
	})
}

// The container is the same, and only what the proxy is told of it is another: where it goes says nothing of that.
func TestOptionsThatNeverReachedTheProxyAreNotTakenForDone(t *testing.T) {
	for name, carriedOut := range map[string]bool{"the reply was lost": true, "the call was lost": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3309)
				w.mustApply(w.release("v1"))
				desired := w.release("v1")
				proxy := *desired.Roles[0].Proxy
				proxy.Options.ResponseTimeout = 7 * time.Second
				desired.Roles[0].Proxy = &proxy
				w.lost("h2", "Proxy.Deploy", carriedOut)
				if _, err := w.apply(t.Context(), desired); carriedOut != (err == nil) {
					t.Errorf("carried out %v: %v", carriedOut, err)
				}
			})
		})
	}
}

// withoutWeb is a release whose role web is on h1 alone: h2's route goes.
func withoutWeb(w *world) release.Release {
	desired := w.release("v1")
	desired.Roles[0].Hosts = []string{"h1"}
	return desired
}

func TestARouteThatWasTakenAwayAndNobodyHeardOfItIsGone(t *testing.T) {
	for name, carriedOut := range map[string]bool{"the reply was lost": true, "the call was lost": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3304)
				w.mustApply(w.release("v1"))
				w.lost("h2", "Proxy.Remove", carriedOut)
				_, err := w.apply(t.Context(), withoutWeb(w))
				if carriedOut != (err == nil) || carriedOut != (len(w.Routes("h2")) == 0) {
					t.Fatalf("%v, routes: %+v\n%s", err, w.Routes("h2"), w.progress())
				}
				if !carriedOut {
					w.mustApply(withoutWeb(w))
				}
				w.mustBeEmpty(withoutWeb(w))
			})
		})
	}
}

// A killed kamald does not end what it asked of the proxy: the next one, which wants the old version, meets the late switch.
func TestTheLateSwitchOfAKilledRunTakesNothingFromTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3305)
		w.mustApply(w.release("v1"))
		w.SwitchesLate("h2", 8*time.Second)
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Proxy.Deploy" {
				time.AfterFunc(100*time.Millisecond, w.Kill)
			}
			return nil
		})
		stop, failed := w.watch(true)
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil {
			t.Fatal("a killed run succeeded")
		}
		w.ClearHooks()
		w.Revive()
		w.using(func(c *reconcile.Controller) {
			c.LockWait = true
			_, _ = c.Apply(t.Context(), w.release("v1"), reconcile.Options{}) // it may find that the route has moved
		})
		time.Sleep(time.Minute)
		stop()
		if failed() > 0 {
			t.Errorf("requests failed: %d\n%s", failed(), w.progress())
		}
		w.mustApply(w.release("v1"))
		w.mustBeEmpty(w.release("v1"))
	})
}

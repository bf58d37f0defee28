package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func TestAProofGoesOnOverAnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 81)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Healthy(5*time.Second))
		ends := w.begin(w.release("v9"))
		time.Sleep(2 * time.Second)
		if got := w.versions(); !strings.Contains(got, "h2/web=v9") || !strings.Contains(got, "h2/web=v1") {
			t.Fatalf("after two seconds: %s", got)
		}
		w.Cut("h2")
		time.Sleep(500 * time.Millisecond)
		w.Restore("h2")
		if ended := <-ends; ended.err != nil {
			t.Fatal(ended.err)
		}
		if got := w.versions(); got != "h1/web=v9 h2/web=v9 h3/workers=v9" {
			t.Errorf("after it: %s", got)
		}
	})
}

func TestAContainerWithoutAnAddressIsNotAskedAtTheServersOwn(t *testing.T) {
	for name, health := range map[string]*release.Health{
		"HTTP":             {HTTP: ":9000/up", Timeout: time.Second},
		"TCP":              {TCP: 9000, Timeout: time.Second},
		"the proxy's path": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 82)
				w.mustApply(w.release("v1"))
				desired := w.release("v2")
				for i := range desired.Roles {
					desired.Roles[i].Health = health
				}
				w.After(func(c sim.Call) error {
					if c.Host == "h2" && c.Method == "Engine.Start" && strings.Contains(w.versions(), "h2/web=v2") {
						w.DetachNetwork("h2", "shop-web-v2", "kamal")
					}
					return nil
				})
				w.Before(func(c sim.Call) error {
					if strings.HasPrefix(c.Method, "Prober.") && strings.HasPrefix(c.Args, ":") {
						t.Errorf("%s asks %s", c.Method, c.Args)
					}
					if strings.HasPrefix(c.Method, "Prober.") && c.Host == "h1" {
						time.Sleep(20 * time.Second) // h2 is the one that fails
					}
					return nil
				})
				_, err := w.apply(t.Context(), desired)
				var unhealthy *reconcile.UnhealthyError
				if !errors.As(err, &unhealthy) || unhealthy.Host != "h2" || !strings.Contains(unhealthy.Cause, "no address on the network kamal") {
					t.Errorf("error: %v", err)
				}
				if got := w.versions(); got != allV1 {
					t.Errorf("after the failure: %s", got)
				}
			})
		})
	}
}

// A look that the end of the time cut off saw nothing: what was seen before it is the cause.
func TestTheLastAnswerIsTheCauseAndNotTheEndOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 83)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.NeverHealthy(503))
		desired := w.release("v9")
		var first time.Time
		w.Before(func(c sim.Call) error {
			if c.Method != "Prober.HTTP" {
				return nil
			}
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) > desired.DeployTimeout/2 {
				time.Sleep(desired.DeployTimeout)
				return context.DeadlineExceeded
			}
			return nil
		})
		_, err := w.apply(t.Context(), desired)
		var unhealthy *reconcile.UnhealthyError
		if !errors.As(err, &unhealthy) || !strings.Contains(unhealthy.Cause, "503") {
			t.Errorf("error: %v", err)
		}
	})
}

// An engine may not say that it was the kernel that killed a container: what usually is behind that is said all the same.
func TestAKilledContainerMayHaveHadTooLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 84)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Exits(137, 100*time.Millisecond))
		_, err := w.apply(t.Context(), w.release("v9"))
		var unhealthy *reconcile.UnhealthyError
		if !errors.As(err, &unhealthy) || !strings.Contains(unhealthy.Cause, "exit code 137 (killed") || !strings.Contains(unhealthy.Cause, "options.memory") {
			t.Errorf("error: %v", err)
		}
	})
}

// How often a container has ended in its life says nothing about it now, when it has been running since.
func TestAContainerThatEndedLongAgoIsHealthyWhenItIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 84)
		w.image("v9", sim.Behaviour{Ready: 300 * time.Millisecond, Ends: true, EndsIn: time.Minute, ExitCode: 1})
		desired := w.release("v9")
		w.mustApply(desired)
		time.Sleep(5*time.Minute + 30*time.Second)
		for host, name := range map[string]string{"h1": "shop-web-v9", "h2": "shop-web-v9", "h3": "shop-workers-v9"} {
			w.Misbehave(host, name, sim.Healthy(300*time.Millisecond))
		}
		time.Sleep(time.Hour)
		w.RemoveRoute("h1", "shop-web")
		w.mustApply(desired)
		if len(w.Routes("h1")) != 1 {
			t.Error("the route is not back")
		}
	})
}

func TestAContainerThatEndsAgainAndAgainIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 85)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Exits(3, 100*time.Millisecond))
		desired := w.release("v9")
		desired.DeployTimeout = time.Hour
		began := time.Now()
		_, err := w.apply(t.Context(), desired)
		if err == nil || !strings.Contains(err.Error(), "exit code 3") || time.Since(began) > time.Minute || w.versions() != allV1 {
			t.Errorf("after %s: %s %v", time.Since(began), w.versions(), err)
		}
	})
}

// It has to stay healthy for as long as is asked, in one life: an end that falls between two looks begins the time anew.
func TestAnEndBetweenTwoLooksBeginsTheTimeAnew(t *testing.T) {
	for ends := 3 * time.Second; ends < 4*time.Second; ends += 50 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 86)
			w.image("v9", sim.Healthy(300*time.Millisecond))
			w.Before(func(c sim.Call) error {
				if c.Host == "h3" && c.Method == "Engine.Start" {
					w.Misbehave("h3", "shop-workers-v9", sim.Behaviour{Ends: true, EndsIn: ends, ExitCode: 1})
				}
				return nil
			})
			desired := w.release("v9")
			desired.ReadinessDelay, desired.DeployTimeout = 7*time.Second, 30*time.Second
			if _, err := w.apply(t.Context(), desired); err == nil {
				t.Errorf("a worker that ends every %s was released", ends)
			}
		})
	}
}

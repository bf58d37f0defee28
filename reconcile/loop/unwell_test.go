package loop_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// sicken has a container answer 500 from now on.
func (w *world) sicken(host string) { w.Misbehave(host, "shop-web-v1", sim.NeverHealthy(500)) }

func TestWhatServesAndIsUnwellIsReplaced(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		before := w.ID("h1", "shop-web-v1")
		w.pass(10 * time.Minute)
		w.sicken("h1")
		w.pass(6 * time.Minute)
		w.want(all("v1"))
		if w.ID("h1", "shop-web-v1") == before || w.Answer("h1", "example.com", "/") != 200 {
			t.Errorf("it was not replaced\n%s", w.said())
		}
		if told := w.told(); told != "drifted, healed" {
			t.Errorf("told: %s", told)
		}
		w.wantConditions("")
	})
}

func TestARolesOwnCheckIsAskedAgainAndAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.checked = true
		w.source.release = w.wanted("v1")
		w.deployed("v1").start().settle()
		before := w.ID("h3", "shop-workers-v1")
		w.pass(10 * time.Minute)
		if w.ID("h3", "shop-workers-v1") != before {
			t.Error("it was replaced, and is well")
		}
		w.Misbehave("h3", "shop-workers-v1", sim.ListensElsewhere(-1))
		w.pass(6 * time.Minute)
		w.want(all("v1"))
		if w.ID("h3", "shop-workers-v1") == before {
			t.Errorf("it was not replaced\n%s", w.said())
		}
		w.wantConditions("")
	})
}

func TestOneAnswerThatDoesNotComeIsNoReasonToReplace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		before, n := w.ID("h1", "shop-web-v1"), 0
		w.hook(func(call reconcile.Call) error {
			if call.Method == "Prober.HTTP" && call.Host == "h1" {
				if n++; n%3 != 0 {
					return errors.New("connection reset")
				}
			}
			return nil
		})
		w.pass(time.Hour)
		w.hooked(func() {
			if w.ID("h1", "shop-web-v1") != before || n == 0 {
				t.Errorf("it was replaced; it was asked %d times", n)
			}
		})
		w.wantConditions("")
	})
}

func TestWhatEveryContainerLacksIsNotHealedByReplacingThem(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		before := w.ID("h1", "shop-web-v1") + w.ID("h2", "shop-web-v1")
		w.sicken("h1")
		w.sicken("h2")
		w.pass(time.Hour)
		if w.ID("h1", "shop-web-v1")+w.ID("h2", "shop-web-v1") != before {
			t.Error("they were replaced")
		}
		w.wantConditions("dependency drifted")
	})
}

func TestWhoeverDoesNotServeOnPurposeIsNotAskedWhetherItIsWell(t *testing.T) {
	for name, shut := range map[string]func(w *world, id string){
		"in maintenance": func(w *world, _ string) {
			w.by(func(c *reconcile.Controller) error {
				_, err := c.Maintain(w.t.Context(), desired("v1"), reconcile.Maintenance{}, nil, nil)
				return err
			})
		},
		"paused": func(w *world, _ string) {
			_ = w.loop.Pause(shop, state.Pause{Role: "web", Who: "ada"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				before := w.ID("h1", "shop-web-v1")
				shut(w, before)
				w.sicken("h1")
				w.pass(20 * time.Minute)
				if w.ID("h1", "shop-web-v1") != before {
					t.Errorf("it was replaced\n%s", w.said())
				}
			})
		})
	}
}

func TestAskingCostsACallForEachContainerInTheTimersRoundOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		asked := map[string]int{}
		w.hook(func(call reconcile.Call) error {
			if strings.HasPrefix(call.Method, "Prober.") || call.Method == "Engine.Exec" {
				asked[call.Host]++
			}
			return nil
		})
		w.loop.Look(shop)
		w.pass(time.Minute)
		w.hooked(func() {
			if len(asked) > 0 {
				t.Errorf("a look that was ordered asked %v", asked)
			}
		})
		w.pass(5 * time.Minute)
		w.hooked(func() {
			if asked["h1"] != 1 || asked["h2"] != 1 || asked["h3"] != 0 {
				t.Errorf("a round of the timer asked %v", asked)
			}
		})
	})
}

// What the timer's round has found is healed when another round comes first.
func TestWhatIsUnwellStaysSoUntilItIsAskedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Mode = release.ModeReport
		w.deployed("v1").start().settle()
		w.pass(6 * time.Minute)
		w.sicken("h1")
		w.pass(5*time.Minute + 10*time.Second)
		w.loop.Look(shop)
		w.pass(5 * time.Second)
		status, _ := w.loop.Status(shop)
		if len(status.Findings) != 1 || status.Findings[0].Class != string(plan.DriftUnhealthy) || !strings.Contains(status.Findings[0].Reason, "500") {
			t.Errorf("the findings are %+v", status.Findings)
		}
		saved, _, _ := w.store.Snapshot(shop)
		for _, host := range saved.Hosts {
			for _, c := range host.Containers {
				if c.Failing != "" {
					t.Errorf("the snapshot that others plan from says %q", c.Failing)
				}
			}
		}
	})
}

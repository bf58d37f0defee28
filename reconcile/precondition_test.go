package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// between lets a hand do something right before the first call of a method that a step of the release makes on a host.
func (w *world) between(host, method, args string, do func()) {
	done := false
	w.Before(func(c sim.Call) error {
		if !done && c.Host == host && c.Method == method && strings.Contains(c.Args, args) {
			done = true
			do()
		}
		return nil
	})
}

// What somebody does in the middle of a release fails the step that it concerns, which names it, and stands afterwards.
func TestAStepDoesNotActOnWhatHasMovedSinceThePlan(t *testing.T) {
	for name, c := range map[string]struct {
		host, method, args string // the call of an earlier step
		do                 func(w *world)
		says               string
		runs               string // afterwards
		check              func(t *testing.T, w *world)
	}{
		"route moved": {"h1", "Engine.Create", "shop-web-v4", func(w *world) { w.reroute("h1", "shop-web-v2") },
			"route shop-web goes to shop-web-v2 (", allV3, func(t *testing.T, w *world) {
				if got := w.Routes("h1")[0].TargetID(); got != w.idOf("h1", "shop-web-v2") {
					t.Errorf("the route that a hand made was taken back: %s", got)
				}
			}},
		"route stopped": {"h1", "Engine.Create", "shop-web-v4", func(w *world) {
			route := w.Routes("h1")[0]
			route.Stopped = true
			w.SetRoute("h1", route)
		}, "route shop-web was stopped", allV3, func(t *testing.T, w *world) {
			if !w.Routes("h1")[0].Stopped {
				t.Error("what was stopped on purpose serves again")
			}
		}},
		"secret pushed": {"h3", "Engine.Pull", "", func(w *world) {
			w.WriteFile("h3", ".kamal/apps/shop/env/roles/workers.env", []byte("TOKEN=other\n"))
		}, "secret TOKEN of workers was changed on the host", allV3, nil},
		"name taken": {"h1", "Engine.Pull", "", func(w *world) {
			w.RunContainer("h1", "shop-web-v4", state.Spec{Image: repository + ":v1"}, map[string]string{state.LabelService: "blog"}, nil)
		}, "the name shop-web-v4 was taken", allV3, nil},
		"latest moved": {"h1", "Engine.Create", "shop-web-v4", func(w *world) { w.Retag("h2", repository+":v1", repository+":latest") },
			"tag " + repository + ":latest is at sha256:", allV4, func(t *testing.T, w *world) {
				if got := w.latest("h2"); got != "v1" {
					t.Errorf("latest is at %s", got)
				}
			}},
		"old one started": {"h3", "Engine.Pull", "", func(w *world) { w.StartContainer("h3", "shop-workers-v1") },
			"container shop-workers-v1 (", "h1/web=v4 h2/web=v4 h3/workers=v1 h3/workers=v4", nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 711)
				for _, version := range []string{"v1", "v2", "v3"} {
					w.mustApply(w.withRetain(version, 3))
				}
				w.between(c.host, c.method, c.args, func() { c.do(w) })
				report, err := w.apply(t.Context(), w.withRetain("v4", 2))
				w.ClearHooks()
				moved, ok := errors.AsType[*reconcile.MovedError](err)
				if !ok || !strings.Contains(moved.What, c.says) {
					t.Fatalf("it does not say %q: %v", c.says, err)
				}
				if got := w.versions(); got != c.runs || len(report.Left) > 0 {
					t.Errorf("after it: %s, left %v\n%s", got, report.Left, w.progress())
				}
				if c.check != nil {
					c.check(t, w)
				}
				w.noLocks(0)
			})
		})
	}
}

const allV4 = "h1/web=v4 h2/web=v4 h3/workers=v4"

// withRetain is a release that keeps so many old containers.
func (w *world) withRetain(version string, keep int) release.Release {
	desired := w.release(version)
	desired.RetainContainers = keep
	return desired
}

// idOf is the short ID of a container.
func (w *world) idOf(host, name string) string {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Name == name {
			return c.ShortID()
		}
	}
	return ""
}

// A container that is gone when its step comes is named, by the engine's own answer.
func TestAContainerThatIsGoneWhenItsStepComesIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 712)
		w.mustApply(w.release("v1"))
		w.StopContainer("h3", "shop-workers-v1")
		done := false
		w.Before(func(c sim.Call) error {
			if !done && c.Host == "h3" && c.Method == "Engine.Start" {
				done = true
				return state.ErrNotFound // as if it had been removed a moment ago
			}
			return nil
		})
		_, err := w.apply(t.Context(), w.release("v1"))
		if moved, ok := errors.AsType[*reconcile.MovedError](err); !ok || !strings.Contains(moved.What, "container shop-workers-v1 (") || !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// The checks of preconditions cost a release one call for each switch, each tag and each removal, two at once for each image that
// goes, and nothing else.
func TestPreconditionsCostARoundForEachSwitchTagAndRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 713)
		w.mustApply(w.withRetain("v1", 1))
		w.mustApply(w.withRetain("v2", 1))
		c := w.controller()
		planned, err := c.Plan(t.Context(), w.withRetain("v3", 1), reconcile.Options{})
		_ = c.Close()
		if err != nil {
			t.Fatal(err)
		}
		checked := map[plan.StepKind]int{}
		for _, s := range planned.Plan.Steps {
			if s.Precondition.Guard == plan.GuardCheck {
				checked[s.Kind]++
			}
			if s.Precondition == (plan.Precondition{}) != (s.Kind == plan.StepGate || s.Kind == plan.StepBarrier || s.Kind == plan.StepWait || s.Kind == plan.StepHold) {
				t.Errorf("%s has the precondition %+v", s.ID, s.Precondition)
			}
		}
		if len(checked) != 4 || checked[plan.StepSwitch] != 2 || checked[plan.StepTag] != 3 || checked[plan.StepRemove] != 3 || checked[plan.StepUntag] != 3 {
			t.Errorf("checked: %v", checked)
		}
	})
}

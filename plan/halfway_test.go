package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
)

// until carries a plan's steps out in their order, up to and with the first whose ID begins so.
func (w *world) until(t *testing.T, p plan.Plan, prefix string) *world {
	t.Helper()
	w = w.clone()
	for _, s := range p.Steps {
		if err := w.step(s); err != nil {
			t.Fatalf("%s: %v", s.ID, err)
		}
		if strings.HasPrefix(s.ID, prefix) {
			return w
		}
	}
	t.Fatalf("no step %s in\n%s", prefix, show(p))
	return nil
}

func TestAReleaseThatWasKilledHalfWayGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		last string // the step before the end
		has  []string
		not  []string
	}{
		"a candidate was made":                        {"create/web-1/web", []string{"start/web-1/web", "create/web-2/web", "barrier"}, []string{"create/web-1/web"}},
		"a candidate runs and is not routed":          {"start/web-1/web", []string{"prove/web-1/web", "switch/web-1/web"}, []string{"create/web-1/web", "start/web-1/web"}},
		"one host was switched":                       {"switch/web-1/web", []string{"switch/web-2/web", "tag/web-1"}, []string{"switch/web-1/web", "start/web-2/web"}},
		"one host's old containers were stopped":      {"stop/web-1/web", []string{"tag/web-1", "tag/web-2"}, []string{"start/web-1/web", "switch/web-1/web"}},
		"one host was tagged":                         {"tag/web-1", []string{"tag/web-2", "record/web-1"}, []string{"tag/web-1", "create/web-1/web"}},
		"all were tagged, and there is no record yet": {"tag/work-1", []string{"record/web-1", "record/work-1"}, []string{"tag/web-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := released(t, shop()).to("v2")
			half := w.until(t, w.plan(), test.last)
			p := half.plan()
			for _, step := range test.has {
				if !hasStep(p, step) {
					t.Errorf("no step %s", step)
				}
			}
			for _, step := range test.not {
				if hasStep(p, step) {
					t.Errorf("the step %s is done already", step)
				}
			}
			if p.Kind != plan.KindRelease || t.Failed() {
				t.Error(show(p))
			}
			if after := half.settle(t); after.held.Version != "v2" {
				t.Errorf("held is %s", after.held.Version)
			}
		})
	}
}

// TestKilledAnywhereTheNextPlanConverges: to the new release, and, with the old one wanted again, back to it.
func TestKilledAnywhereTheNextPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		before := w.desired
		p := w.plan()
		if len(p.Problems) > 0 || len(p.Steps) == 0 {
			t.Skip("nothing to interrupt")
		}
		half := w.clone()
		left := rapid.IntRange(0, len(p.Steps)-1).Draw(t, "killed after")
		err := half.carryOut(plan.Plan{Steps: cut(p, left)}, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") })
		if err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
		half.desired.Version = rapid.SampledFrom([]string{before.Version, "v1", "v2"}).Draw(t, "then wanted")
		half.pin = pinOf(half.desired, half.desired.Version)
		next := half.plan()
		if len(next.Problems) > 0 && half.desired.Version != before.Version {
			t.Skip("that version cannot be carried out here")
		}
		if len(next.Problems) > 0 && w.heldRelease == nil && p.Kind == plan.KindHeal && next.Kind == plan.KindConfig {
			t.Skip("what was released is told by tags alone, and one of them was moved")
		}
		if len(next.Problems) > 0 {
			t.Fatalf("after %d steps: %+v\n%s\nof %s", left, next.Problems, show(next), show(p))
		}
		after := half.clone()
		if err := after.carryOut(next, inOrder); err != nil {
			t.Fatalf("after %d steps: %v\n%s\nof %s", left, err, show(next), show(p))
		}
		if last := after.plan(); !last.Empty() {
			t.Fatalf("after %d steps, not empty: %s\nafter %s\nof %s", left, show(last), show(next), show(p))
		}
	})
}

// cut is the first n steps of a plan: each stands behind what it needs.
func cut(p plan.Plan, n int) []plan.Step {
	seen := map[string]bool{}
	var steps []plan.Step
	for _, s := range p.Steps[:n] {
		if slices.ContainsFunc(s.Needs, func(need string) bool { return !seen[need] }) {
			panic(fmt.Sprintf("%s stands before what it needs", s.ID))
		}
		seen[s.ID] = true
		steps = append(steps, s)
	}
	return steps
}

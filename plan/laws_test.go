package plan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// TestAPlanThatWasCarriedOutLeavesAnEmptyOne is the fixed point, whatever was on the servers and in whatever order the steps ran
// that need not wait for each other.
func TestAPlanThatWasCarriedOutLeavesAnEmptyOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		p := w.plan()
		if len(p.Problems) > 0 {
			t.Skip("it cannot be carried out")
		}
		after := w.clone()
		if err := after.carryOut(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") }); err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
		if next := after.plan(); !next.Empty() {
			t.Fatalf("not empty: %s\nafter: %s", show(next), show(p))
		}
		for _, skipped := range p.Unreachable {
			if !reflect.DeepEqual(w.host(skipped.Host), after.host(skipped.Host)) {
				t.Fatalf("%s was touched", skipped.Host)
			}
		}
		if broken := lost(w, after); len(broken) > 0 {
			t.Fatalf("%v\n%s", broken, show(p))
		}
		keepsImages(t, w, after)
	})
}

// lost is what a rollback would need, and is not there any more.
func lost(before, after *world) (broken []string) {
	keep, app := before.keep(), before.desired.App()
	for _, role := range before.desired.Roles {
		for _, name := range role.Places() {
			h := before.host(name)
			if h.Unreachable != "" {
				continue
			}
			removed := 0
			older, left := map[string]bool{}, map[string]bool{} // versions to go back to
			for _, c := range h.Containers {
				if c.Service != app.Service || c.Destination != app.Destination || c.Role != role.Name || c.Status == state.StatusCreated || before.failed(c) {
					continue
				}
				past := c.Version() != before.desired.Version
				older[c.Version()] = older[c.Version()] || past
				if after.container(name, c.ID) == nil {
					removed++
				} else if past {
					left[c.Version()] = true
				}
			}
			delete(older, before.desired.Version)
			back := before.goesBackTo(keep)
			for _, version := range back {
				if older[version] && !left[version] {
					broken = append(broken, fmt.Sprintf("%s/%s: a rollback to %s has nothing there any more", name, role.Name, version))
				}
			}
			missed := !slices.ContainsFunc(back, func(version string) bool { return !left[version] }) && len(back) == keep
			if current, ok := plan.CurrentOf(app, *h, role.Name); ok && after.container(name, current.ID) == nil && !missed {
				broken = append(broken, fmt.Sprintf("%s: %s served before, and is gone", name, current.Name))
			}
			if removed > 0 && len(left) < min(keep, len(older)) {
				broken = append(broken, fmt.Sprintf("%s/%s: of %d older versions %d are left, and %d are to be kept", name, role.Name, len(older), len(left), keep))
			}
		}
	}
	return broken
}

// keep is how many older versions there are to be to go back to.
func (w *world) keep() int {
	if w.options.Retain > 0 {
		return w.options.Retain
	}
	return w.desired.RetainContainers
}

// goesBackTo are the versions of the releases that succeeded last, without the desired one, so many at most.
func (w *world) goesBackTo(keep int) (list []string) {
	for _, r := range w.records {
		if r.Outcome == state.OutcomeSucceeded && r.Version != w.desired.Version && !slices.Contains(list, r.Version) && len(list) < keep {
			list = append(list, r.Version)
		}
	}
	return list
}

// keepsImages holds that an image that some container has, of whoever it is, keeps its versions' tags.
func keepsImages(t *rapid.T, before, after *world) {
	for _, h := range before.hosts {
		for _, m := range h.Images {
			if !slices.ContainsFunc(after.host(h.Name).Containers, func(c state.Container) bool { return c.ImageID == m.ID }) {
				continue
			}
			for _, tag := range m.Tags {
				if _, there := after.host(h.Name).Image(tag); !there {
					t.Fatalf("%s: %s was taken away, and a container has it", h.Name, tag)
				}
			}
		}
	}
}

// TestEveryPlanKeepsEveryLaw, whatever the world is like.
func TestEveryPlanKeepsEveryLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		p := w.plan()
		for name, broken := range laws {
			if found := broken(w, p); len(found) > 0 {
				t.Fatalf("%s: %v\n%s", name, found, show(p))
			}
		}
	})
}

// mustFollow tells why a step may begin only after another, "" when it may begin before.
func mustFollow(w *world, kind plan.Kind, s, other plan.Step) string {
	role, _ := w.desired.Role(s.Role)
	heals := kind == plan.KindHeal && w.held != nil // each slot is on its own there
	moment := func(s plan.Step) string {
		if s.Kind != plan.StepHook {
			return ""
		}
		return s.Hook.At
	}
	switch {
	case moment(other) == release.HookPreDeploy && moment(s) != release.HookPreDeploy:
		return "a hook at pre-deploy that fails leaves everything as it is"
	case moment(s) == release.HookPreBoot && s.Host != "" && other.Phase == plan.PhasePrepare && other.Kind != plan.StepGate && moment(other) != release.HookPreBoot:
		return "a hook's container is made when all is prepared"
	case moment(s) == release.HookPostBoot && s.Group == other.Group && other.Kind == plan.StepSwitch:
		return "what runs when it serves waits until it does"
	case moment(s) == release.HookPostDeploy && other.Kind == plan.StepRecord:
		return "what runs at the end waits for it"
	case s.Kind == plan.StepTag && slices.Contains([]plan.StepKind{plan.StepProve, plan.StepSwitch, plan.StepStop}, other.Kind):
		return "latest moves when every role has succeeded"
	case s.Kind == plan.StepRecord && other.Kind == plan.StepTag:
		return "the record is the last word"
	case (s.Kind == plan.StepRemove || s.Kind == plan.StepUntag) && (other.Kind == plan.StepRecord || other.Kind == plan.StepProve):
		return "what is removed cannot be gone back to"
	case s.Kind == plan.StepCreate && other.Phase == plan.PhasePrepare && other.Kind != plan.StepGate:
		return "nothing is made before all is prepared"
	case s.Kind == plan.StepStop && other.Kind == plan.StepBarrier && s.Role != w.desired.PrimaryRole:
		return "an old container of another role stops only behind the barrier"
	case s.Kind == plan.StepStop && other.Kind == plan.StepSwitch && s.Host == other.Host && s.Role == other.Role && role.Proxy != nil:
		return "a proxied role's old container stops when its traffic has gone"
	case s.Kind == plan.StepStop && other.Kind == plan.StepProve && s.Host == other.Host && s.Role == other.Role && !role.Singleton:
		return "the old serves until the new is proven"
	case s.Kind == plan.StepSwitch && other.Kind == plan.StepProve && s.Group == other.Group && (!heals || s.Host == other.Host && s.Role == other.Role):
		return "traffic goes to groups that are healthy as a whole"
	case s.Kind == plan.StepStart && other.Kind == plan.StepStop && s.Host == other.Host && s.Role == other.Role && role.Singleton:
		return "a singleton is never there twice"
	case s.Group > 1 && other.Group == s.Group-1 && other.Kind == plan.StepProve && s.Phase < plan.PhaseFinish:
		return "groups follow each other"
	}
	return ""
}

// TestTheSameWorldGivesTheSameBytes, in whatever order an engine lists its things.
func TestTheSameWorldGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		first, err := json.Marshal(w.plan())
		if err != nil {
			t.Fatal(err)
		}
		other := w.clone()
		slices.Reverse(other.hosts)
		for i := range other.hosts {
			h := &other.hosts[i]
			h.Containers = rapid.Permutation(h.Containers).Draw(t, "containers")
			h.Images = rapid.Permutation(h.Images).Draw(t, "images")
			slices.Reverse(h.Networks)
			for j := range h.Images {
				slices.Reverse(h.Images[j].Tags)
			}
		}
		if again, _ := json.Marshal(other.plan()); string(first) != string(again) {
			t.Fatalf("%s\n%s", show(w.plan()), show(other.plan()))
		}
	})
}

// graph answers what a step waits for.
type graph struct {
	steps map[string]plan.Step
	known map[string]map[string]bool
}

func graphOf(p plan.Plan) *graph {
	g := &graph{steps: map[string]plan.Step{}, known: map[string]map[string]bool{}}
	for _, s := range p.Steps {
		g.steps[s.ID] = s
	}
	return g
}

// after is every step that has to be done before one begins; itself too when the graph has a circle.
func (g *graph) after(id string) map[string]bool {
	if known, ok := g.known[id]; ok {
		return known
	}
	found := map[string]bool{}
	left := slices.Clone(g.steps[id].Needs)
	for len(left) > 0 {
		next := left[0]
		left = left[1:]
		if !found[next] {
			found[next] = true
			left = append(left, g.steps[next].Needs...)
		}
	}
	g.known[id] = found
	return found
}

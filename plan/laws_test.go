package plan_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
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
		keepsForRollback(t, w, after)
	})
}

// keepsForRollback holds retention to what a rollback needs.
func keepsForRollback(t *rapid.T, before, after *world) {
	keep := before.desired.RetainContainers
	if before.options.Retain > 0 {
		keep = before.options.Retain
	}
	app := before.desired.App()
	for _, role := range before.desired.Roles {
		for _, name := range role.Hosts {
			h := before.host(name)
			if h.Unreachable != "" {
				continue
			}
			if current, ok := plan.CurrentOf(app, *h, role.Name); ok && after.container(name, current.ID) == nil {
				t.Fatalf("%s: %s served before, and is gone", name, current.Name)
			}
			var was, removed []state.Container
			older, left := map[string]bool{}, map[string]bool{} // versions to go back to
			for _, c := range h.Containers {
				if c.Service != app.Service || c.Destination != app.Destination || c.Role != role.Name || c.Status == state.StatusCreated {
					continue
				}
				was = append(was, c)
				past := c.Version() != before.desired.Version
				older[c.Version()] = older[c.Version()] || past
				if after.container(name, c.ID) == nil {
					removed = append(removed, c)
				} else if past {
					left[c.Version()] = true
				}
			}
			delete(older, before.desired.Version)
			if len(removed) > 0 && len(left) < min(keep, len(older)) {
				t.Fatalf("%s/%s: of %d containers of %d older versions %d versions are left, and %d are to be kept", name, role.Name, len(was), len(older), len(left), keep)
			}
		}
	}
	keepsImages(t, before, after)
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

// TestAPlanIsAGraphThatEnds: unique steps, needs that are there, no circle, and no barrier that waits for itself.
func TestAPlanIsAGraphThatEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyWorld(t).plan()
		g := graphOf(p)
		if len(g.steps) != len(p.Steps) {
			t.Fatalf("%d IDs for %d steps\n%s", len(g.steps), len(p.Steps), show(p))
		}
		for _, s := range p.Steps {
			for _, need := range s.Needs {
				if _, ok := g.steps[need]; !ok {
					t.Fatalf("%s needs %s, which is not there\n%s", s.ID, need, show(p))
				}
			}
			if g.after(s.ID)[s.ID] {
				t.Fatalf("%s waits for itself\n%s", s.ID, show(p))
			}
			if s.Kind == plan.StepBarrier && !slices.ContainsFunc(s.Needs, func(need string) bool {
				opener := g.steps[need]
				return opener.Kind == plan.StepProve && opener.Group <= s.Group && !g.after(need)[s.ID]
			}) {
				t.Fatalf("nothing opens the barrier\n%s", show(p))
			}
		}
	})
}

// TestStepsWaitForWhatMakesThemSafe holds the order of a release.
func TestStepsWaitForWhatMakesThemSafe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		p := w.plan()
		g := graphOf(p)
		for _, s := range p.Steps {
			for _, other := range p.Steps {
				if why := mustFollow(w, p.Kind, s, other); why != "" && !g.after(s.ID)[other.ID] {
					t.Fatalf("%s does not wait for %s: %s\n%s", s.ID, other.ID, why, show(p))
				}
			}
		}
	})
}

// mustFollow tells why a step may begin only after another, "" when it may begin before.
func mustFollow(w *world, kind plan.Kind, s, other plan.Step) string {
	role, _ := w.desired.Role(s.Role)
	heals := kind == plan.KindHeal && w.held != nil // each slot is on its own there
	switch {
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

// TestAPlanTouchesOnlyItsOwn: nothing of an unreachable host, nothing of another service, destination or nobody's.
func TestAPlanTouchesOnlyItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		p := w.plan()
		app := w.desired.App()
		for _, s := range p.Steps {
			if s.Host == "" {
				continue
			}
			if w.host(s.Host).Unreachable != "" {
				t.Fatalf("%s touches a host that was not observed\n%s", s.ID, show(p))
			}
			c := w.container(s.Host, s.Container)
			if c != nil && s.Kind != plan.StepCreate && (c.Service != app.Service || c.Destination != app.Destination || c.Role == "") {
				t.Fatalf("%s touches %s, which is not ours\n%s", s.ID, c.Name, show(p))
			}
			if s.Kind == plan.StepUntag && strings.Contains(s.Name, ":latest") {
				t.Fatalf("%s takes a latest away\n%s", s.ID, show(p))
			}
			if (s.Kind == plan.StepUnroute || s.Kind == plan.StepSwitch) && s.Name != app.RouteName(s.Role) {
				t.Fatalf("%s touches another's route\n%s", s.ID, show(p))
			}
		}
	})
}

// TestNoMoreHostsAtOnceThanTheLimit holds groups to the rollout.
func TestNoMoreHostsAtOnceThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		p := w.plan()
		total := map[string]bool{}
		for _, role := range w.desired.Roles {
			for _, host := range role.Hosts {
				total[host] = true
			}
		}
		seen := map[string]bool{}
		for _, group := range p.Groups {
			if len(group) > w.desired.Rollout.Limit.Of(len(total)) {
				t.Fatalf("%v is more than %+v", group, w.desired.Rollout.Limit)
			}
			for _, host := range group {
				if seen[host] {
					t.Fatalf("%s is in two groups", host)
				}
				seen[host] = true
			}
		}
		for _, s := range p.Steps {
			if s.Group > 0 && s.Host != "" && !slices.Contains(p.Groups[s.Group-1], s.Host) {
				t.Fatalf("%s is not on a host of its group", s.ID)
			}
		}
	})
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

// TestAPlanComesBackFromJSONAsItWas: a saved plan is the plan.
func TestAPlanComesBackFromJSONAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyWorld(t).plan()
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back plan.Plan
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, back) {
			t.Fatalf("%#v\nbecame\n%#v", p, back)
		}
	})
}

// TestEveryContainerIsOfOneClass, and no role has two current ones.
func TestEveryContainerIsOfOneClass(t *testing.T) {
	classes := []plan.Class{plan.Current, plan.Candidate, plan.Superseded, plan.Draining, plan.Failed, plan.Orphaned, plan.Foreign, plan.Unknown}
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		app := w.desired.App()
		for _, h := range w.hosts {
			current := map[string]bool{}
			for _, c := range h.Containers {
				class := plan.Classify(w.desired, h, c)
				ours := c.Service == app.Service && c.Destination == app.Destination && c.Role != ""
				switch {
				case !slices.Contains(classes, class):
					t.Fatalf("%s is of the class %q", c.Name, class)
				case ours == (class == plan.Foreign):
					t.Fatalf("%s is %s", c.Name, class)
				case class == plan.Current && current[c.Role]:
					t.Fatalf("%s is a second current one", c.Name)
				}
				current[c.Role] = current[c.Role] || class == plan.Current
			}
		}
	})
}

// TestNoSecretShowsInWhatIsShown: neither values nor digests of them.
func TestNoSecretShowsInWhatIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyWorld(t).plan()
		whole, _ := json.Marshal(p)
		shown, _ := json.Marshal([]any{p.Items, p.Problems})
		if strings.Contains(string(shown), "s3cret") || strings.Contains(strings.ReplaceAll(string(whole), "digest-of-s3cret", ""), "s3cret") {
			t.Fatalf("a secret shows: %s", shown)
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

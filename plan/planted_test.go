package plan_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// planted are violations: each breaks the law of its name in a plan, or in the world that it is made for.
var planted = []struct {
	law, what string
	plant     func(w *world, p *plan.Plan)
}{
	{"every wait ends", "a circle", func(_ *world, p *plan.Plan) { stepOf(p, "create/web-1/web").Needs = []string{"prove/web-1/web"} }},
	{"every wait ends", "a need that is not there", func(_ *world, p *plan.Plan) { stepOf(p, "start/web-1/web").Needs = []string{"gate/nowhere"} }},
	{"every wait ends", "two of one ID", func(_ *world, p *plan.Plan) { p.Steps = append(p.Steps, p.Steps[0]) }},
	{"every wait ends", "a gate that nobody opens", func(_ *world, p *plan.Plan) { stepOf(p, "gate/prepared").Needs = nil }},
	{"every wait ends", "a barrier that only others' steps open", func(_ *world, p *plan.Plan) { stepOf(p, "barrier").Needs = []string{"create/web-1/web"} }},
	{"steps wait for what makes safe", "a stop before the proof", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepStop).Needs = nil }},
	{"steps wait for what makes safe", "a record before the tags", func(_ *world, p *plan.Plan) { stepOf(p, "record/web-1").Needs = nil }},
	{"steps wait for what makes safe", "a creation before all is prepared", func(_ *world, p *plan.Plan) { stepOf(p, "create/web-1/web").Needs = nil }},
	{"groups follow each other", "a step of the second group that waits for no other", func(_ *world, p *plan.Plan) { stepOf(p, "create/work-1/workers").Needs = nil }},
	{"never more than the limit", "two hosts at once", func(_ *world, p *plan.Plan) { p.Groups[0] = []string{"web-1", "web-2"} }},
	{"never more than the limit", "a share that is rounded up", func(w *world, p *plan.Plan) {
		w.desired.Rollout.Limit = release.Limit{Percent: 50}
		p.Groups[0] = []string{"web-1", "web-2"}
	}},
	{"never more than the limit", "a step in another group", func(_ *world, p *plan.Plan) { stepOf(p, "start/web-1/web").Group = 2 }},
	{"only what is ours and seen", "a host that was not observed", func(w *world, _ *plan.Plan) { *w.host("web-2") = state.Host{Name: "web-2", Unreachable: "gone"} }},
	{"only what is ours and seen", "a host that nobody knows", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepStop).Host = "elsewhere" }},
	{"only what is ours and seen", "a cordoned host", func(w *world, _ *plan.Plan) {
		w.host("web-1").Intents = []state.Intent{{Kind: state.IntentCordon, Host: "web-2", Who: "ann"}}
	}},
	{"only what is ours and seen", "another destination's container", func(w *world, p *plan.Plan) { firstOf(p, plan.StepStop).Container = w.neighbour("web-1").ID }},
	{"only this destination's", "its route", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepSwitch).Name = "shop-web-other" }},
	{"only this destination's", "its latest", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepTag).Name += "-other" }},
	{"only this destination's", "its container's name", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepCreate).Name = "shop-web-other-v2" }},
	{"only this destination's", "its image", func(w *world, p *plan.Plan) {
		p.Steps = append(p.Steps, plan.Step{Kind: plan.StepUntag, Host: "web-1", Name: w.desired.ImageName() + ":v1"})
	}},
	{"only this destination's", "its file", func(_ *world, p *plan.Plan) {
		p.Steps = append(p.Steps, plan.Step{Kind: plan.StepClean, Host: "web-1", Name: ".kamal/lock-shop-other/details"})
	}},
	{"only what is in scope", "a role that was left out", func(w *world, _ *plan.Plan) { w.options.Filter = plan.Filter{Roles: []string{"web"}} }},
	{"only what is in scope", "a latest that moves", func(w *world, p *plan.Plan) {
		w.options.Filter = plan.Filter{Hosts: []string{"web-1", "web-2", "work-1"}}
	}},
	{"only what is in scope", "a prune that starts something", func(w *world, _ *plan.Plan) { w.options.Prune = true }},
	{"a rollback loses nothing", "what serves is removed", func(_ *world, p *plan.Plan) { firstOf(p, plan.StepStop).Kind = plan.StepRemove }},
	{"a rollback loses nothing", "an image to go back to is removed", func(w *world, p *plan.Plan) {
		w.records = []state.Record{{Number: 1, Version: "v1", Outcome: state.OutcomeSucceeded}}
		p.Steps = append(p.Steps, plan.Step{Kind: plan.StepUntag, Host: "web-1", Name: w.desired.ImageName() + ":v1"})
	}},
	{"one class for each container", "what is ours is foreign", func(w *world, _ *plan.Plan) {
		w.reclass = func(state.Container, plan.Class) plan.Class { return plan.Foreign }
	}},
	{"one class for each container", "two current ones", func(w *world, _ *plan.Plan) {
		w.make("web-1", "shop-web-v0", *w.container("web-1", "shop-web-v1").Asked, state.StatusRunning, "")
		w.reclass = func(c state.Container, class plan.Class) plan.Class {
			if class == plan.Foreign {
				return class
			}
			return plan.Current
		}
	}},
	{"no secret shows", "a value in a reason", func(_ *world, p *plan.Plan) { p.Items[0].Reason = "s3cret-1" }},
	{"a plan comes back", "a phase that has no name", func(_ *world, p *plan.Plan) { p.Steps[0].Phase = 99 }},
	{"nothing is another app's", "its host and path", func(w *world, p *plan.Plan) {
		other := state.Route{Name: "blog-web", Options: firstOf(p, plan.StepSwitch).Route.Options}
		w.host("web-1").Proxy.Routes = append(w.host("web-1").Proxy.Routes, other)
	}},
	{"nothing is another app's", "its proxy", func(w *world, p *plan.Plan) {
		w.host("web-1").Proxy.Owner = "blog"
		p.Steps = append(p.Steps, plan.Step{Kind: plan.StepProxy, Host: "web-1", NewName: "kamald/proxy:9"})
	}},
	{"what was stopped stays so", "a step of a role that was stopped", func(w *world, _ *plan.Plan) {
		w.host("web-1").Intents = []state.Intent{stop("web-1", "web", time.Time{})}
	}},
	{"what was stopped stays so", "a stop that nobody asked for is taken back", func(_ *world, p *plan.Plan) {
		p.Steps = append(p.Steps, plan.Step{ID: "lift/web-1/web", Kind: plan.StepLift, Host: "web-1", Role: "web"})
	}},
	{"a plan that waits does nothing", "a step in one that waits", func(_ *world, p *plan.Plan) { p.Waits = "a hold" }},
}

// TestEveryLawCanBeBroken: what holds the plans to the laws sees each of these, and nothing in the plan that they are put into.
func TestEveryLawCanBeBroken(t *testing.T) {
	broken := map[string]bool{}
	for _, v := range planted {
		broken[v.law] = true
		w := released(t, shop()).to("v2")
		w.desired.Rollout.Limit.Count = 1
		w.make("web-1", "shop-web-other-v1", state.Spec{Labels: map[string]string{"service": "shop", "role": "web", "destination": "other"}}, state.StatusRunning, image(w.desired, "v1").ID)
		p := w.plan()
		for name, law := range laws {
			if found := law(w, p); len(found) > 0 {
				t.Fatalf("%s, before anything is planted: %v", name, found)
			}
		}
		v.plant(w, &p)
		if found := laws[v.law](w, p); len(found) == 0 {
			t.Errorf("%s: %s is not seen", v.law, v.what)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(laws)) {
		if !broken[name] {
			t.Errorf("nothing breaks the law %q", name)
		}
	}
}

// neighbour is another destination's container on a host.
func (w *world) neighbour(host string) *state.Container {
	return w.container(host, "shop-web-other-v1")
}

func stepOf(p *plan.Plan, id string) *plan.Step {
	return &p.Steps[slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.ID == id })]
}

// firstOf is the first step of a kind on web-1.
func firstOf(p *plan.Plan, kind plan.StepKind) *plan.Step {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.Kind == kind && s.Host == "web-1" && s.Role != "workers" })
	return &p.Steps[i]
}

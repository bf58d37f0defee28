package plan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// rollOut is what the executor does for a canary, and for the end of one.
func (w *world) rollOut(h *state.Host, s plan.Step) error {
	i := slices.IndexFunc(h.Proxy.Routes, func(r state.Route) bool { return r.Name == s.Name })
	if i < 0 || !h.Proxy.Running {
		return errors.New("there is no such route")
	}
	if s.Kind == plan.StepEndCanary {
		h.Proxy.Routes[i].Rollout = nil
		return nil
	}
	c := w.container(s.Host, s.Container)
	if c == nil || c.Status != state.StatusRunning {
		return errors.New("its target does not run")
	}
	h.Proxy.Routes[i].Rollout = &state.Rollout{Targets: []string{c.ShortID() + ":3000"}, On: true, Percent: s.Percent}
	return nil
}

// tried is a released world whose next release has a canary, and whose proxies can do one.
func tried(t *testing.T) *world {
	desired := shop()
	desired.Rollout.Canary = &release.Canary{Percent: 10, Hold: 10 * time.Minute}
	w := released(t, desired)
	for i := range w.hosts {
		w.hosts[i].Proxy.Own, w.hosts[i].Proxy.Features = true, []string{state.FeatureUpgrade, state.FeatureSides}
	}
	return w
}

// upTo is the plan to another version.
func (w *world) upTo(version string) plan.Plan {
	*w = *w.to(version)
	return w.plan()
}

func kinds(p plan.Plan, kind plan.StepKind) (ids []string) {
	for _, s := range p.Steps {
		if s.Kind == kind {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func TestAReleaseTriesItsVersionOnAShareOfTheTrafficFirst(t *testing.T) {
	w := tried(t)
	p := w.upTo("v2")
	if len(p.Problems) > 0 {
		t.Fatalf("%+v", p.Problems)
	}
	g := graphOf(p)
	canaries, holds := kinds(p, plan.StepCanary), kinds(p, plan.StepHold)
	if len(canaries) == 0 || len(canaries) != len(kinds(p, plan.StepSwitch)) || len(holds) != len(p.Groups) {
		t.Fatalf("%d canaries, %d switches, %d holds for %d groups", len(canaries), len(kinds(p, plan.StepSwitch)), len(holds), len(p.Groups))
	}
	for _, s := range p.Steps {
		switch s.Kind {
		case plan.StepCanary:
			if s.Percent != 10 || s.OldRoute == nil || !g.after(s.ID)["prove/"+s.Host+"/"+s.Role] {
				t.Errorf("%+v", s)
			}
		case plan.StepHold:
			if s.Wait != 10*time.Minute {
				t.Errorf("%s holds for %s", s.ID, s.Wait)
			}
		case plan.StepSwitch, plan.StepStop:
			if !g.after(s.ID)[fmt.Sprintf("hold/%d", s.Group)] || s.Kind == plan.StepSwitch && !s.EndsRollout {
				t.Errorf("%s does not end the canary's hold: %+v", s.ID, s)
			}
		}
	}
	var text strings.Builder
	if err := p.Text(&text, plan.TextOptions{}); err != nil || !strings.Contains(text.String(), "canary: 10 % of the traffic for 10m, then the rest") {
		t.Errorf("%s", text.String())
	}
	var markdown strings.Builder
	if err := p.Markdown(&markdown); err != nil || !strings.Contains(markdown.String(), "10 % of the traffic for 10m") {
		t.Errorf("%s", markdown.String())
	}
	if data, _ := json.Marshal(p); !strings.Contains(string(data), `"percent":10`) {
		t.Errorf("%s", data)
	}
	for name, broken := range laws {
		if found := broken(w, p); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestWhatIsNoReleaseOfAnotherVersionOverOneThatServesHasNoCanary(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"no canary in the file":      func(w *world) { w.desired.Rollout.Canary = nil },
		"the first release":          func(w *world) { *w = *fresh(w.desired).to("v2") },
		"a configuration":            func(w *world) { w.desired.Version = "v1"; w.desired.Roles[0].Env.Clear = map[string]string{"NEW": "1"} },
		"a rollback":                 func(w *world) { w.options.Back = true },
		"nothing serves":             func(w *world) { eachRoute(w, func(r *state.Route) { r.Targets = []string{"0123456789ab:3000"} }) },
		"a route in maintenance":     func(w *world) { eachRoute(w, func(r *state.Route) { r.Stopped = true }) },
		"a proxy that does not run":  func(w *world) { eachProxy(w, func(p *state.Proxy) { p.Running = false }) },
		"a proxy that is to be made": func(w *world) { eachProxy(w, func(p *state.Proxy) { *p = state.Proxy{} }) },
	} {
		w := tried(t).to("v2")
		change(w)
		p := w.plan()
		if found := kinds(p, plan.StepCanary); len(found) > 0 || len(kinds(p, plan.StepHold)) > 0 || strings.Contains(fmt.Sprint(p.Problems), "canary") {
			t.Errorf("%s: %v, problems %+v", name, found, p.Problems)
		}
	}
}

func eachProxy(w *world, change func(*state.Proxy)) {
	for i := range w.hosts {
		change(&w.hosts[i].Proxy)
	}
}

func eachRoute(w *world, change func(*state.Route)) {
	eachProxy(w, func(p *state.Proxy) {
		for i := range p.Routes {
			change(&p.Routes[i])
		}
	})
}

func TestAProxyThatCannotTryAVersionIsAProblemThatNamesItsHost(t *testing.T) {
	for want, change := range map[string]func(w *world){
		"needs kamald's own proxy, and the proxy kamal-proxy is from": func(w *world) {
			eachProxy(w, func(p *state.Proxy) { p.Own, p.Features = false, nil })
		},
		"needs kamald's own proxy": func(w *world) { w.desired.ProxyServer.Driver = state.DriverTraefik },
		"does not count the sides of a canary": func(w *world) {
			eachProxy(w, func(p *state.Proxy) { p.Features = []string{"rollout-sticky"} })
		},
		"has a rollout that kamald has not made (20 % to by-hand:80), which a canary would replace": func(w *world) {
			eachRoute(w, func(r *state.Route) {
				r.Rollout = &state.Rollout{Targets: []string{"by-hand:80"}, On: true, Percent: 20}
			})
		},
	} {
		w := tried(t)
		change(w)
		p := w.upTo("v2")
		if i := slices.IndexFunc(p.Problems, func(q plan.Problem) bool { return strings.Contains(q.Summary, want) }); i < 0 || p.Problems[i].Host == "" || p.Problems[i].Next == "" {
			t.Errorf("%s: %+v", want, p.Problems)
		}
	}
}

func TestARolloutOfSomebodyElseIsKeptAndSaid(t *testing.T) {
	w := tried(t)
	w.desired.Rollout.Canary = nil
	eachRoute(w, func(r *state.Route) {
		r.Rollout = &state.Rollout{Targets: []string{"by-hand:80"}, On: true, Percent: 20}
	})
	p := w.upTo("v2")
	if len(p.Problems) > 0 || len(p.Notes) == 0 || !strings.Contains(p.Notes[0], "20 % to by-hand:80") || len(kinds(p, plan.StepEndCanary)) > 0 {
		t.Fatalf("problems %+v, notes %q", p.Problems, p.Notes)
	}
	for _, s := range p.Steps {
		if s.EndsRollout {
			t.Errorf("%s ends it", s.ID)
		}
	}
	var text strings.Builder
	if err := p.Text(&text, plan.TextOptions{}); err != nil || !strings.Contains(text.String(), "it is kept") {
		t.Errorf("%s", text.String())
	}
}

func TestACanaryThatWasInterruptedIsTakenAwayBeforeItsContainerStops(t *testing.T) {
	w := tried(t)
	p := w.upTo("v2")
	for _, s := range p.Steps { // up to the hold
		if s.Kind == plan.StepHold {
			break
		}
		if err := w.step(s); err != nil {
			t.Fatalf("%s: %v", s.ID, err)
		}
	}
	again := w.plan()
	if len(kinds(again, plan.StepCanary)) == 0 || !slices.ContainsFunc(again.Items, func(i plan.Item) bool { return i.Reason == "a canary was interrupted" && i.Cause == plan.Leftover }) {
		t.Errorf("the version is not tried again: %+v", again.Items)
	}
	back := w.upTo("v1")
	g := graphOf(back)
	ends := kinds(back, plan.StepEndCanary)
	if len(ends) == 0 {
		t.Fatalf("%+v", back.Items)
	}
	for _, s := range back.Steps {
		if s.Kind == plan.StepStop && s.Role == "web" && !g.after(s.ID)["end-canary/"+s.Host+"/web"] {
			t.Errorf("%s does not wait for the end of the canary", s.ID)
		}
		if err := w.step(s); err != nil {
			t.Fatalf("%s: %v", s.ID, err)
		}
	}
	if p := w.plan(); !p.Empty() {
		t.Errorf("not empty: %+v", p.Items)
	}
}

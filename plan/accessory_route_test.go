package plan_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const behind = "accessory/redis"

// sentRequests has the proxy send the accessories of a release requests, at a path for their health.
func sentRequests(desired release.Release, health string) release.Release {
	desired.Accessories = slices.Clone(desired.Accessories)
	for i := range desired.Accessories {
		desired.Accessories[i].Proxy = &release.Proxy{AppPort: 8025, Options: state.RouteOptions{Hosts: []string{"mail.test"}, HealthPath: health}}
	}
	return desired
}

// behindShop is a shop that runs with an accessory behind the proxy of a host that has no other route.
func behindShop(t *testing.T, change string) *world {
	return released(t, sentRequests(besideShop("redis:7", change), "/up"))
}

func TestAnAccessoryBehindTheProxyIsProvenAndThenRouted(t *testing.T) {
	w := fresh(sentRequests(besideShop("redis:7", release.OnChangePlan), "/up"))
	p := w.plan()
	g := graphOf(p)
	at := "/work-1/" + behind
	for later, earlier := range map[string]string{"switch" + at: "prove" + at, "prove" + at: "start" + at, "proxy/work-1": "network/work-1", "create/web-1/web": "switch" + at} {
		if !g.after(later)[earlier] {
			t.Errorf("%s does not wait for %s", later, earlier)
		}
	}
	if !g.after("switch" + at)["proxy/work-1"] {
		t.Errorf("the route does not wait for the proxy\n%s", show(p))
	}
	w = w.settle(t)
	route, there := w.host("work-1").Proxy.Route("shop-redis")
	if c := w.container("work-1", "shop-redis"); !there || !slices.Equal(route.Targets, []string{c.ShortID() + ":8025"}) || !slices.Equal(route.Options.Hosts, []string{"mail.test"}) {
		t.Errorf("the route is %+v", route)
	}
}

func TestAnAppOfAccessoriesAloneHasItsProxyToo(t *testing.T) {
	desired := sentRequests(besideShop("redis:7", release.OnChangePlan), "/up")
	desired.Roles, desired.PrimaryRole, desired.Hosts, desired.Version = nil, "", []release.Host{{Name: "work-1"}}, ""
	w := fresh(desired)
	w.pin = plan.Pin{}
	p := w.plan()
	if len(p.Problems) > 0 || !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.ID == "proxy/work-1" }) {
		t.Fatalf("%s", show(p))
	}
	if err := w.carryOut(p, inOrder); err != nil {
		t.Fatal(err)
	}
	if _, there := w.host("work-1").Proxy.Route("shop-redis"); !there {
		t.Error("there is no route")
	}
}

// What an accessory's route may be found as, and what is made of it.
func TestTheRouteOfAnAccessoryIsAResourceOfThePlan(t *testing.T) {
	for name, c := range map[string]struct {
		disturb func(w *world, route *state.Route)
		item    string // action, cause, reason; "" for none
		steps   string // without gates, tags and records
	}{
		"as it is": {func(*world, *state.Route) {}, "", ""},
		"lost": {func(w *world, _ *state.Route) { w.host("work-1").Proxy.Routes = nil }, "+ drift the proxy does not know it",
			"prove switch"},
		"moved by hand": {func(_ *world, r *state.Route) { r.Targets = []string{"0123456789ab:80"} }, "~ drift the proxy has it otherwise", "prove switch"},
		"changed by hand": {func(_ *world, r *state.Route) { r.Options.Hosts = []string{"evil.test"} }, "~ drift the proxy has it otherwise",
			"prove switch"},
		"changed in the file": {func(w *world, _ *state.Route) { w.desired = sentRequests(w.desired, "/livez") }, "~ change the proxy has it otherwise",
			"prove switch"},
		"not proxied any more": {func(w *world, _ *state.Route) {
			w.desired.Accessories = slices.Clone(w.desired.Accessories)
			w.desired.Accessories[0].Proxy = nil
		}, "- orphan the accessory is not proxied any more", "unroute"},
		"never proxied, and another's": {func(w *world, r *state.Route) {
			w.desired.Accessories, w.heldRelease = slices.Clone(w.desired.Accessories), nil
			w.desired.Accessories[0].Proxy, r.Targets = nil, []string{"0123456789ab:80"}
		}, "", ""},
		"stopped on purpose": {func(w *world, _ *state.Route) {
			h := w.host("work-1")
			w.container("work-1", "shop-redis").Status, h.Proxy.Routes = state.StatusExited, nil
			h.Intents = []state.Intent{{Kind: state.IntentAccessoryStop, Host: "work-1", Role: behind, Serial: 1, Who: "ana"}}
		}, "", ""},
		"paused by hand": {func(_ *world, r *state.Route) { r.Paused = true }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindShop(t, release.OnChangePlan).clone()
			c.disturb(w, &w.host("work-1").Proxy.Routes[0])
			p := w.plan()
			item, steps := "", []string{}
			for _, i := range p.Items {
				if i.Resource == plan.ResourceRoute && i.Role == behind {
					item = string(i.Action) + " " + string(i.Cause) + " " + i.Reason
				}
			}
			for _, s := range p.Steps {
				if s.Role == behind {
					steps = append(steps, string(s.Kind))
				}
			}
			if got := strings.Join(steps, " "); item != c.item || got != c.steps || len(p.Problems) > 0 {
				t.Errorf("item %q, want %q; steps %q, want %q\n%s", item, c.item, got, c.steps, show(p))
			}
			w.settle(t)
		})
	}
}

func TestARouteThatGoesToAnotherAppsContainerIsNotTaken(t *testing.T) {
	w := behindShop(t, release.OnChangePlan)
	h := w.host("work-1")
	h.Containers = append(h.Containers, state.Container{ID: id("container", "blog"), Name: "shop-redis-v1", Service: "shop", Destination: "eu", Role: "redis", Status: state.StatusRunning})
	other := h.Containers[len(h.Containers)-1].ShortID() + ":80"
	h.Proxy.Routes[0].Targets = []string{other}
	p := w.plan()
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "another app's") || len(p.Steps) > 0 {
		t.Errorf("%s", show(p))
	}
	w.desired.Accessories = slices.Clone(w.desired.Accessories)
	w.desired.Accessories[0].Proxy = nil
	if p := w.plan(); len(p.Problems) > 0 || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepUnroute }) {
		t.Errorf("not proxied any more: %s", show(p))
	}
}

// The place of an accessory's route is another's already: that is said before anything is made.
func TestAnAccessorysRouteThatAnotherAppHasIsAProblem(t *testing.T) {
	w := fresh(sentRequests(besideShop("redis:7", release.OnChangePlan), "/up"))
	h := w.host("work-1")
	h.Networks, h.Proxy = []state.Network{{Name: "kamal"}}, state.Proxy{ID: id("proxy", 1), Name: "kamal-proxy", Running: true, Networks: []string{"kamal"},
		Routes: []state.Route{{Name: "blog-web", Targets: []string{"0123456789ab:80"}, Options: state.RouteOptions{Hosts: []string{"Mail.test"}}}}}
	for _, only := range [][]string{nil, {"redis"}} {
		w.options.Accessories = only
		if p := w.plan(); len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "route blog-web has") || p.Problems[0].Role != behind {
			t.Errorf("%s", show(p))
		}
	}
}

func TestAnotherContainerOfAnAccessoryGetsTheRouteWhenItIsHealthy(t *testing.T) {
	w := behindShop(t, release.OnChangeRecreate)
	old := w.container("work-1", "shop-redis").ShortID()
	w.desired = sentRequests(besideShop("redis:8", release.OnChangeRecreate), "/livez")
	p := w.plan()
	g, at := graphOf(p), "/work-1/"+behind
	for later, earlier := range map[string]string{"start" + at: "stop" + at + "/" + old, "switch" + at: "prove" + at, "remove" + at + "/" + old: "switch" + at} {
		if !g.after(later)[earlier] {
			t.Errorf("%s does not wait for %s\n%s", later, earlier, show(p))
		}
	}
	for _, s := range p.Steps {
		if s.ID == "switch"+at && (s.OldRoute == nil || s.OldRoute.TargetID() != old || s.Route.Options.HealthPath != "/livez") {
			t.Errorf("the step has the routes %+v and %+v", s.OldRoute, s.Route)
		}
	}
	w.settle(t)
}

// The container that runs may not have the port and the path that the next one has.
func TestARoutesSettingsWaitWithTheContainerTheyAreFor(t *testing.T) {
	w := behindShop(t, release.OnChangePlan)
	w.desired = sentRequests(besideShop("redis:8", release.OnChangePlan), "/livez")
	p := w.plan()
	waits := slices.ContainsFunc(p.Items, func(i plan.Item) bool {
		return i.Resource == plan.ResourceRoute && strings.Contains(i.Deferred, "accessory reboot redis")
	})
	if !waits || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Role == behind }) {
		t.Errorf("%s", show(p))
	}
	w.options = plan.Options{Accessories: []string{"redis"}, Reboot: true}
	w.host("work-1").Proxy.Routes[0].Stopped = true
	p = w.plan()
	if err := w.carryOut(p, inOrder); err != nil {
		t.Fatal(err)
	}
	if r, _ := w.host("work-1").Proxy.Route("shop-redis"); r.Options.HealthPath != "/livez" || r.TargetID() != w.container("work-1", "shop-redis").ShortID() {
		t.Errorf("after a reboot the route is %+v", r)
	}
	for _, s := range p.Steps {
		if s.Kind == plan.StepSwitch && s.Route.Stopped {
			t.Error("a reboot leaves the route stopped")
		}
	}
}

func TestAnAccessoryThatLeftTheFileTakesItsRouteAlong(t *testing.T) {
	w := behindShop(t, release.OnChangePlan)
	w.desired.Accessories = nil
	p := w.plan()
	g, stop := graphOf(p), "stop/work-1/"+behind+"/"+w.container("work-1", "shop-redis").ShortID()
	if unroute := strings.Replace(stop, "stop/", "unroute/", 1); !g.after(stop)[unroute] {
		t.Errorf("the container stops before its route is gone\n%s", show(p))
	}
	gone := w.clone()
	if err := gone.carryOut(p, inOrder); err != nil || len(gone.host("work-1").Proxy.Routes) > 0 {
		t.Errorf("%v; routes %+v", err, gone.host("work-1").Proxy.Routes)
	}
	w.host("work-1").Containers = slices.DeleteFunc(w.host("work-1").Containers, func(c state.Container) bool { return c.Name == "shop-redis" })
	if err := w.carryOut(w.plan(), inOrder); err != nil || len(w.host("work-1").Proxy.Routes) > 0 {
		t.Errorf("%v; a route that leads nowhere stays: %+v", err, w.host("work-1").Proxy.Routes)
	}
}

func TestWhatStandsInTheWayOfAnAccessorysRouteIsSaid(t *testing.T) {
	w := behindShop(t, release.OnChangePlan)
	w.host("work-1").Proxy.Routes[0].Stopped = true
	p := w.plan()
	if len(p.Gates) != 1 || !strings.Contains(p.Gates[0].String(), "route shop-redis of accessory redis is stopped") || !strings.Contains(p.Gates[0].String(), "kamald accessory restart redis") {
		t.Errorf("gates %v", p.Gates)
	}
}

// Whatever became of an accessory behind the proxy and of its route: a plan that was carried out leaves an empty one, no step touches
// another's route, and none has a route go to what does not run.
func TestAPlanWithAnAccessoryBehindTheProxyLeavesAnEmptyOne(t *testing.T) {
	made := map[string]*world{}
	for _, image := range []string{"redis:7", "redis:8"} {
		desired := besideShop(image, release.OnChangeRecreate)
		desired.ErrorPages = map[string]string{"503.html": "soon"} // of routes that are not on the accessory's host
		made[image], made[image+" proxied"] = released(t, desired), released(t, sentRequests(desired, "/up"))
	}
	rapid.Check(t, func(t *rapid.T) {
		was := pick(t, "was", "", " proxied")
		w := anyBeside(t, func(image, _ string) *world { return made[image+was].clone() })
		w.options = plan.Options{Heal: rapid.Bool().Draw(t, "heal")}
		if rapid.IntRange(0, 3).Draw(t, "proxied") > 0 {
			w.desired = sentRequests(w.desired, pick(t, "health", "/up", "/livez"))
		}
		disturbRoute(t, w.host("work-1"))
		p := w.plan()
		if len(p.Problems) > 0 {
			t.Fatalf("it cannot be carried out: %s", show(p))
		}
		g := graphOf(p)
		for _, s := range p.Steps {
			touches := s.Kind == plan.StepSwitch || s.Kind == plan.StepUnroute
			if touches && s.Host == "work-1" && s.Name != "shop-redis" {
				t.Fatalf("%s touches the route %s", s.ID, s.Name)
			}
			if s.Kind != plan.StepSwitch || s.Role != behind || g.after(s.ID)["start/"+s.Host+"/"+s.Role] {
				continue
			}
			if c := w.container(s.Host, s.Container); c == nil || c.Status != state.StatusRunning {
				t.Fatalf("%s has a route go to what does not run: %s", s.ID, show(p))
			}
		}
		after := w.clone()
		if err := after.carryOut(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") }); err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
		if next := after.plan(); !next.Empty() {
			t.Fatalf("not empty: %s\nafter: %s", show(next), show(p))
		}
		for _, broken := range besideLaws(w, p) {
			t.Fatalf("%s\n%s", broken, show(p))
		}
	})
}

// disturbRoute does what anybody may have done to the route of an accessory.
func disturbRoute(t *rapid.T, h *state.Host) {
	if len(h.Proxy.Routes) == 0 {
		return
	}
	r := &h.Proxy.Routes[0]
	switch rapid.IntRange(0, 7).Draw(t, "route") {
	case 0:
		h.Proxy.Routes = nil
	case 1:
		r.Targets = []string{"0123456789ab:80"}
	case 2:
		r.Options.HealthPath = "/by-hand"
	case 3:
		r.Stopped = true
	case 4:
		r.Paused = true
	case 5:
		h.Proxy = state.Proxy{}
	case 6:
		h.Proxy.Running = false
	}
}

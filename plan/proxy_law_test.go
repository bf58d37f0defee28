package plan_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// poached: traffic is switched to a role by a host and path that another service's route has, or another app's proxy is made otherwise.
// A plan with problems is not carried out.
func poached(w *world, p plan.Plan) (broken []string) {
	if len(p.Problems) > 0 {
		return nil
	}
	for _, s := range p.Steps {
		h := w.find(s.Host)
		switch {
		case h == nil:
		case s.Kind == plan.StepSwitch && s.Route != nil:
			for _, other := range h.Proxy.Routes {
				if other.Name != s.Route.Name && !ownRoute(w, other.Name) && bothHave(*s.Route, other) {
					broken = append(broken, s.ID+" takes from "+other.Name)
				}
			}
		case s.Kind == plan.StepProxy && s.NewName != "" && h.Proxy.Owner != "" && h.Proxy.Owner != w.desired.App().String():
			broken = append(broken, s.ID+" changes the proxy of "+h.Proxy.Owner)
		}
	}
	return broken
}

func ownRoute(w *world, name string) bool {
	for _, role := range w.desired.Roles {
		if role.Proxy != nil && w.desired.App().RouteName(role.Name) == name {
			return true
		}
	}
	return false
}

// bothHave tells whether two routes take one request: what kamal-proxy refuses at the switch.
func bothHave(a, b state.Route) bool {
	or := func(list []string, otherwise string) []string {
		if len(list) == 0 {
			return []string{otherwise}
		}
		return list
	}
	same := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
	}
	return same(or(a.Options.Hosts, ""), or(b.Options.Hosts, "")) && same(or(a.Options.PathPrefixes, "/"), or(b.Options.PathPrefixes, "/"))
}

// Two apps' files on one host: whatever routes and settings the other has, nothing is planned that takes one of them away.
func TestNoPlanTakesARouteOrAProxyFromAnotherApp(t *testing.T) {
	base := proxied(t, "blog")
	met := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := base.to(pick(t, "version", "v1", "v2")).clone()
		mine := &w.desired.Roles[0].Proxy.Options
		mine.Hosts = pick(t, "hosts", nil, []string{"shop.test"}, []string{"shop.test", "blog.test"})
		mine.PathPrefixes = pick(t, "paths", nil, []string{"/"}, []string{"/shop"}, []string{"/shop", "/blog"})
		w.desired.ProxyServer.Declared = rapid.Bool().Draw(t, "declared")
		w.desired.ProxyServer.HTTPPort = pick(t, "port", 80, 8080)
		w.desired.ProxyServer.Image = pick(t, "image", "kamald/proxy:1.0.0", "kamald/proxy:1.1.0")
		for i := range w.hosts {
			proxy := &w.hosts[i].Proxy
			if proxy.ID == "" {
				continue
			}
			proxy.Owner = pick(t, "owner", "", "shop", "blog")
			other := state.Route{Name: "blog-web", Targets: []string{"0123456789ab:3000"}}
			other.Options.Hosts = pick(t, "its hosts", nil, []string{"blog.test"}, []string{"shop.test"})
			other.Options.PathPrefixes = pick(t, "its paths", nil, []string{"/"}, []string{"/blog"})
			if often(t, "another route") {
				proxy.Routes = append(slices.Clone(proxy.Routes), other)
			}
		}
		p := w.plan()
		if broken := poached(w, p); len(broken) > 0 {
			t.Fatalf("%v\n%s", broken, show(p))
		}
		switch {
		case len(p.Problems) > 0:
			met["problems"]++
		case slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepSwitch }):
			met["switches"]++
		}
		for _, s := range p.Steps {
			if s.Kind == plan.StepProxy && s.NewName != "" {
				met["upgrades"]++
			}
		}
	})
	if met["problems"] == 0 || met["switches"] == 0 || met["upgrades"] == 0 {
		t.Errorf("what was drawn shows too little: %v", met)
	}
}

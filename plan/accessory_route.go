package plan

import (
	"fmt"
	"slices"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// besidesOn are the accessories in scope on a host, as slots.
func (b *builder) besidesOn(host string) []*slot { return slices.Clone(b.beside[host]) }

// decideProxied compares what the proxy does for an accessory with what it should. One that the proxy cannot reach, and is not about to,
// has its route left as it is: the proxy would refuse to go there.
func (s *beside) decideProxied(in Input) {
	app := in.Desired.App()
	if s.foreign(app) {
		return
	}
	route, there := s.host.Proxy.Route(s.routed)
	if s.taken = s.takenBy(app, route); s.taken != nil {
		return
	}
	if s.role.Proxy == nil {
		if there && (!s.heals || in.Options.Orphans) && s.wasProxied(in, route) {
			s.former = &route
			s.items = append(s.items, Item{Action: Remove, Cause: Orphan, Resource: ResourceRoute, Host: s.host.Name, Role: s.role.Name, Name: route.Name,
				Reason: notProxied, Class: DriftOrphan, Risk: Destructive})
		}
		return
	}
	if s.stopped != nil || !s.reachable() || s.waitsWith(in.Desired, route) {
		return
	}
	s.decideCertificate(in)
	s.decideRoute(in.Desired)
	if s.route != nil && s.forced { // who makes it anew wants it to serve
		s.route.Stopped, s.route.Paused, s.route.StopMessage = false, false, ""
	}
}

// reachable tells whether the container runs, or is about to, and is on its network, which somebody may have taken it off.
func (s *beside) reachable() bool {
	if s.wanted == nil {
		return s.create
	}
	_, attached := s.wanted.IPs[s.spec.Network]
	return (s.start || s.wanted.Status == state.StatusRunning) && (s.connect || attached)
}

const notProxied = "the accessory is not proxied any more"

// waitsWith tells whether the route goes to a container that waits for another to take its place: what the file says of the port and of
// the check is that other's, and waits, too.
func (s *beside) waitsWith(desired release.Release, route state.Route) bool {
	if s.deferred == "" || s.wanted == nil || route.TargetID() != s.wanted.ShortID() {
		return false
	}
	want := state.Route{Name: s.routed, Options: desired.RouteOptions(s.role)}
	if fields := routeFields(route, want, fmt.Sprintf("%s:%d", s.wanted.ShortID(), s.role.Proxy.AppPort)); len(fields) > 0 {
		s.items = append(s.items, Item{Action: Update, Cause: Change, Resource: ResourceRoute, Host: s.host.Name, Role: s.role.Name, Name: s.routed,
			Reason: "the proxy has it otherwise", Class: DriftRoute, Fields: fields, Risk: Safe, Deferred: s.deferred})
	}
	return true
}

// wasProxied tells whether a route of the accessory's name is its own: it goes to a container of its, or the held release has it.
func (s *beside) wasProxied(in Input, route state.Route) bool {
	if slices.ContainsFunc(s.own, func(c state.Container) bool { return c.ShortID() == route.TargetID() }) {
		return true
	}
	if in.HeldRelease == nil || s.accessory.Shared {
		return false
	}
	held, ok := in.HeldRelease.Accessory(s.accessory.Name)
	return ok && held.Proxy != nil && held.Service == s.accessory.Service && slices.Contains(held.Hosts, s.host.Name)
}

// takenBy gives the container of another app that a route of the accessory's name goes to; nil for none. One without a label is nobody's.
func (s *beside) takenBy(app state.App, route state.Route) *state.Container {
	i := slices.IndexFunc(s.host.Containers, func(c state.Container) bool {
		ours := c.Service == s.accessory.Service && c.Role == "" || c.Service == app.Service && c.Destination == app.Destination
		return c.ShortID() == route.TargetID() && c.Service != "" && !ours
	})
	if i < 0 {
		return nil
	}
	return &s.host.Containers[i]
}

// checkTaken refuses to take another app's route.
func (b *builder) checkTaken(s *beside) {
	if s.taken == nil || s.role.Proxy == nil {
		return
	}
	b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the route %s goes to %s, which is another app's", s.routed, Printable(s.taken.Name)),
		"give the accessory another service, which names its route, too")
}

// switchBeside has the route go to the accessory's container, when that is proven.
func (b *builder) switchBeside(s *beside, needs []string) string {
	at := s.host.Name
	for _, id := range []string{"proxy/" + at, "certificate/" + at + "/" + s.role.Name} {
		if b.has(id) && !slices.Contains(needs, id) {
			needs = append(slices.Clone(needs), id)
		}
	}
	return b.add(s.switching(Step{Phase: PhaseAccessories, Needs: needs, Reason: "its container is healthy"}))
}

// endRoute takes the route of an accessory away that is not proxied any more.
func (b *builder) endRoute(s *beside) string {
	return b.add(Step{ID: "unroute/" + s.host.Name + "/" + s.role.Name, Kind: StepUnroute, Phase: PhaseAccessories, Host: s.host.Name, Role: s.role.Name,
		Name: s.former.Name, OldRoute: s.former, Reason: notProxied, Risk: Destructive})
}

// formerRoutesBeside are routes on a host of accessories that the held release has there, and that are not there any more.
func formerRoutesBeside(in Input, host state.Host) (routes []formerRoute) {
	for _, a := range in.HeldRelease.AccessoriesOn(host.Name) {
		route, there := host.Proxy.Route(a.Service)
		wanted := slices.ContainsFunc(in.Desired.AccessoriesOn(host.Name), func(other release.Accessory) bool { return other.Service == a.Service })
		if there && a.Proxy != nil && !a.Shared && !wanted {
			routes = append(routes, formerRoute{state.AccessoryRole(a.Name), route})
		}
	}
	return routes
}

// besideRoute tells whether a route is named as an accessory's is, of the release or of what it has left on the host.
func besideRoute(desired release.Release, host state.Host, route string) bool {
	return slices.ContainsFunc(desired.Accessories, func(a release.Accessory) bool { return a.Service == route }) ||
		slices.ContainsFunc(host.Containers, func(c state.Container) bool { return c.Role == "" && c.Service == route && c.Accessory != "" })
}

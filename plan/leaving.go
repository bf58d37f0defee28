package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// CordonedIn gives the hosts that somebody has cordoned, with the reason; what any host knows counts.
func CordonedIn(observed state.Snapshot, now time.Time) map[string]string {
	var cordoned map[string]string
	for _, intent := range observed.Intents() {
		if intent.Kind != state.IntentCordon || !intent.Holds(now) {
			continue
		}
		reason := "cordoned by " + Printable(intent.Who) // a file on a host says so
		if !intent.Since.IsZero() {
			reason += " since " + intent.Since.UTC().Format("2006-01-02 15:04 MST")
		}
		if !intent.Until.IsZero() {
			reason += " until " + intent.Until.UTC().Format("2006-01-02 15:04 MST")
		}
		if intent.Reason != "" {
			reason += ": " + Printable(intent.Reason)
		}
		if cordoned == nil {
			cordoned = map[string]string{}
		}
		cordoned[intent.Host] = reason
	}
	return cordoned
}

// checkCordoned refuses to call it done where every host that a release is to reach is left out.
func (b *builder) checkCordoned(heals bool) {
	if heals || len(b.slots) > 0 || len(b.plan.Unreachable) > 0 {
		return
	}
	for _, left := range b.plan.Cordoned {
		if b.known.concerned[left.Host] {
			b.problem(left.Host, "", "it is "+left.Reason+", and no other host takes part", fmt.Sprintf("run `kamald server uncordon %s`", left.Host))
		}
	}
}

// leave notes the hosts that left the file: those that can be reached are planned for, the others named.
func (b *builder) leave() {
	if !b.in.Options.Filter.Whole() || b.in.Options.Heal && !b.in.Options.Orphans {
		return
	}
	var left []state.Host
	for _, host := range b.in.Observed.Hosts {
		if host.Leaving {
			left = append(left, host)
		}
	}
	slices.SortStableFunc(left, func(x, y state.Host) int { return cmp.Compare(x.Name, y.Name) }) // they may be seen in any order
	for _, host := range left {
		_, wanted := b.known.hosts[host.Name]
		_, twice := b.hosts[host.Name]
		switch {
		case wanted || twice || b.cordoned[host.Name] != "":
		case host.Unreachable != "":
			b.plan.Left = append(b.plan.Left, Skipped{Host: host.Name, Reason: host.Unreachable})
		case b.holds(host):
			b.hosts[host.Name] = host
			b.observed = append(b.observed, host.Name)
			b.leaving = append(b.leaving, host)
			b.plan.Observed[host.Name] = Projection(Scope(b.in.Desired, host))
		}
	}
}

// holds tells whether anything of the app's is on a host.
func (b *builder) holds(host state.Host) bool {
	beside := slices.ContainsFunc(host.Containers, func(c state.Container) bool {
		_, ours := OwnAccessory(b.app, b.in.HeldRelease, host.Name, c)
		return ours
	})
	return beside || len(ofApp(b.app, host)) > 0 || len(b.formerRoutes(host)) > 0 || len(host.Assets.Own)+len(host.Assets.Volumes) > 0
}

type formerRoute struct {
	role  string
	route state.Route
}

// formerRoutes are routes on a host of roles that the held release has and that are not on the host any more.
func (b *builder) formerRoutes(host state.Host) []formerRoute {
	if b.in.HeldRelease == nil {
		return nil
	}
	var routes []formerRoute
	for _, role := range b.in.HeldRelease.Roles {
		route, there := host.Proxy.Route(b.app.RouteName(role.Name))
		if there && !slices.ContainsFunc(b.on[host.Name], func(s *slot) bool { return s.role.Name == role.Name }) {
			routes = append(routes, formerRoute{role.Name, route})
		}
	}
	return append(routes, formerRoutesBeside(b.in, host)...)
}

func placed(role release.Role, host string) bool { return slices.Contains(role.Places(), host) }

// orphansOf plans the end of what is on a host that left the file.
func (b *builder) orphansOf(host state.Host, after []string) {
	for _, c := range ofApp(b.app, host) {
		b.orphan(host, c, "the host left the file", after)
	}
	b.emptyRoutes(host, after)
}

// emptyRoutes takes away routes of roles that are not on the host any more and have left no container that they lead to.
func (b *builder) emptyRoutes(host state.Host, after []string) {
	const reason = "it left, and its route leads nowhere"
	for _, former := range b.formerRoutes(host) {
		if b.homeless(former.role) {
			continue
		}
		if b.ended[routeKey(host.Name, former.route.Name)] || b.in.Options.Heal && !b.in.Options.Orphans {
			continue
		}
		b.add(Step{ID: "unroute/" + host.Name + "/" + former.role, Kind: StepUnroute, Phase: PhaseSwitch, Host: host.Name, Role: former.role, Needs: after,
			Name: former.route.Name, OldRoute: &former.route, Reason: reason, Risk: Destructive})
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceRoute, Host: host.Name, Role: former.role, Name: former.route.Name,
			Reason: reason, Class: DriftOrphan, Risk: Destructive})
	}
}

// homeless tells whether a role is to run somewhere, and none of those hosts takes part: they are down or cordoned. What it has
// left elsewhere may be all that serves.
func (b *builder) homeless(name string) bool {
	if _, beside := state.AccessoryOf(name); beside {
		return false // each of its hosts has one of its own
	}
	if b.homes == nil {
		b.homes = map[string]bool{}
		for _, s := range b.slots {
			b.homes[s.role.Name] = true
		}
	}
	role, ok := b.in.Desired.Role(name)
	return ok && len(role.Places()) > 0 && !b.homes[name]
}

// checkMoved refuses to start a singleton while nobody can say whether the one of the held release still runs.
func (b *builder) checkMoved(s *slot) {
	if !s.role.Singleton || !s.boots() || b.in.HeldRelease == nil {
		return
	}
	was, ok := b.in.HeldRelease.Role(s.role.Name)
	if !ok || len(was.Places()) == 0 || placed(was, s.host.Name) {
		return
	}
	for _, name := range was.Places() {
		reason := b.cordoned[name]
		for _, host := range b.in.Observed.Hosts {
			if host.Name == name && host.Unreachable != "" && reason == "" {
				reason = host.Unreachable
			}
		}
		if reason != "" {
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("it is a singleton, and its container may still run on %s, which cannot be looked at (%s)", name, reason),
				fmt.Sprintf("bring %s back, or run `kamald server forget %s` when it is gone for good", name, name))
		}
	}
}

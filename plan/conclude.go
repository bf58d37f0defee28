package plan

import (
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// defaultGrace is Docker's own, for orphans that say nothing of theirs.
const defaultGrace = 10 * time.Second

// approveFirst is why healing leaves what no release asks for any more.
const approveFirst = "healing takes nothing away: `kamald approve` or `kamald apply` does"

// orphans plans the end of what a role or a host that left the file has left behind.
func (b *builder) orphans(after []string) {
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if !ok {
			continue
		}
		for _, c := range ofApp(b.app, host) {
			if !slices.ContainsFunc(b.on[on.Name], func(s *slot) bool { return s.role.Name == c.Role }) {
				b.orphan(host, c, b.whyOrphan(host, c), after)
			}
		}
		b.orphanRoutes(host, after)
		b.emptyRoutes(host, after)
	}
}

// whyOrphan says why a container of the app has no place on a host of the file.
func (b *builder) whyOrphan(host state.Host, c state.Container) string {
	if role, ok := b.in.Desired.Role(c.Role); ok && role.Singleton && slices.Contains(role.Hosts, host.Name) {
		return "a singleton runs on its first host, " + role.Hosts[0]
	}
	return "its role is not on this host any more"
}

func (b *builder) orphan(host state.Host, c state.Container, reason string, after []string) {
	if b.homeless(c.Role) {
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceContainer, Host: host.Name, Role: c.Role, Name: c.Name,
			Reason: reason, Class: DriftOrphan, Risk: Destructive, Deferred: "none of the hosts that the role is to run on takes part: what serves goes on until one does"})
		return
	}
	if b.in.Options.Heal && !b.in.Options.Orphans {
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceContainer, Host: host.Name, Role: c.Role, Name: c.Name,
			Reason: reason, Risk: Destructive, Deferred: approveFirst})
		return
	}
	needs := slices.Clone(after)
	at := host.Name + "/" + c.Role + "/" + c.ShortID()
	route, routed := host.Proxy.Route(b.app.RouteName(c.Role))
	if routed && route.TargetID() == c.ShortID() {
		needs = []string{b.add(Step{ID: "unroute/" + at, Kind: StepUnroute, Phase: PhaseSwitch, Host: host.Name, Role: c.Role, Needs: needs,
			Name: route.Name, OldRoute: &route, Reason: reason, Risk: Destructive})}
	}
	switch {
	case b.isSingleton(c.Role) && b.stopsAlready(host.Name, c):
		needs = append(needs, "stop/"+at)
	case c.Running() || c.Status == state.StatusRestarting:
		needs = []string{b.add(Step{ID: "stop/" + at, Kind: StepStop, Phase: PhaseSwitch, Host: host.Name, Role: c.Role, Needs: needs,
			Container: c.ID, Name: c.Name, Grace: graceOf(c, defaultGrace), Reason: reason, Risk: Destructive})}
	}
	b.afterwards(Step{ID: "remove/" + at, Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Role: c.Role, Needs: needs,
		Container: c.ID, Name: c.Name, Reason: reason, Risk: Destructive})
	b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceContainer, Host: host.Name, Role: c.Role, Name: c.Name,
		Reason: reason, Class: DriftOrphan, Risk: Destructive})
}

// orphanRoutes takes away routes of roles that are there and not proxied any more.
func (b *builder) orphanRoutes(host state.Host, after []string) {
	for _, s := range b.on[host.Name] {
		route, there := host.Proxy.Route(b.app.RouteName(s.role.Name))
		if s.role.Proxy != nil || !there || b.in.Options.Heal && !b.in.Options.Orphans {
			continue
		}
		b.add(Step{ID: "unroute/" + host.Name + "/" + s.role.Name, Kind: StepUnroute, Phase: PhaseSwitch, Host: host.Name, Role: s.role.Name, Needs: after,
			Name: route.Name, OldRoute: &route, Reason: "the role is not proxied any more", Risk: Destructive})
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceRoute, Host: host.Name, Role: s.role.Name, Name: route.Name,
			Reason: "the role is not proxied any more", Class: DriftOrphan, Risk: Destructive})
	}
}

// conclude plans what happens only after every role on every host has succeeded: tag, record, prune.
func (b *builder) conclude() {
	released := gateIf(b, "released", PhaseFinish, 0, ids(b.steps))
	whole := b.in.Options.Filter.Whole()
	if !whole && !b.in.Options.Heal { // a part of the release moves no latest and takes nothing away
		b.postDeploy(gateIf(b, "recorded", PhaseFinish, 0, orElse(b.records(released), released)))
		return
	}
	var tags []string
	for _, on := range b.in.Desired.Hosts {
		if host, ok := b.hosts[on.Name]; ok && b.awake(on.Name) {
			tags = append(tags, b.tag(host, released)...)
		}
	}
	if !whole { // healing a part puts back what was moved there, and takes nothing away
		b.keepHeld(append(slices.Clone(released), tags...))
		b.postDeploy(append(slices.Clone(released), tags...))
		return
	}
	b.retain()
	records := b.records(append(slices.Clone(released), tags...))
	after := gateIf(b, "recorded", PhaseFinish, 0, records)
	if len(after) == 0 {
		after = released
	}
	b.postDeploy(after)
	for _, s := range b.prune {
		s.Needs = append(slices.Clone(s.Needs), after...)
		b.add(s)
	}
}

func orElse(list, otherwise []string) []string {
	if len(list) == 0 {
		return otherwise
	}
	return list
}

// tag moves latest[-destination] on a host where it is not at the wanted image.
func (b *builder) tag(host state.Host, released []string) []string {
	ref := b.in.Desired.ImageName() + ":" + b.app.LatestTag()
	before, after := "", b.in.Desired.Version
	image, there := host.Image(b.in.Desired.Image())
	if old, ok := host.Image(host.Latest); ok {
		before = b.versionOf(old)
		pin := b.in.Pin.Value()
		if pin != "" && bears(old, pin) || pin == "" && there && old.ID == image.ID {
			return nil
		}
	}
	if !there && !b.imaged[host.Name] {
		return nil // the image is neither there nor coming; a container that runs of it is not ours to guess about
	}
	cause, reason := Change, "every role has succeeded"
	if b.in.Held != nil && b.in.Held.Version == b.in.Desired.Version && !b.joins(host.Name) {
		cause, reason = Drift, "it was moved"
	}
	b.plan.Items = append(b.plan.Items, Item{Action: Update, Cause: cause, Resource: ResourceTag, Host: host.Name, Name: b.app.LatestTag(), Reason: reason,
		Class: DriftTag, Fields: []Field{{Path: "version", Before: before, After: after}}, Risk: Safe})
	return []string{b.add(Step{ID: "tag/" + host.Name, Kind: StepTag, Phase: PhaseFinish, Host: host.Name, Needs: released,
		Name: ref, OldImage: host.Latest, Reason: reason})}
}

// joins tells whether the held release knows nothing of a host.
func (b *builder) joins(host string) bool {
	if b.in.HeldRelease == nil {
		return false
	}
	_, there := b.in.HeldRelease.Host(host)
	return !there
}

// versionOf names an image by its version's tag, the first of several.
func (b *builder) versionOf(image state.Image) string {
	return versionAmong(image, b.in.Desired.ImageName(), b.app)
}

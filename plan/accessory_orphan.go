package plan

import (
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// orphanBesides plans the end of accessories that left the file, on the hosts that are in it and on those that left it, too. What they
// have kept stays: it is named, and nothing else happens to it.
func (b *builder) orphanBesides(after []string) {
	for _, on := range b.in.Desired.Hosts {
		if host, ok := b.hosts[on.Name]; ok {
			b.orphanBesidesOf(host, after)
		}
	}
	for _, host := range b.leaving {
		b.orphanBesidesOf(host, after)
	}
}

func (b *builder) orphanBesidesOf(host state.Host, after []string) {
	for i := range host.Containers {
		c := host.Containers[i]
		if wantedAccessory(b.in.Desired, host.Name, c) || c.Status == state.StatusRemoving {
			continue
		}
		if name, ours := OwnAccessory(b.app, b.in.HeldRelease, host.Name, c); ours {
			b.orphanBeside(host, c, state.AccessoryRole(name), after)
		} else {
			b.leaveShared(host, c)
		}
	}
}

// leaveShared says once, when an accessory leaves the file that others may share, that it stays.
func (b *builder) leaveShared(host state.Host, c state.Container) {
	if b.in.HeldRelease == nil || c.Role != "" {
		return
	}
	for _, a := range b.in.HeldRelease.AccessoriesOn(host.Name) {
		if a.Shared && c.Name == a.Service && c.Service == a.Service {
			b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Orphan, Resource: ResourceContainer, Host: host.Name, Role: state.AccessoryRole(a.Name),
				Name: c.Name, Reason: "its accessory is not on this host any more", Class: DriftOrphan, Risk: Destructive,
				Deferred: "others may share it: it stays, and `kamald accessory remove " + a.Name + "` with a file that has it takes it away"})
		}
	}
}

// OwnAccessory tells whether a container is of an accessory of the app alone, and of which: its label says so, or the held release has
// it. One that is shared is nobody's own, whoever has made its container last.
func OwnAccessory(app state.App, held *release.Release, host string, c state.Container) (name string, ours bool) {
	switch {
	case c.Role != "":
		return "", false
	case c.Accessory != "":
		name, ours = strings.CutPrefix(c.Accessory, app.OwnedAs(""))
		return name, ours && !shared(held, name, c)
	case held == nil:
		return "", false
	}
	for _, a := range held.AccessoriesOn(host) {
		if a.Service == c.Service && !a.Shared && (c.Name == a.Service || c.Replaced() && strings.HasPrefix(c.Name, a.Service+"_")) {
			return a.Name, true
		}
	}
	return "", false
}

// shared tells whether others may have the container of an accessory, too: the held release says so, else its label.
func shared(held *release.Release, name string, c state.Container) bool {
	if held != nil {
		if was, ok := held.Accessory(name); ok && was.Service == c.Service {
			return was.Shared
		}
	}
	return c.Shared
}

// wantedAccessory tells whether the release has an accessory of the container's name on the host.
func wantedAccessory(desired release.Release, host string, c state.Container) bool {
	return slices.ContainsFunc(desired.AccessoriesOn(host), func(a release.Accessory) bool { return a.Service == c.Service })
}

func (b *builder) orphanBeside(host state.Host, c state.Container, role string, after []string) {
	reason := "its accessory is not on this host any more"
	if data := DataOf(c); len(data) > 0 {
		reason += "; what it has kept stays: " + strings.Join(data, ", ")
	}
	item := Item{Action: Remove, Cause: Orphan, Resource: ResourceContainer, Host: host.Name, Role: role, Name: c.Name,
		Reason: reason, Class: DriftOrphan, Risk: Destructive}
	if b.in.Options.Heal && !b.in.Options.Orphans {
		item.Deferred = approveFirst
		b.plan.Items = append(b.plan.Items, item)
		return
	}
	needs, at := slices.Clone(after), host.Name+"/"+role+"/"+c.ShortID()
	if route, routed := host.Proxy.Route(c.Service); routed && route.TargetID() == c.ShortID() {
		needs = []string{b.add(Step{ID: "unroute/" + at, Kind: StepUnroute, Phase: PhaseSwitch, Host: host.Name, Role: role, Needs: needs,
			Name: route.Name, OldRoute: &route, Reason: "its accessory is not on this host any more", Risk: Destructive})}
	}
	if c.Running() || c.Status == state.StatusRestarting {
		needs = []string{b.add(Step{ID: "stop/" + at, Kind: StepStop, Phase: PhaseSwitch, Host: host.Name, Role: role, Needs: needs,
			Container: c.ID, Name: c.Name, Grace: graceOf(c, defaultGrace), Reason: "its accessory is not on this host any more", Risk: Destructive})}
	}
	b.afterwards(Step{ID: "remove/" + at, Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Role: role, Needs: needs,
		Container: c.ID, Name: c.Name, Reason: "its accessory is not on this host any more", Risk: Destructive})
	b.plan.Items = append(b.plan.Items, item)
}

// DataOf names the volumes and directories that a container has mounted, without the files that were put there for it.
func DataOf(c state.Container) []string {
	var names []string
	for _, volume := range c.Live.Volumes {
		source, rest, _ := strings.Cut(volume, ":")
		target, _, _ := strings.Cut(rest, ":")
		if c.Asked == nil || c.Asked.Files[target].Digest == "" {
			names = append(names, source)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// observeAll looks at the release's hosts and at those that left it, and not at cordoned ones: they may be gone. What the last
// look knew decides where to look; only where this one teaches something else is there a second. With only, the others of the hosts
// that the last look knew are taken as they were.
func (c *Controller) observeAll(ctx context.Context, desired release.Release, known state.Snapshot, only []string, patience time.Duration) (state.Snapshot, keys, error) {
	now := c.now()
	all := desired
	all.Hosts = append(slices.Clone(desired.Hosts), leavingHosts(desired, known)...)
	given := append(asTheyWere(all, known, only), cordonedHosts(all, known, plan.CordonedIn(known, now))...)
	snapshot, read, err := observe(ctx, c.fleet, patience, all, known, now, given...)
	if err != nil {
		return snapshot, read, err
	}
	cordoned := plan.CordonedIn(snapshot, now)
	var more []release.Host
	for i, host := range snapshot.Hosts {
		if reason := cordoned[host.Name]; reason != "" {
			snapshot.Hosts[i] = state.Host{Name: host.Name, Unreachable: reason, Intents: host.Intents}
		} else if plan.CordonedIn(known, now)[host.Name] != "" {
			more = append(more, all.Hosts[i]) // another has uncordoned it
		}
	}
	for _, on := range leavingHosts(desired, snapshot) {
		if _, seen := snapshot.Host(on.Name); !seen && cordoned[on.Name] == "" && !emptied(desired, known, on.Name) {
			more = append(more, on)
		}
	}
	if len(more) > 0 {
		again := desired
		again.Hosts = more
		extra, extraKeys, err := observe(ctx, c.fleet, patience, again, known, now)
		if err != nil {
			return snapshot, read, err
		}
		for _, host := range extra.Hosts {
			snapshot.Hosts = append(slices.DeleteFunc(snapshot.Hosts, func(h state.Host) bool { return h.Name == host.Name }), host)
			read[host.Name] = extraKeys[host.Name]
		}
	}
	return inOrder(desired, known, snapshot), read, nil
}

// asTheyWere gives the known hosts that nobody wants looked at; none when all are to be.
func asTheyWere(all release.Release, known state.Snapshot, only []string) (hosts []state.Host) {
	if len(only) == 0 {
		return nil
	}
	seen := make(map[string]state.Host, len(known.Hosts))
	for _, host := range known.Hosts {
		seen[host.Name] = host
	}
	for _, on := range all.Hosts {
		if host, there := seen[on.Name]; there && !slices.Contains(only, on.Name) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// observeAgain looks once more at what a snapshot has, not waiting again for hosts that could not be reached. With only, hosts besides
// those are taken as they were seen.
func (c *Controller) observeAgain(ctx context.Context, patience time.Duration, desired release.Release, seen state.Snapshot, only ...string) (state.Snapshot, keys, error) {
	all := wide(desired, seen)
	given := append(asTheyWere(all, seen, only), unreachable(seen)...)
	snapshot, read, err := observe(ctx, c.fleet, patience, all, seen, c.now(), given...)
	return inOrder(desired, seen, snapshot), read, err
}

// inOrder puts the release's hosts first, in its order, and marks the others as leaving. Those that left and hold nothing are
// remembered, and not looked at again.
func inOrder(desired release.Release, known, snapshot state.Snapshot) state.Snapshot {
	var hosts, leaving []state.Host
	for _, on := range desired.Hosts {
		if host, ok := snapshot.Host(on.Name); ok {
			host.Leaving = false
			hosts = append(hosts, host)
		}
	}
	for _, host := range append(slices.Clone(snapshot.Hosts), known.Hosts...) {
		_, wanted := desired.Host(host.Name)
		again := slices.ContainsFunc(leaving, func(h state.Host) bool { return h.Name == host.Name })
		_, fresh := snapshot.Host(host.Name)
		if wanted || again || !fresh && !emptied(desired, known, host.Name) {
			continue
		}
		host.Leaving = true
		leaving = append(leaving, host)
	}
	snapshot.Hosts = append(hosts, leaving...)
	return snapshot
}

// emptied tells whether a host that left was seen to hold nothing of ours.
func emptied(desired release.Release, known state.Snapshot, name string) bool {
	host, ok := known.Host(name)
	app := desired.App()
	assets := len(host.Assets.Own)+len(host.Assets.Volumes) > 0
	return ok && host.Leaving && host.Unreachable == "" && !assets && !slices.ContainsFunc(host.Containers, func(c state.Container) bool {
		_, beside := plan.OwnAccessory(app, heldRelease(known), name, c)
		return c.Service == app.Service && c.Destination == app.Destination && c.Role != "" || beside
	}) && !slices.ContainsFunc(host.Proxy.Routes, func(r state.Route) bool { return ownRoute(desired, known, r) })
}

// ownRoute tells whether a route is one of a role, or of a proxied accessory, that the release or the held one has.
func ownRoute(desired release.Release, known state.Snapshot, route state.Route) bool {
	_, own := whoseRoute(desired, heldRelease(known), route)
	return own
}

// whoseRoute gives the role, or the accessory by the name that stands for it where roles do, that a route is of.
func whoseRoute(desired release.Release, held *release.Release, route state.Route) (role string, own bool) {
	releases := []release.Release{desired}
	if held != nil {
		releases = append(releases, *held)
	}
	for _, r := range releases {
		for _, tenant := range r.Tenants() {
			_, beside := state.AccessoryOf(tenant.Name)
			if (tenant.Proxy != nil || !beside) && r.RouteName(tenant.Name) == route.Name {
				return tenant.Name, true
			}
		}
	}
	return "", false
}

// leavingHosts are those that the held release has, or had still to leave, and the desired one has not; with their last known SSH
// settings. Forgotten ones and those that were emptied are not among them.
func leavingHosts(desired release.Release, seen state.Snapshot) []release.Host {
	record, held := newestRecord(seen), heldRelease(seen)
	if held == nil {
		return nil
	}
	wanted := map[string]bool{}
	for _, on := range desired.Hosts {
		wanted[on.Name] = true
	}
	var hosts []release.Host
	for _, on := range append(slices.Clone(held.Hosts), held.Leaving...) {
		if wanted[on.Name] {
			continue
		}
		wanted[on.Name] = true
		if forgotten, ok := seen.Intent(state.IntentForget, on.Name); ok && !forgotten.Lifted && forgotten.Release >= record.Number {
			continue
		}
		if !emptied(desired, seen, on.Name) {
			hosts = append(hosts, on)
		}
	}
	return hosts
}

// heldRelease is what the newest record that any host knows of keeps; nil when there is none, or it cannot be read.
func heldRelease(seen state.Snapshot) *release.Release {
	record := newestRecord(seen)
	if record == nil {
		return nil
	}
	held, err := unpackRelease(record.Release)
	if err != nil {
		return nil
	}
	return &held
}

// wide is the release with the hosts that left it and are in the snapshot.
func wide(desired release.Release, seen state.Snapshot) release.Release {
	desired.Hosts = slices.Clone(desired.Hosts)
	for _, on := range leavingHosts(desired, seen) {
		if _, there := seen.Host(on.Name); there {
			desired.Hosts = append(desired.Hosts, on)
		}
	}
	return desired
}

// cordonedHosts are those not to be looked at. When all are, nobody else could say that one is not any more.
func cordonedHosts(wide release.Release, known state.Snapshot, reasons map[string]string) []state.Host {
	var hosts []state.Host
	for _, on := range wide.Hosts {
		if reason := reasons[on.Name]; reason != "" {
			old, _ := known.Host(on.Name)
			hosts = append(hosts, state.Host{Name: on.Name, Unreachable: reason, Intents: old.Intents})
		}
	}
	if len(hosts) == len(wide.Hosts) {
		return nil
	}
	return hosts
}

// uncordoned is the release without the hosts that are cordoned as far as the last look knows: they may be gone. When all are, it
// is the whole one.
func (c *Controller) uncordoned(desired release.Release) (release.Release, error) {
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return desired, err
	}
	cordoned := plan.CordonedIn(known, c.now())
	hosts := slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool { return cordoned[on.Name] != "" })
	if len(hosts) > 0 {
		desired.Hosts = hosts
	}
	return desired, nil
}

// leftRows are a report's rows of what the file does not name any more: on hosts that left, and of roles that did.
func leftRows(planned Planned, now state.Snapshot) []Row {
	if !planned.Plan.Filter.Whole() {
		return nil
	}
	app := planned.Desired.App()
	var rows []Row
	for _, before := range planned.Snapshot.Hosts {
		seen := map[string]bool{}
		after, _ := now.Host(before.Name)
		for _, c := range before.Containers {
			if c.Role == "" || seen[c.Role] || plan.Classify(planned.Desired, before, c) != plan.Orphaned {
				continue
			}
			seen[c.Role] = true
			row := Row{Host: before.Name, Role: c.Role, Before: versionOn(app, before, c.Role), Now: versionOn(app, after, c.Role), Why: "it left the file"}
			if after.Unreachable != "" {
				row.Now, row.Why = "unknown", after.Unreachable
			}
			rows = append(rows, row)
		}
	}
	return rows
}

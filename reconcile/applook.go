package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Look is one look at the servers and what is held there, and no plan.
type Look struct {
	Snapshot state.Snapshot
	Held     *state.Record   // nil: nothing is
	Moved    []plan.HandMove // by another than kamald, without a record
	Scope    plan.Filter     // what was asked for

	desired release.Release
}

// Look sees every host in two dependent calls, or takes what was seen last.
func (c *Controller) Look(ctx context.Context, desired release.Release, hosts, roles []string, stored bool) (Look, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return Look{}, err
	}
	snapshot, _, err := c.look(ctx, desired, stored)
	if err != nil {
		return Look{}, err
	}
	found := Look{Snapshot: snapshot, Held: newestRecord(snapshot), Scope: scope, desired: desired}
	if found.Held == nil {
		return found, nil
	}
	records, err := c.Store.Releases(desired.App())
	if err != nil {
		return found, err
	}
	if kept, err := decodeRelease(*found.Held, desired); err == nil { // of one that cannot be read back nothing can be said
		found.Moved = plan.MovedByHand(kept, snapshot, withHeld(records, found.Held))
	}
	return found, nil
}

// AppImage is an image of the app on a host.
type AppImage struct {
	Host    string    `json:"host"`
	ID      string    `json:"id"`
	Tags    []string  `json:"tags"`
	Digests []string  `json:"digests,omitempty"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"`
	Latest  bool      `json:"latest"`            // the app's latest is at it
	Used    []string  `json:"used_by,omitempty"` // containers of the service that have it
}

// Images gives the app's images on the hosts in scope, in the order of the hosts, the newest first.
func (l Look) Images() []AppImage {
	all := []AppImage{}
	for _, host := range l.hosts() {
		from := len(all)
		for _, image := range host.Images {
			one := AppImage{Host: host.Name, ID: image.ID, Tags: slices.Sorted(slices.Values(image.Tags)), Digests: image.Digests, Created: image.Created, Size: image.Size,
				Latest: image.ID == host.Latest}
			for _, c := range host.Containers {
				if c.ImageID == image.ID {
					one.Used = append(one.Used, c.Name)
				}
			}
			slices.Sort(one.Used)
			all = append(all, one)
		}
		slices.SortStableFunc(all[from:], func(a, b AppImage) int { return b.Created.Compare(a.Created) })
	}
	return all
}

// AppContainer is a container of the app on a host, in whatever state.
type AppContainer struct {
	Host    string       `json:"host"`
	Role    string       `json:"role"`
	Name    string       `json:"name"`
	ID      string       `json:"id"`
	Version string       `json:"version"`
	State   state.Status `json:"state"`
	Health  string       `json:"health,omitempty"`
	Class   plan.Class   `json:"class"`
	Release int          `json:"release,omitempty"`
	Image   string       `json:"image"`
	Created time.Time    `json:"created"`
	Started time.Time    `json:"started,omitzero"`
	Latest  bool         `json:"latest"` // made from the image that latest is at
	Routed  bool         `json:"routed"` // the proxy sends it requests
	Stale   bool         `json:"stale"`  // it runs beside the one that serves
}

// Containers gives the app's containers on the hosts and of the roles in scope, in the order of the hosts, then of the file's roles, the
// newest first.
func (l Look) Containers(desired release.Release) []AppContainer {
	app, all := desired.App(), []AppContainer{}
	order := map[string]int{}
	for i, role := range desired.Roles {
		order[role.Name] = i - len(desired.Roles) // roles that left the file come last
	}
	for _, host := range l.hosts() {
		from := len(all)
		stale := map[string]bool{}
		for _, c := range plan.Stale(app, host, roleNames(desired)) {
			stale[c.ID] = true
		}
		for _, c := range host.Containers {
			if c.Service != app.Service || c.Destination != app.Destination || c.Role == "" || !l.Scope.Has(host.Name, c.Role) {
				continue
			}
			route, _ := host.Proxy.Route(app.RouteName(c.Role))
			all = append(all, AppContainer{Host: host.Name, Role: c.Role, Name: c.Name, ID: c.ShortID(), Version: c.Version(), State: c.Status, Health: c.Health,
				Class: plan.Classify(desired, host, c), Release: c.Release, Image: c.ImageID, Created: c.Created, Started: c.Started,
				Latest: host.Latest != "" && c.ImageID == host.Latest, Routed: route.TargetID() == c.ShortID(), Stale: stale[c.ID]})
		}
		slices.SortStableFunc(all[from:], func(a, b AppContainer) int {
			if order[a.Role] != order[b.Role] {
				return order[a.Role] - order[b.Role]
			}
			return b.Created.Compare(a.Created)
		})
	}
	return all
}

func roleNames(desired release.Release) []string {
	var names []string
	for _, role := range desired.Roles {
		names = append(names, role.Name)
	}
	return names
}

// Unreachable gives the hosts in scope that could not be seen, but for those that are left out on purpose.
func (l Look) Unreachable() []plan.Skipped {
	var list []plan.Skipped
	cordoned := plan.CordonedIn(l.Snapshot, l.Snapshot.TakenAt)
	for _, host := range l.inScope() {
		if host.Unreachable != "" && cordoned[host.Name] == "" && !host.Leaving {
			list = append(list, plan.Skipped{Host: host.Name, Reason: host.Unreachable})
		}
	}
	return list
}

// Cordoned gives the hosts in scope that are left out on purpose, and were not looked at.
func (l Look) Cordoned() []plan.Skipped {
	var list []plan.Skipped
	cordoned := plan.CordonedIn(l.Snapshot, l.Snapshot.TakenAt)
	for _, host := range l.inScope() {
		if cordoned[host.Name] != "" {
			list = append(list, plan.Skipped{Host: host.Name, Reason: cordoned[host.Name]})
		}
	}
	return list
}

// hosts are those in scope that were seen.
func (l Look) hosts() []state.Host {
	return slices.DeleteFunc(l.inScope(), func(host state.Host) bool { return host.Unreachable != "" })
}

func (l Look) inScope() []state.Host {
	return slices.DeleteFunc(slices.Clone(l.Snapshot.Hosts), func(host state.Host) bool {
		return !l.Scope.Concerns(l.desired, host)
	})
}

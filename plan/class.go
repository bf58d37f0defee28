package plan

import (
	"cmp"
	"slices"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Class is what an observed container is to us. Every container on an observed host falls in exactly one.
type Class string

// The classes of containers.
const (
	Current    Class = "current"    // what its role serves with now
	Candidate  Class = "candidate"  // of the desired version, not serving yet
	Superseded Class = "superseded" // an older one that ended, kept for rollback
	Draining   Class = "draining"   // an older one that still runs beside the current
	Failed     Class = "failed"     // never served: it was made and not started, or the engine could not
	Orphaned   Class = "orphan"     // ours, and its role or host left the file
	Foreign    Class = "foreign"    // another service's or destination's, or nobody's
	Unknown    Class = "unknown"    // its host could not be observed
)

// Classify gives the class of a container on a host.
func Classify(desired release.Release, host state.Host, c state.Container) Class {
	app := desired.App()
	switch {
	case host.Unreachable != "":
		return Unknown
	case c.Role == "":
		return classifyBeside(desired, host, c)
	case c.Service != app.Service || c.Destination != app.Destination:
		return Foreign
	}
	role, ok := desired.Role(c.Role)
	if !ok || !slices.Contains(role.Places(), host.Name) {
		return Orphaned
	}
	current, found := currentOf(app, host, c.Role)
	switch {
	case found && current.ID == c.ID:
		return Current
	case c.Name == app.ContainerName(c.Role, desired.Version) && c.Running():
		return Candidate
	case c.Running() || c.Status == state.StatusRestarting:
		return Draining
	case c.Status == state.StatusCreated || c.Status == state.StatusDead || c.Status == state.StatusRemoving:
		return Failed
	}
	return Superseded
}

// classifyBeside gives the class of a container without a role: an accessory's, or nobody's that we know.
func classifyBeside(desired release.Release, host state.Host, c state.Container) Class {
	for _, a := range desired.AccessoriesOn(host.Name) {
		if a.Service != c.Service {
			continue
		}
		foreign := c.Accessory != "" && !a.Shared && c.Accessory != desired.App().OwnedAs(a.Name)
		switch mine, found := AccessoryOn(a, host); {
		case foreign:
			return Foreign
		case found && mine.ID == c.ID:
			return Current
		case c.Replaced():
			return Superseded
		}
	}
	if _, ours := OwnAccessory(desired.App(), nil, host.Name, c); ours {
		return Orphaned
	}
	return Foreign
}

// CurrentOf is the container that a role serves with on a host: the running one of the image tagged latest[-destination];
// of several the one the proxy routes to, else the newest; with none of that image the newest running one.
func CurrentOf(app state.App, host state.Host, role string) (state.Container, bool) {
	return currentOf(app, host, role)
}

func currentOf(app state.App, host state.Host, role string) (state.Container, bool) {
	return currentAmong(app, host, role, ofRole(app, host, role))
}

// currentAmong chooses among a role's containers on a host, newest first.
func currentAmong(app state.App, host state.Host, role string, own []state.Container) (state.Container, bool) {
	route, _ := host.Proxy.Route(app.RouteName(role))
	var best state.Container
	var found bool
	for _, c := range own {
		if !c.Running() && c.Status != state.StatusRestarting {
			continue
		}
		if !found || currency(host, route, c) > currency(host, route, best) {
			best, found = c, true
		}
	}
	return best, found
}

// currency ranks running containers of one role; ofRole gives the newest first, so that equals keep that order.
func currency(host state.Host, route state.Route, c state.Container) int {
	rank := 0
	if host.Latest != "" && c.ImageID == host.Latest {
		rank += 2
	}
	if route.TargetID() == c.ShortID() {
		rank++
	}
	return rank
}

// ofApp gives the app's own containers on a host, newest first; not those that the engine is removing.
func ofApp(app state.App, host state.Host) []state.Container {
	return newestFirst(host.Containers, func(c *state.Container) bool {
		return c.Service == app.Service && c.Destination == app.Destination && c.Role != "" && c.Status != state.StatusRemoving
	})
}

// ofRole gives the app's containers of one role on a host, newest first.
func ofRole(app state.App, host state.Host, role string) []state.Container {
	return newestFirst(host.Containers, func(c *state.Container) bool {
		return c.Role == role && role != "" && c.Status != state.StatusRemoving && c.Service == app.Service && c.Destination == app.Destination
	})
}

// newestFirst gives copies of the containers that are meant. A container is a large value, so no other is copied.
func newestFirst(containers []state.Container, meant func(*state.Container) bool) []state.Container {
	n := 0
	for i := range containers {
		if meant(&containers[i]) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	list := make([]state.Container, 0, n)
	for i := range containers {
		if meant(&containers[i]) {
			list = append(list, containers[i])
		}
	}
	slices.SortStableFunc(list, func(a, b state.Container) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return list
}

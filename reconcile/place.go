package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Place is a role on a host.
type Place struct {
	Host string `json:"host"`
	Role string `json:"role"`
}

// Places are the roles on hosts that patterns select, the primary role's first, then in the file's order: where nothing is selected the
// first is the primary role on the primary host. There is at least one: hosts that have none of the app's roles are an error.
func Places(desired release.Release, hosts, roles []string) ([]Place, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return nil, err
	}
	ordered := slices.Clone(desired.Roles)
	slices.SortStableFunc(ordered, func(a, b release.Role) int {
		return rankIf(b.Name == desired.PrimaryRole) - rankIf(a.Name == desired.PrimaryRole)
	})
	var list []Place
	for _, role := range ordered {
		for _, host := range role.Places() {
			if scope.Has(host, role.Name) {
				list = append(list, Place{host, role.Name})
			}
		}
	}
	if len(list) == 0 {
		return nil, noRole(desired, scope)
	}
	return list, nil
}

// noRole says that what was asked for has no role of the app's, and what there is.
func noRole(desired release.Release, scope plan.Filter) error {
	where := "in scope"
	if len(scope.Hosts) > 0 {
		where = "on " + strings.Join(scope.Hosts, ", ")
	}
	var beside []string
	for _, a := range desired.Accessories {
		if slices.ContainsFunc(a.Hosts, func(host string) bool { return scope.Has(host, state.AccessoryRole(a.Name)) }) {
			beside = append(beside, a.Name)
		}
	}
	if len(beside) == 0 {
		return fmt.Errorf("no role of %s is %s", desired.App(), where)
	}
	return fmt.Errorf("no role of %s is %s; `kamald accessory` has the commands for what is there: %s", desired.App(), where, strings.Join(beside, ", "))
}

// AccessoryPlaces are an accessory's hosts that patterns select, in the file's order, under the name of state.AccessoryRole. There is at
// least one.
func AccessoryPlaces(desired release.Release, name string, hosts []string) ([]Place, error) {
	a, _ := desired.Accessory(name)
	role := state.AccessoryRole(name)
	if len(a.Hosts) == 0 {
		return nil, fmt.Errorf("accessory %s is on no host", name)
	}
	scope, err := plan.FilterOf(desired, hosts, []string{role})
	if err != nil {
		return nil, err
	}
	var list []Place
	for _, on := range desired.Hosts {
		if slices.Contains(a.Hosts, on.Name) && scope.Has(on.Name, role) {
			list = append(list, Place{on.Name, role})
		}
	}
	return list, nil
}

// hostsOn are the hosts that places are on, in the file's order.
func hostsOn(desired release.Release, places []Place) []release.Host {
	return slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool {
		return !slices.ContainsFunc(places, func(p Place) bool { return p.Host == on.Name })
	})
}

// rolesAt are the roles of places on one host.
func rolesAt(places []Place, host string) (roles []string) {
	for _, p := range places {
		if p.Host == host {
			roles = append(roles, p.Role)
		}
	}
	return roles
}

// Cordoned are the hosts that commands which change no release leave out, with the reason: those that are cordoned by what was seen last.
// Where hosts are named none is.
func (c *Controller) Cordoned(desired release.Release, named []string) (map[string]string, error) {
	if len(named) > 0 {
		return nil, nil
	}
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return nil, err
	}
	return plan.CordonedIn(known, c.now()), nil
}

// glance sees what of the app runs on a host, and no more: its containers, images and routes, in one round.
func glance(ctx context.Context, conn *Connection, desired release.Release, host string) (state.Host, error) {
	seen := state.Host{Name: host}
	group, ctx := crewWithin(ctx)
	group.Go(func() (err error) {
		seen.Containers, err = conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: desired.Service}})
		return err
	})
	group.Go(func() (err error) { seen.Images, err = conn.Engine.Images(ctx, desired.ImageName()); return err })
	group.Go(func() (err error) {
		seen.Proxy.Routes, err = conn.Proxy.Routes(ctx, desired.ProxyServer.Name)
		return unless(err, state.ErrNotFound)
	})
	if err := group.Wait(); err != nil {
		return state.Host{}, err
	}
	for _, image := range seen.Images {
		if slices.Contains(image.Tags, desired.ImageName()+":"+desired.App().LatestTag()) {
			seen.Latest = image.ID
		}
	}
	return seen, nil
}

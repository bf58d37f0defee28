package reconcile

import (
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// lockable gives the hosts whose locks a run takes: every reachable one of the release; of a part of it the first of the primary
// role that can be reached, where everybody meets, and those in scope, whatever a second look may plan there.
func lockable(planned Planned) []release.Host {
	all := reachable(planned)
	scope := planned.Plan.Filter
	if scope.Whole() {
		for _, on := range leavingHosts(planned.Desired, planned.Snapshot) {
			if host, ok := planned.Snapshot.Host(on.Name); ok && host.Unreachable == "" {
				all = append(all, on)
			}
		}
		return all
	}
	primary, _ := planned.Desired.Role(planned.Desired.PrimaryRole)
	meeting := slices.IndexFunc(all, func(h release.Host) bool { return slices.Contains(primary.Hosts, h.Name) })
	var hosts []release.Host
	for i, on := range all {
		concerned := slices.ContainsFunc(planned.Desired.Tenants(), func(r release.Role) bool {
			return scope.Has(on.Name, r.Name) && slices.Contains(r.Places(), on.Name)
		})
		if i == meeting || concerned {
			hosts = append(hosts, on)
		}
	}
	return hosts
}

// within leaves out of a release what is not in scope.
func within(desired release.Release, scope plan.Filter) release.Release {
	roles := slices.Clone(desired.Roles)
	for i, role := range roles {
		roles[i].Hosts = slices.DeleteFunc(slices.Clone(role.Hosts), func(host string) bool { return !scope.Has(host, role.Name) })
	}
	desired.Roles = roles
	desired.Accessories = slices.Clone(desired.Accessories)
	for i, a := range desired.Accessories {
		desired.Accessories[i].Hosts = slices.DeleteFunc(slices.Clone(a.Hosts), func(host string) bool { return !scope.Has(host, state.AccessoryRole(a.Name)) })
	}
	return desired
}

// recordedAs is the release as its record keeps it: with the hosts that it still has to leave.
func recordedAs(planned Planned) release.Release {
	desired := planned.Desired
	desired.Leaving = leavingHosts(desired, planned.Snapshot)
	return desired
}

// recorded is the outcome in the record of a run that failed nowhere.
func recorded(p plan.Plan) state.Outcome {
	if p.Partial {
		return state.OutcomePartial
	}
	return state.OutcomeSucceeded
}

// notePartial keeps what is to be known of a partial release.
func (l *look) notePartial(record state.Record) {
	l.host.Partials = append(l.host.Partials, state.Partial{Number: record.Number, Version: record.Version, Image: record.Image,
		Digest: record.Digest, ImageID: record.ImageID, Who: record.Who})
}

// knownPartial takes a partial release's record from the last look: it is never written again.
func (l *look) knownPartial(number int) bool {
	is := func(p state.Partial) bool { return p.Number == number }
	if slices.ContainsFunc(l.host.Partials, is) {
		return true
	}
	i := slices.IndexFunc(l.old.Partials, is)
	if i >= 0 {
		l.host.Partials = append(l.host.Partials, l.old.Partials[i])
	}
	return i >= 0
}

// pinFromPartials takes the image that a partial release of the version has put on some hosts: the rest of it is to be the same.
func pinFromPartials(desired release.Release, observed state.Snapshot, held *state.Record) (plan.Pin, bool) {
	var newest *state.Partial
	for _, host := range observed.Hosts {
		for i, r := range host.Partials {
			if r.Version == desired.Version && r.Image == desired.Image() && (held == nil || r.Number > held.Number) && (newest == nil || r.Number > newest.Number) {
				newest = &host.Partials[i]
			}
		}
	}
	if newest == nil || newest.Digest == "" && newest.ImageID == "" {
		return plan.Pin{}, false
	}
	return plan.Pin{Digest: newest.Digest, ID: newest.ImageID, From: fmt.Sprintf("partial release %d", newest.Number)}, true
}

// RolesInScope names the roles that hosts and roles, names or globs, are about, and the hosts that have one of them, in the file's order.
// There is at least one.
func RolesInScope(desired release.Release, hosts, roles []string) (plan.Filter, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return plan.Filter{}, err
	}
	var named plan.Filter
	for _, on := range desired.Hosts {
		mine := rolesOn(desired, scope, on.Name)
		if len(mine) > 0 {
			named.Hosts = append(named.Hosts, on.Name)
		}
		for _, role := range mine {
			if !slices.Contains(named.Roles, role) {
				named.Roles = append(named.Roles, role)
			}
		}
	}
	if len(named.Hosts) == 0 {
		return plan.Filter{}, noRole(desired, scope)
	}
	return named, nil
}

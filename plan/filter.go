package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Filter is what a plan is limited to, by names of hosts and roles. An empty list is all of them; the zero value is the whole
// release.
type Filter struct {
	Hosts []string `json:"hosts,omitempty"`
	Roles []string `json:"roles,omitempty"`
	// Except are roles on hosts, as host/role, that are left as they are.
	Except []string `json:"except,omitempty"`
}

// FilterOf resolves patterns (names or globs) against a release. One that matches nothing is an error that names what there is. A
// scope that leaves nothing out is the whole release. except are roles on hosts, as host/role, that are left out of it.
func FilterOf(desired release.Release, hosts, roles []string, except ...string) (Filter, error) {
	s := Filter{Except: except}
	var roleNames []string
	for _, role := range desired.Tenants() {
		roleNames = append(roleNames, role.Name)
	}
	var err error
	if s.Hosts, err = choose("host", hosts, hostNames(desired)); err != nil {
		return Filter{}, err
	}
	if s.Roles, err = choose("role", roles, roleNames); err != nil {
		return Filter{}, err
	}
	some, all := false, true
	for _, role := range desired.Tenants() {
		for _, host := range role.Places() {
			some = some || s.Has(host, role.Name)
			all = all && s.Has(host, role.Name)
		}
	}
	switch {
	case all:
		return Filter{}, nil
	case !some && len(except) > 0:
		return Filter{}, fmt.Errorf("every role of %s is left out", desired.App())
	case !some && len(s.Roles) == 0:
		return Filter{}, fmt.Errorf("no role of %s is on %s", desired.App(), strings.Join(s.Hosts, ", "))
	case !some:
		return Filter{}, fmt.Errorf("no role of %s is on a host of %s: %s", strings.Join(s.Roles, ", "), strings.Join(s.Hosts, ", "), placesOf(desired, s.Roles))
	}
	return s, nil
}

// HostsOf names the hosts of a release that one of the patterns (names or globs) matches, whatever is to run there, in the file's order;
// without a pattern all of them. One that matches nothing is an error that names what there is.
func HostsOf(desired release.Release, patterns []string) ([]string, error) {
	names := hostNames(desired)
	if len(patterns) == 0 {
		return names, nil
	}
	return choose("host", patterns, names)
}

func hostNames(desired release.Release) (names []string) {
	for _, on := range desired.Hosts {
		names = append(names, on.Name)
	}
	return names
}

// placesOf says where roles are.
func placesOf(desired release.Release, roles []string) string {
	var parts []string
	for _, role := range desired.Tenants() {
		if slices.Contains(roles, role.Name) {
			parts = append(parts, role.Name+" is on "+cmp.Or(strings.Join(role.Places(), ", "), "no host"))
		}
	}
	return strings.Join(parts, "; ")
}

// Whole tells whether nothing is left out.
func (s Filter) Whole() bool { return len(s.Hosts) == 0 && len(s.Roles) == 0 && len(s.Except) == 0 }

// Has tells whether a role on a host is within.
func (s Filter) Has(host, role string) bool {
	return s.hasHost(host) && (len(s.Roles) == 0 || slices.Contains(s.Roles, role)) && !slices.Contains(s.Except, host+"/"+role)
}

// Wants tells whether a role or an accessory of a host is within.
func (s Filter) Wants(desired release.Release, host string) bool {
	return slices.ContainsFunc(desired.Tenants(), func(role release.Role) bool {
		return slices.Contains(role.Hosts, host) && s.Has(host, role.Name)
	})
}

// Concerns tells whether something within is to be on a host, or has a container there as the host was seen.
func (s Filter) Concerns(desired release.Release, host state.Host) bool {
	if len(s.Roles) == 0 {
		return s.hasHost(host.Name)
	}
	app := desired.App()
	return s.Wants(desired, host.Name) || slices.ContainsFunc(host.Containers, func(c state.Container) bool {
		return c.Service == app.Service && c.Destination == app.Destination && s.Has(host.Name, c.Role)
	})
}

func (s Filter) hasHost(host string) bool { return len(s.Hosts) == 0 || slices.Contains(s.Hosts, host) }

// String is what a person is told: "hosts a, b; roles c".
func (s Filter) String() string {
	var parts []string
	if len(s.Hosts) > 0 {
		parts = append(parts, "hosts "+strings.Join(s.Hosts, ", "))
	}
	if len(s.Roles) > 0 {
		parts = append(parts, "roles "+strings.Join(s.Roles, ", "))
	}
	if len(s.Except) > 0 {
		parts = append(parts, "all but "+strings.Join(s.Except, ", "))
	}
	return strings.Join(parts, "; ")
}

// choose gives the names that one of the patterns matches, in their own order.
func choose(what string, patterns, names []string) ([]string, error) {
	chosen := map[string]bool{}
	for _, pattern := range patterns {
		found := false
		for _, name := range names {
			matches, err := globs(pattern, name)
			matches = matches || pattern == "*" // of accessories, too, whose names have a slash
			if err != nil {
				return nil, fmt.Errorf("--%ss: %q is not a glob: %w", what, pattern, err)
			}
			found = found || matches
			chosen[name] = chosen[name] || matches
		}
		if !found {
			return nil, fmt.Errorf("--%ss: no %s is named %q; the %ss are %s.%s", what, what, pattern, what, strings.Join(names, ", "), release.DidYouMean(pattern, names))
		}
	}
	if len(patterns) == 0 {
		return nil, nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !chosen[name] }), nil
}

// limit keeps the slots in scope for planning, and the others to know what serves.
func (b *builder) limit() {
	scope := b.in.Options.Filter
	if scope.Whole() {
		return
	}
	all := b.slots
	b.slots = nil
	for _, s := range all {
		if b.known.scope.has(s.host.Name, s.role.Name) {
			b.slots = append(b.slots, s)
		} else {
			b.rest = append(b.rest, s)
		}
	}
}

// checkFilter refuses a partial release that nobody could vouch for, or that could not be kept apart from another run's.
func (b *builder) checkFilter(heals bool) {
	scope := b.in.Options.Filter
	if scope.Whole() || heals || !slices.ContainsFunc(b.slots, (*slot).busy) {
		return
	}
	if slices.ContainsFunc(b.slots, func(s *slot) bool { return s.role.Primary }) || b.primaryServes() {
		return
	}
	b.problem("", b.in.Desired.PrimaryRole, fmt.Sprintf("no host of the primary role is in scope (%s), and none serves %s healthy yet", scope, b.in.Desired.Version),
		"release a host of the primary role first, or take it into the scope")
}

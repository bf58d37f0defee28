package plan

import (
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// lookup answers by one look what would otherwise be searched for in lists as long as the fleet, once for each of its hosts.
type lookup struct {
	hosts     map[string]release.Host
	primary   map[string]bool // hosts of the primary role
	concerned map[string]bool // hosts that have anything in scope
	scope     scopeSet
}

// scopeSet is a filter as sets; nil is all.
type scopeSet struct{ hosts, roles, except map[string]bool }

func (s scopeSet) has(host, role string) bool {
	return (s.hosts == nil || s.hosts[host]) && (s.roles == nil || s.roles[role]) && !(s.except != nil && s.except[host+"/"+role])
}

func lookupOf(in Input) lookup {
	n := lookup{hosts: make(map[string]release.Host, len(in.Desired.Hosts)), primary: map[string]bool{},
		concerned: make(map[string]bool, len(in.Desired.Hosts)), scope: scopeSet{setOf(in.Options.Filter.Hosts), setOf(in.Options.Filter.Roles), setOf(in.Options.Filter.Except)}}
	whole := in.Options.Filter.Whole()
	for _, on := range in.Desired.Hosts {
		n.hosts[on.Name] = on
		if whole {
			n.concerned[on.Name] = true
		}
	}
	for _, accessory := range in.Desired.Accessories {
		for _, host := range accessory.Hosts {
			if !whole && n.scope.has(host, state.AccessoryRole(accessory.Name)) {
				n.concerned[host] = true
			}
		}
	}
	for i := range in.Desired.Roles {
		role := &in.Desired.Roles[i]
		if role.Name == in.Desired.PrimaryRole {
			n.primary = setOf(role.Hosts)
		}
		for _, host := range role.Places() {
			if !whole && n.scope.has(host, role.Name) {
				n.concerned[host] = true
			}
		}
	}
	return n
}

// setOf gives nil for an empty list.
func setOf(list []string) map[string]bool {
	if len(list) == 0 {
		return nil
	}
	set := make(map[string]bool, len(list))
	for _, name := range list {
		set[name] = true
	}
	return set
}

// routeKey is a route of one host.
func routeKey(host, name string) string { return "route/" + host + "/" + name }

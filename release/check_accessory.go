package release

import (
	"fmt"
	"slices"
)

// checkAccessories checks what accessories say of their names and places; compileAccessory sees to the rest.
func (c *compiler) checkAccessories() {
	for _, b := range c.root.children("accessory") {
		c.checkName(b.rng, "accessory", b.label)
		c.checkPlace(b)
		c.checkHosts(b)
		c.checkRoleNames(b.get("roles"))
		c.checkAccessoryName(b.get("service"))
		c.checkShared(b)
		c.checkBehindProxy(b)
	}
}

func (c *compiler) checkAccessoryName(v *value) {
	if v.set() && !v.unknown && !volumeName.MatchString(v.text()) {
		c.errorf(v.rng, "Bad name", "%q cannot name a container: letters, digits, _ . and -, the first a letter or digit.", v.text())
	}
}

// checkPlace holds an accessory to exactly one of hosts, roles and tags. The base may leave it without any where a destination
// gives it some, and a destination may empty it.
func (c *compiler) checkPlace(b *block) {
	given := placesGiven(b)
	switch {
	case c.view.emptied(b):
	case len(given) == 0 && c.placedElsewhere(b):
		if c.view.over != nil {
			c.warnf(b.rng, "Accessory without hosts", "%s has no hosts in destination %q, and other destinations give it some. Where that is meant, say accessory %q { hosts = [] } there.",
				b.title(), c.view.name, b.label)
		}
	case len(given) != 1:
		c.errorf(b.rng, "One place", "%s takes exactly one of hosts, roles and tags%s.", b.title(), found(given))
	}
}

// placesGiven are those of hosts, roles and tags that a role or an accessory has, and not as an empty list.
func placesGiven(b *block) []string {
	var given []string
	for _, name := range []string{"hosts", "roles", "tags"} {
		if v := b.get(name); v.set() && (v.unknown || len(v.list) > 0) {
			given = append(given, name)
		}
	}
	return given
}

// accessoryHosts are the addresses of the hosts that an accessory is on; false when a part is not known.
func (v *view) accessoryHosts(b *block) ([]string, bool) {
	names, known := v.hostsOf(b)
	roles := b.get("roles")
	known = known && roles.isKnown()
	if !v.emptied(b) {
		for _, name := range roles.strings() {
			if role := v.root.find("role", name); role != nil {
				hosts, all := v.hostsOf(role)
				names, known = append(names, hosts...), known && all
			}
		}
	}
	for i, name := range names {
		address := v.root.find("host", name).get("address")
		known = known && address.isKnown()
		names[i] = address.textOr(name)
	}
	return names, known
}

// containerOf is the name of an accessory's container, "" when it is not known. No destination is in it: that is Kamal's form.
func (v *view) containerOf(b *block) string {
	service, own := v.root.get("service"), b.get("service")
	switch {
	case !own.isKnown() || !own.set() && !service.isKnown():
		return ""
	case own.set():
		return own.text()
	}
	return fmt.Sprintf("%s-%s", service.text(), b.label)
}

// checkShared reports an accessory whose container another destination names on the same host: each would take it for its own.
// Both must say that it is shared.
func (c *compiler) checkShared(b *block) {
	mine, known := c.view.accessoryHosts(b)
	container := c.view.containerOf(b)
	if !known || container == "" || !c.view.deployable(c.all) {
		return
	}
	for _, v := range c.all[:slices.Index(c.all, c.view)] {
		if !v.deployable(c.all) {
			continue
		}
		for _, other := range v.root.children("accessory") {
			if v.containerOf(other) != container || b.get("shared").boolOr(false) && other.get("shared").boolOr(false) {
				continue
			}
			theirs, _ := v.accessoryHosts(other)
			for _, host := range mine {
				if slices.Contains(theirs, host) {
					c.sharedBy(b, v, container, host)
					return
				}
			}
		}
	}
}

func (c *compiler) sharedBy(b *block, other *view, container, host string) {
	where := fmt.Sprintf("destination %q", other.name)
	if other.over == nil {
		where = "the file without a destination"
	}
	rng := b.rng
	if own := c.view.own.find("accessory", b.label); own != nil {
		rng = own.rng
	}
	c.errorf(rng, "One container for two", "%s in destination %q is the container %s on host %q, and so it is in %s: one would replace the other's. Give it other hosts there, another service, remove = true, or say shared = true in both.",
		b.title(), c.view.name, container, host, where)
}

// deployable tells whether a view can be released: the base by itself often cannot, where a destination is required or the primary
// role has hosts in destinations only.
func (v *view) deployable(all []*view) bool {
	if v.over != nil || len(all) == 1 {
		return true
	}
	if v.root.get("require_destination").boolOr(false) {
		return false
	}
	roles := v.root.children("role")
	for _, role := range roles {
		if hosts, known := v.hostsOf(role); len(hosts) > 0 || !known {
			return true
		}
	}
	return len(roles) == 0
}

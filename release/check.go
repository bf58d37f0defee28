package release

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// reservedLabels are Kamal's three; kamald.* are kamald's own.
var reservedLabels = []string{"service", "role", "destination"}

func (c *compiler) checkLabels(v *value) {
	for _, name := range v.keys() {
		if slices.Contains(reservedLabels, name) || strings.HasPrefix(name, "kamald.") {
			c.errorf(v.rangeOf(name), "Reserved label", "The label %q is kamald's own: service, role, destination and kamald.* are.", name)
		}
	}
}

// checkVolumes holds volumes to source:target[:mode].
func (c *compiler) checkVolumes(v *value) {
	targets := map[string]bool{}
	for _, item := range v.items() {
		parts := strings.Split(item.s, ":")
		if len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[1], "/") {
			c.errorf(item.rng, "Bad volume", "%q is not source:target[:mode] with an absolute target, such as \"/srv/data:/data:ro\".", item.s)
			continue
		}
		isPath := strings.HasPrefix(parts[0], "/") || strings.HasPrefix(parts[0], "~/") || strings.HasPrefix(parts[0], "./")
		if !isPath && !volumeName.MatchString(parts[0]) {
			c.errorf(item.rng, "Bad volume", "The source %q is neither a path (/…, ~/… or ./…) nor a volume's name.", parts[0])
		}
		if len(parts) == 3 && !volumeMode.MatchString(parts[2]) {
			c.errorf(item.rng, "Bad volume", "%q is not a volume's mode, such as ro, rw or z.", parts[2])
		}
		target := path.Clean(parts[1])
		if targets[target] {
			c.errorf(item.rng, "Target twice", "Another volume is mounted at %s already, and the engine takes one.", target)
		}
		targets[target] = true
	}
}

func (c *compiler) checkPattern(v *value) {
	if !v.set() || v.unknown {
		return
	}
	if _, err := regexp.Compile(v.text()); err != nil {
		c.errorf(v.rng, "Bad pattern", "%s is a regular expression: %v.", v.name, err)
	}
}

// checkRoleNames reports names in a list that are no role's.
func (c *compiler) checkRoleNames(v *value) {
	known := c.root.labels("role")
	for _, item := range v.items() {
		if !slices.Contains(known, item.s) {
			c.errorf(item.rng, "Unknown role", "%s names %q, and there is no such role.%s", v.name, item.s, didYouMean(item.s, known))
		}
	}
}

func (c *compiler) checkRoles() {
	for _, b := range c.roles {
		if c.checkHosts(b) {
			c.checkRoleHosts(b)
		}
		c.checkSingleton(b)
		c.checkReadiness(b)
		c.checkRoleNames(b.get("depends_on"))
		if h := b.child("health"); h != nil && c.proxied(b) {
			c.errorf(h.rng, "Health of a proxied role", "health is for roles without a proxy; %s is checked by proxy { healthcheck { … } }.", b.title())
		}
	}
	c.checkCycles()
	c.checkNameClash()
}

// checkReadiness warns of a role that could not become healthy in time, where its image has no HEALTHCHECK either.
func (c *compiler) checkReadiness(b *block) {
	if c.proxied(b) || b.child("health") != nil || c.rel.ReadinessDelay < c.rel.DeployTimeout {
		return
	}
	rng := b.rng
	for _, name := range []string{"deploy_timeout", "readiness_delay"} {
		if v := c.root.get(name); v.set() {
			rng = v.rng
		}
	}
	c.warnf(rng, "Never ready", "%s has no health check, so it must run for readiness_delay (%s), and deploy_timeout (%s) ends before: without a HEALTHCHECK in its image no release can succeed.",
		b.title(), shortDuration(c.rel.ReadinessDelay), shortDuration(c.rel.DeployTimeout))
}

// checkHosts looks at a list of hosts and tags, a role's or an accessory's; false when a tag selects nothing.
func (c *compiler) checkHosts(b *block) bool {
	seen := map[string]bool{}
	for _, item := range b.get("hosts").items() {
		if seen[item.s] {
			c.errorf(item.rng, "Host listed twice", "%s lists the host %q twice.", b.title(), item.s)
		}
		seen[item.s] = true
		if !isHost(item.s) {
			c.errorf(item.rng, "Bad host name", "%q is not a host's name or address; a user or a port go into host \"…\" { }.", item.s)
		}
	}
	var borne []string
	for _, host := range c.root.children("host") {
		if !host.get("tags").isKnown() {
			return true
		}
		borne = append(borne, host.get("tags").strings()...)
	}
	ok := true
	for _, item := range b.get("tags").items() {
		if !slices.Contains(borne, item.s) {
			ok = false
			c.errorf(item.rng, "Unknown tag", "%s selects hosts with the tag %q, and no host bears it.%s", b.title(), item.s, didYouMean(item.s, borne))
		}
	}
	return ok
}

// checkRoleHosts reports a role that would run nowhere, unless the file says so on purpose: with allow_empty_roles, with an
// empty list in a destination, or by giving it hosts in the destinations only. The primary role always needs hosts.
func (c *compiler) checkRoleHosts(b *block) {
	hosts, known := c.view.hostsOf(b)
	if len(hosts) > 0 || !known || slices.Contains(b.meant, "hosts") || slices.Contains(b.meant, "tags") {
		return
	}
	primary := b.label == c.rel.PrimaryRole
	emptied := c.view.own.find("role", b.label).get("hosts").set() || c.root.get("allow_empty_roles").boolOr(false)
	elsewhere := c.placedElsewhere(b)
	switch {
	case c.view.over != nil && elsewhere && !primary && !emptied:
		c.warnf(b.rng, "Role without hosts", "%s has no hosts in destination %q, and other destinations give it some. Where that is meant, say role %q { hosts = [] } there.",
			b.title(), c.view.name, b.label)
	case c.view.over == nil && elsewhere && (c.lenient || c.opts.Destination != "" || !primary):
	case c.view.over == nil && elsewhere:
		c.errorf(b.rng, "Destination required", "%s has hosts in destinations only: give -d with one of %s.", b.title(), destinationNames(c.all[1:]))
	case primary:
		c.errorf(b.rng, "Role without hosts", "%s is the primary role and has no hosts; it always needs some: hosts = [\"…\"].", b.title())
	case !emptied:
		c.errorf(b.rng, "Role without hosts", "%s has no hosts: give it hosts = [\"…\"] or tags, or set allow_empty_roles = true.", b.title())
	}
}

// placedElsewhere tells whether another destination gives a role or an accessory a place.
func (c *compiler) placedElsewhere(b *block) bool {
	return slices.ContainsFunc(c.all, func(v *view) bool {
		there := v.root.find(b.spec.name, b.label)
		return v.over != nil && v != c.view && there != nil && !v.emptied(there) && len(placesGiven(there)) > 0
	})
}

// checkCycles reports roles that wait for each other.
func (c *compiler) checkCycles() {
	done := map[string]bool{}
	var walk func(name string, path []string)
	walk = func(name string, path []string) {
		if i := slices.Index(path, name); i >= 0 {
			v := c.root.find("role", path[len(path)-1]).get("depends_on")
			c.errorf(v.rng, "Roles in a circle", "These roles wait for each other: %s.", strings.Join(append(path[i:], name), " → "))
			return
		}
		if done[name] {
			return
		}
		for _, next := range c.root.find("role", name).get("depends_on").strings() {
			walk(next, append(slices.Clone(path), name))
		}
		done[name] = true
	}
	for _, b := range c.roles {
		walk(b.label, nil)
	}
}

// checkNameClash reports a role of the base whose containers would be named as those of another role in a destination:
// role "web-eu" without a destination and role "web" in destination "eu" are both <service>-web-eu.
func (c *compiler) checkNameClash() {
	if c.view.over == nil {
		return
	}
	for _, b := range c.roles {
		if other := c.all[0].root.find("role", b.label+"-"+c.view.name); other != nil {
			c.errorf(other.rng, "Names clash", "%s would have the same container names as %s in destination %q.", other.title(), b.title(), c.view.name)
		}
	}
}

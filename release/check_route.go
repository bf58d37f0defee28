package release

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// claimant is a role or an accessory that the proxy sends requests to, with the block that says so.
type claimant struct {
	Role
	own   *block // the role's or the accessory's
	proxy *block // its proxy block, laid over the root's; nil when neither is there
}

// claimants are in the file's order, the roles first.
func (c *compiler) claimants() (list []claimant) {
	blocks := append(slices.Clone(c.roles), c.root.children("accessory")...)
	for i, role := range c.rel.Tenants() {
		if role.Proxy != nil {
			list = append(list, claimant{role, blocks[i], c.proxyOf(blocks[i])})
		}
	}
	return list
}

// checkRoutes reports two on one host that claim the same proxy host and path prefix.
func (c *compiler) checkRoutes() {
	type claim struct{ host, name, prefix string }
	claims := map[claim]claimant{}
	for _, one := range c.claimants() {
		if !one.proxy.get("hosts").isKnown() || !one.proxy.get("path_prefixes").isKnown() {
			continue
		}
		names := one.Proxy.Options.Hosts
		if len(names) == 0 {
			names = []string{""}
		}
		for _, host := range one.Hosts {
			for _, name := range names {
				for _, prefix := range one.Proxy.Options.PathPrefixes {
					key := claim{host, name, prefix}
					if other, taken := claims[key]; taken && other.Name != one.Name {
						c.errorf(c.claimRange(one.own), "Route claimed twice", "%s and %s both claim %s on host %q; give one of them other proxy hosts or path_prefixes, or proxied = false.",
							other.own.title(), one.own.title(), routeText(name, prefix), host)
					}
					claims[key] = one
				}
			}
		}
	}
}

func routeText(name, prefix string) string {
	if name == "" {
		return fmt.Sprintf("path %q of any name", prefix)
	}
	return fmt.Sprintf("%q, path %q", name, prefix)
}

// claimRange is the best place to point at for a route: the proxy hosts of its own, its proxy block, what made it proxied.
func (c *compiler) claimRange(b *block) hcl.Range {
	own := b.child("proxy")
	switch {
	case own.get("hosts").set():
		return own.get("hosts").rng
	case own != nil:
		return own.rng
	case b.get("proxied").set():
		return b.get("proxied").rng
	}
	return b.rng
}

// checkBehindProxy finds what an accessory says of the proxy and cannot be, or was surely not meant.
func (c *compiler) checkBehindProxy(b *block) {
	own, proxied := b.child("proxy"), b.get("proxied")
	if own != nil && !proxied.set() {
		c.errorf(own.rng, "Not proxied", "%s has a proxy block, and without proxied = true the proxy sends it nothing: say that, or proxied = false where it is meant for a destination.", b.title())
	}
	if !proxied.boolOr(false) {
		return
	}
	hosts := c.root.child("proxy").get("hosts")
	if own.get("hosts") == nil && own.get("path_prefixes") == nil && len(hosts.strings()) > 0 {
		c.errorf(c.claimRange(b), "Host needed", "%s would answer for %s, which is the app's: give it names of its own, proxy { hosts = [\"%s.example.com\"] }, or path_prefixes.",
			b.title(), listed(hosts.strings()), b.label)
	}
	if v := b.get("network"); v.set() && v.isKnown() && c.root.get("network").isKnown() && v.text() != c.rel.Network {
		c.errorf(v.rng, "Another network", "The proxy is on the network %q and finds nobody on %q: leave network out, or proxied.", c.rel.Network, v.text())
	}
	if v := c.proxyOf(b).get("certificate"); v.set() && b.get("shared").boolOr(false) {
		c.errorf(b.get("shared").rng, "Certificate of one destination", "%s is shared, and a certificate lies with the files of one destination: each would name another for the route.", b.title())
	}
	c.checkRouteName(b)
}

// checkRouteName reports a role whose route has the name of the accessory's, which is its container's.
func (c *compiler) checkRouteName(b *block) {
	container := c.view.containerOf(b)
	for _, v := range c.all {
		app := c.rel.App()
		app.Destination = v.name
		for _, role := range v.root.children("role") {
			if container == app.RouteName(role.label) {
				c.errorf(b.rng, "Names clash", "%s is the proxy's route %q by its container's name, and so is %s%s: give the accessory another service.",
					b.title(), container, role.title(), inDestination(v.name))
				return
			}
		}
	}
}

func inDestination(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in destination %q", name)
}

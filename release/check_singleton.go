package release

import "strings"

// checkSingleton warns of a singleton that lists several hosts: it has one container over all of them.
func (c *compiler) checkSingleton(b *block) {
	hosts, known := c.view.hostsOf(b)
	if !known || len(hosts) < 2 || !b.get("singleton").boolOr(false) {
		return
	}
	rng := b.rng
	if v := b.get("hosts"); v.set() {
		rng = v.rng
	}
	c.warnf(rng, "Singleton on several hosts", "%s is a singleton and runs on its first host only, %s. It has no container on %s: one that is there is stopped and removed with the next apply.",
		b.title(), hosts[0], strings.Join(hosts[1:], ", "))
}

package release

import (
	"slices"
	"strings"
)

// checkAccessories checks what accessories say; running them is not built yet, and that is said elsewhere.
func (c *compiler) checkAccessories() {
	for _, b := range c.root.children("accessory") {
		c.checkName(b.rng, "accessory", b.label)
		var given []string
		for _, name := range []string{"hosts", "roles", "tags"} {
			if v := b.get(name); v.set() && (v.unknown || len(v.list) > 0) {
				given = append(given, name)
			}
		}
		if len(given) > 1 || len(given) == 0 && !c.accessoryElsewhere(b) {
			c.errorf(b.rng, "One place", "%s takes exactly one of hosts, roles and tags%s.", b.title(), found(given))
		}
		c.checkHosts(b)
		c.checkRoleNames(b.get("roles"))
		env := c.compileEnv(b.child("env"))
		c.compileHealth(b)
		c.checkSignal(b.child("stop").get("signal"))
		c.checkLabels(b.get("labels"))
		c.checkVolumes(b.get("volumes"))
		c.mergeOptions(b, c.compileOptions(b.get("options"), b.title()), optionTarget{restart: new(string), labels: &map[string]string{},
			env: &env, volumes: &[]string{}, logging: &Logging{}, stop: &Stop{}})
		for _, name := range []string{"file", "directory"} {
			for _, placed := range b.children(name) {
				if v := placed.get("to"); v.set() && !v.unknown && !strings.HasPrefix(v.text(), "/") {
					c.errorf(v.rng, "Bad path", "to is an absolute path in the container, not %q.", v.text())
				}
			}
		}
	}
}

// accessoryElsewhere tells whether the base may leave an accessory without hosts, because a destination gives it some; a
// destination may empty it.
func (c *compiler) accessoryElsewhere(b *block) bool {
	own := c.view.own.find("accessory", b.label)
	return own.get("hosts").set() || c.view.over == nil && slices.ContainsFunc(c.all, func(v *view) bool {
		there := v.root.find("accessory", b.label)
		return v.over != nil && (there.get("hosts").set() || there.get("roles").set() || there.get("tags").set())
	})
}

// checkHooks checks what hooks say; running them is not built yet, and that is said elsewhere.
func (c *compiler) checkHooks() {
	known := c.root.labels("role")
	for _, b := range c.root.children("hook") {
		if v := b.get("role"); v.set() && !v.unknown && !slices.Contains(known, v.text()) {
			c.errorf(v.rng, "Unknown role", "%s names the role %q, and there is no such role.%s", b.title(), v.text(), didYouMean(v.text(), known))
		}
	}
}

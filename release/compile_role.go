package release

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	defaultLogDriver  = "json-file"
	defaultLogMaxSize = "10m"

	defaultHealthInterval = time.Second
	defaultHealthTimeout  = 5 * time.Second
	defaultMinHealthyTime = time.Duration(0)
)

// compileRoles makes the roles, the primary one first.
func (c *compiler) compileRoles() {
	c.rel.Roles = []Role{}
	c.roles = c.root.children("role")
	names := c.root.labels("role")
	v := c.root.get("primary_role")
	switch {
	case len(names) == 0:
		if len(c.root.children("accessory")) == 0 && !slices.Contains(c.root.meant, "role") {
			c.errorf(c.root.rng, "No roles", "The file has no role, so nothing would run: write role \"web\" { hosts = [\"…\"] }.")
		}
		return
	case v.set() && !v.unknown:
		c.rel.PrimaryRole = v.text()
		if !slices.Contains(names, c.rel.PrimaryRole) {
			c.errorf(v.rng, "Unknown role", "primary_role names %q, and there is no such role.%s", v.text(), didYouMean(v.text(), names))
		}
	case slices.Contains(names, defaultRole):
		c.rel.PrimaryRole = defaultRole
	default:
		c.rel.PrimaryRole = names[0]
	}
	slices.SortStableFunc(c.roles, func(a, b *block) int {
		return rank(a.label == c.rel.PrimaryRole) - rank(b.label == c.rel.PrimaryRole)
	})
	for _, b := range c.roles {
		c.rel.Roles = append(c.rel.Roles, c.compileRole(b))
	}
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

func (c *compiler) compileRole(b *block) Role {
	c.checkName(b.rng, "role", b.label)
	hosts, _ := c.view.hostsOf(b)
	role := Role{Name: b.label, Primary: b.label == c.rel.PrimaryRole, Hosts: hosts, Cmd: b.get("cmd").strings(),
		Singleton: b.get("singleton").boolOr(false), DependsOn: b.get("depends_on").strings(), Health: c.compileHealth(b)}
	role.Env, role.Remove = c.roleEnv(b)
	role.Labels = c.mergeLabels(c.root.get("labels"), b.get("labels"))
	role.Volumes = c.root.get("volumes").strings()
	if v := b.get("volumes"); v.set() {
		role.Volumes = v.strings()
		c.checkVolumes(v)
	}
	options := c.compileOptions(b.get("options"), b.title())
	role.Options, role.Restart = options.kept, defaultRestart
	role.Logging = compileLogging(overlay(c.root.child("logging"), b.child("logging")))
	if c.proxied(b) {
		role.Proxy = c.compileProxy(b)
	}
	role.Stop = c.compileStop(b, role.Proxy != nil)
	role.Assets = c.compileAssets(b, role.Proxy != nil)
	c.mergeOptions(b, options, optionTarget{restart: &role.Restart, labels: &role.Labels, env: &role.Env, volumes: &role.Volumes,
		logging: &role.Logging, stop: &role.Stop})
	return role
}

// proxied is what a role says, else: the primary role is, and so is one with a proxy block of its own.
func (c *compiler) proxied(b *block) bool {
	return b.get("proxied").boolOr(b.label == c.rel.PrimaryRole || b.child("proxy") != nil)
}

// hostsOf resolves a role's or accessory's hosts: those that it lists, then those that bear one of its tags, in file order.
// With host blocks of the destination's own, tags select among those only, and an empty list there empties it, tags or not. The
// second result is false when a part is unknown.
func (v *view) hostsOf(b *block) ([]string, bool) {
	list, tags := b.get("hosts"), b.get("tags")
	known := list.isKnown() && tags.isKnown()
	hosts := []string{}
	if v.emptied(b) {
		return hosts, known
	}
	for _, name := range list.strings() {
		if !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	wanted := tags.strings()
	own := v.ownHosts()
	for _, host := range v.root.children("host") {
		if len(wanted) == 0 || len(own) > 0 && !slices.Contains(own, host.label) {
			continue
		}
		known = known && host.get("tags").isKnown()
		matches := slices.ContainsFunc(host.get("tags").strings(), func(tag string) bool { return slices.Contains(wanted, tag) })
		if matches && !slices.Contains(hosts, host.label) {
			hosts = append(hosts, host.label)
		}
	}
	return hosts, known
}

// emptied tells whether the destination says hosts = [] of a role or accessory, and selects none by tags.
func (v *view) emptied(b *block) bool {
	own := v.own.find(b.spec.name, b.label)
	hosts := own.get("hosts")
	return hosts.set() && hosts.isKnown() && len(hosts.list) == 0 && !own.get("tags").set() && !own.get("roles").set()
}

// ownHosts are the labels of the destination's own host blocks, without those that only take one of the base's away.
func (v *view) ownHosts() []string {
	var labels []string
	for _, b := range v.own.children("host") {
		if !b.removed() {
			labels = append(labels, b.label)
		}
	}
	return labels
}

// compileStop prefers the role's own grace to stop_timeout, and that to the defaults: drain_timeout for a role without a
// proxy, which nobody drains.
func (c *compiler) compileStop(b *block, proxied bool) Stop {
	stop := b.child("stop")
	grace := defaultStopTimeout
	if !proxied {
		grace = c.rel.DrainTimeout
	}
	grace = c.root.get("stop_timeout").durationOr(grace)
	c.checkSignal(stop.get("signal"))
	return Stop{Signal: stop.get("signal").text(), Grace: stop.get("grace").durationOr(grace)}
}

func (c *compiler) checkSignal(v *value) {
	if v.set() && !v.unknown && !isSignal(v.text()) {
		c.errorf(v.rng, "Bad signal", "%q is not a signal, such as \"TERM\" or \"QUIT\".%s", v.text(), meantSignal(v.text()))
	}
}

// compileHealth reads a health block; nil when there is none.
func (c *compiler) compileHealth(b *block) *Health {
	h := b.child("health")
	if h == nil {
		return nil
	}
	var given []string
	for _, name := range []string{"exec", "http", "tcp", "log"} {
		if h.get(name).set() {
			given = append(given, name)
		}
	}
	if len(given) != 1 {
		c.errorf(h.rng, "One check", "health takes exactly one of exec, http, tcp and log%s.", found(given))
	}
	if v := h.get("http"); v.set() && !v.unknown && !httpCheck.MatchString(v.text()) {
		c.errorf(v.rng, "Bad check", "http is [host]:port/path, such as \":9000/up\", not %q.", v.text())
	}
	if v := h.get("exec"); v.set() && v.isKnown() && strings.Join(v.strings(), "") == "" {
		c.errorf(v.rng, "Bad check", "exec is a command in the container that succeeds, and this is none.")
	}
	c.checkPattern(h.get("log"))
	if v := h.get("min_healthy_time"); v.set() && v.isKnown() && v.duration >= c.rel.DeployTimeout {
		c.errorf(v.rng, "Never healthy", "It would have to stay healthy for %s, and deploy_timeout is %s: no release could succeed.", shortDuration(v.duration), shortDuration(c.rel.DeployTimeout))
	}
	return &Health{Exec: h.get("exec").strings(), HTTP: h.get("http").text(), TCP: h.get("tcp").intOr(0), Log: h.get("log").text(),
		Interval:       h.get("interval").durationOr(defaultHealthInterval),
		Timeout:        h.get("timeout").durationOr(defaultHealthTimeout),
		MinHealthyTime: h.get("min_healthy_time").durationOr(defaultMinHealthyTime)}
}

func found(given []string) string {
	if len(given) == 0 {
		return "; none of them is here"
	}
	return "; here are " + strings.Join(given, ", ")
}

// compileLogging fills in docker's rotation where nothing else is said.
func compileLogging(b *block) Logging {
	logging := Logging{Driver: b.get("driver").textOr(defaultLogDriver), Options: b.get("options").stringMap()}
	if logging.Driver == defaultLogDriver && !b.get("options").set() {
		logging.Options = map[string]string{"max-size": defaultLogMaxSize}
	}
	return logging
}

// mergeLabels lays the role's labels over the root's; nil when there are none.
func (c *compiler) mergeLabels(root, own *value) map[string]string {
	c.checkLabels(own)
	merged := maps.Clone(root.stringMap())
	if merged == nil {
		return own.stringMap()
	}
	maps.Copy(merged, own.stringMap())
	return merged
}

package release

import (
	"maps"
	"slices"
)

// Resolve loads a release as Load does, and gives it as a deploy.hcl besides: one destination, every expression evaluated, each
// role with all that it gets, every setting written out and the defaults marked as such. Secrets are in it as references. The text
// is meaningful only when the diagnostics have no errors.
func Resolve(path string, opts Options) (Release, []byte, Diagnostics) {
	l := newLoader(path, opts)
	chosen := l.load()
	diags := l.result()
	if chosen == nil {
		return Release{}, nil, diags
	}
	if diags.HasErrors() {
		return chosen.rel, nil, diags
	}
	return chosen.rel, writeBlock(chosen.resolved()), diags
}

// resolved is the file as it came to be: what roles get from the root stands in the roles, and no longer at the root.
func (c *compiler) resolved() *block {
	root := c.root.copy()
	for _, name := range []string{"labels", "volumes", "stop_timeout"} {
		if name != "stop_timeout" || len(c.rel.Accessories) == 0 { // accessories are not resolved
			delete(root.attrs, name)
		}
	}
	root.blocks = slices.DeleteFunc(root.blocks, func(b *block) bool {
		_, used := c.rel.Host(b.label)
		return b.spec.name == "version_policy" && c.rel.Version != "" || slices.Contains([]string{"env", "role"}, b.spec.name) || b.spec.name == "host" && !used ||
			slices.Contains([]string{"proxy", "logging"}, b.spec.name) && len(c.root.children("accessory")) == 0
	})
	root.put("version", c.rel.Version != "", &value{one: text{s: c.rel.Version}, derived: !root.get("version").set() && c.opts.Version == ""})
	root.putDefault("primary_role", c.rel.PrimaryRole != "", &value{one: text{s: c.rel.PrimaryRole}})
	for _, name := range []string{"ssh", "rollout", "secrets", "reconcile"} {
		root.ensure(name)
	}
	root.child("secrets").putDefault("files", true, listOf(c.rel.SecretFiles))
	if slices.ContainsFunc(c.rel.Roles, func(r Role) bool { return len(r.Hosts) == 0 }) {
		root.put("allow_empty_roles", true, &value{flag: true}) // a destination emptied it
	}
	for i, role := range c.rel.Roles {
		root.blocks = append(root.blocks, c.resolvedRole(c.roles[i], role))
	}
	return root
}

func (c *compiler) resolvedRole(b *block, role Role) *block {
	out := b.copy()
	delete(out.attrs, "tags")
	out.put("hosts", true, listOf(role.Hosts))
	out.putDefault("proxied", true, &value{flag: role.Proxy != nil})
	out.put("labels", len(role.Labels) > 0, mapOf(role.Labels))
	out.put("volumes", len(role.Volumes) > 0, listOf(role.Volumes))
	out.blocks = slices.DeleteFunc(out.blocks, func(b *block) bool { return slices.Contains([]string{"env", "logging", "proxy"}, b.spec.name) })
	if len(role.Env.Clear)+len(role.Env.FromHost)+len(role.Env.Secrets)+len(role.Remove) > 0 {
		out.blocks = append(out.blocks, c.resolvedEnv(b, role))
	}
	logging := overlay(c.root.child("logging"), b.child("logging"))
	if logging == nil {
		logging = &block{spec: b.spec.block("logging"), attrs: map[string]*value{}}
	}
	logging.putDefault("options", len(role.Logging.Options) > 0, mapOf(role.Logging.Options))
	out.blocks = append(out.blocks, logging)
	out.ensure("stop")
	grace := &value{duration: role.Stop.Grace}
	if c.root.get("stop_timeout").set() {
		out.child("stop").put("grace", true, grace)
	} else {
		out.child("stop").putDefault("grace", true, grace)
	}
	if role.Proxy != nil {
		out.blocks = append(out.blocks, resolvedProxy(c.proxyOf(b), b.spec.block("proxy"), role.Proxy))
	}
	return out
}

// resolvedEnv is all that the role gets but for what tags bring.
func (c *compiler) resolvedEnv(b *block, role Role) *block {
	env := &block{spec: b.spec.block("env"), attrs: map[string]*value{}}
	clear := mapOf(nil)
	for _, from := range []*block{c.root.child("env"), b.child("env")} {
		for _, name := range from.get("clear").keys() {
			_, open := role.Env.Clear[name]
			_, fromHost := role.Env.FromHost[name]
			if open || fromHost {
				clear.dict[name] = from.get("clear").dict[name]
			}
		}
	}
	var secrets []string
	for _, name := range slices.Sorted(maps.Keys(role.Env.Secrets)) {
		if secret := role.Env.Secrets[name]; secret != name {
			name += ":" + secret
		}
		secrets = append(secrets, name)
	}
	env.put("clear", len(clear.dict) > 0, clear)
	env.put("secret", len(secrets) > 0, listOf(secrets))
	env.put("remove", len(role.Remove) > 0, listOf(role.Remove))
	return env
}

func resolvedProxy(proxy *block, spec *blockSpec, from *Proxy) *block {
	if proxy == nil {
		proxy = &block{spec: spec, attrs: map[string]*value{}}
	}
	for _, child := range []string{"healthcheck", "buffering", "logging"} {
		proxy.ensure(child)
	}
	proxy.putDefault("forward_headers", true, &value{flag: from.Options.ForwardHeaders})
	return proxy
}

// put sets an attribute to what the file says in all, or takes it away when that is nothing.
func (b *block) put(name string, when bool, v *value) {
	delete(b.attrs, name)
	if when {
		v.name = name
		b.attrs[name] = v
	}
}

// putDefault sets an attribute to what holds, and marks it as a default when the block itself does not say it.
func (b *block) putDefault(name string, when bool, v *value) {
	v.derived = !b.get(name).set()
	b.put(name, when, v)
}

// ensure adds a block that is there by its defaults.
func (b *block) ensure(name string) {
	if b.child(name) == nil {
		b.blocks = append(b.blocks, &block{spec: b.spec.block(name), attrs: map[string]*value{}})
	}
}

func listOf(items []string) *value {
	v := &value{list: []text{}}
	for _, item := range items {
		v.list = append(v.list, text{s: item})
	}
	return v
}

func mapOf(entries map[string]string) *value {
	v := &value{dict: map[string][]text{}}
	for name, entry := range entries {
		v.dict[name] = []text{{s: entry}}
	}
	return v
}

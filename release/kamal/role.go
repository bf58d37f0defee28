package kamal

// roles writes a block for each role, in the file's order.
func (t *translation) roles(p place, hosts map[string]*value) {
	servers := p.at("servers")
	for _, name := range t.roleNames(p) {
		b := t.root.child("role", name)
		role := servers
		if servers.mapping() {
			role = servers.at(name)
		}
		t.comments(t.root, b, role)
		if role.key != nil && servers.mapping() {
			t.asRubyReads(place{node: role.key, key: role.key, path: role.path})
		}
		if list := hosts[name]; list != nil {
			f := b.set("hosts", list)
			f.origin = role.origin()
			if own := role.at("hosts"); own.there() {
				t.put(b, "hosts", list, own)
			}
		}
		if !role.mapping() && hosts[name] != nil {
			t.translated(role, b.path+".hosts")
		}
		if role.mapping() {
			t.opened[role.node] = true
			t.role(b, role, name)
		}
	}
}

func (t *translation) role(b *block, p place, name string) {
	if len(p.entries()) == 0 {
		t.translated(p, b.path)
	}
	t.roleProxy(b, p)
	if t.routedAlone(p) {
		t.route(b, p.at("labels"))
	}
	t.text(b, "cmd", p.at("cmd"))
	t.options(b, p.at("options"), "role")
	t.labels(b, p.at("labels"))
	t.given(b, "asset_path", p.at("asset_path"))
	t.roleEnv(b, p.at("env"))
	t.oldHealth(b, p.at("healthcheck"), name)
	if stop := p.at("stop_timeout"); stop.there() {
		t.number(b.child("stop", ""), "grace", seconds, stop)
	}
	t.logging(b, p.at("logging"))
}

func (t *translation) roleEnv(b *block, p place) {
	if tags := p.at("tags"); tags.there() && longForm(p) {
		t.drop(tags, "tags stand in the root's env alone")
	}
	t.env(b, p)
}

// roleProxy says whether the role is proxied, and how.
func (t *translation) roleProxy(b *block, p place) {
	proxy, old := p.at("proxy"), p.at("traefik")
	switch {
	case proxy.mapping():
		t.proxy(b, proxy)
		if f := b.find("proxy", ""); len(f.block.fields) == 0 {
			b.set("proxied", raw("true")).origin = proxy.origin()
			b.remove(f)
		}
	default:
		t.boolean(b, "proxied", proxy)
	}
	if old.there() && !proxy.there() {
		t.boolean(b, "proxied", old)
		return
	}
	t.drop(old, "proxy says it")
}

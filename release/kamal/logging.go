package kamal

// logging translates a log driver and its options.
func (t *translation) logging(parent *block, p place) {
	if !t.open(p) {
		return
	}
	b := parent.child("logging", "")
	t.comments(parent, b, p)
	t.text(b, "driver", p.at("driver"))
	t.texts(b, "options", p.at("options"))
	driver := b.find("driver", "")
	if parent.name == "" && driver != nil && driver.value.source == `"json-file"` && b.find("options", "") == nil {
		b.set("options", &value{kind: dictValue})
		t.changed(p, "options = {}", "Kamal rotates no logs where a driver is named; kamald would rotate at 10m")
	}
}

// boot translates how a release goes over the hosts.
func (t *translation) boot(p place) {
	if !t.open(p) {
		return
	}
	b := t.root.child("rollout", "")
	t.comments(t.root, b, p)
	limit := p.at("limit")
	if limit.scalar() && !limit.open() && plainNumber.MatchString(limit.text()) {
		t.number(b, "limit", plain, limit)
	} else if t.text(b, "limit", limit) && len(t.source.at("accessories").entries()) > 0 {
		t.changed(limit, "a share of the release's hosts", "Kamal counts the hosts of accessories too")
	}
	t.number(b, "wait", seconds, p.at("wait"))
	if p.at("wait").there() {
		t.changed(p.at("wait"), "waits between groups", "Kamal also waits after the last one")
	}
	t.boolean(b, "parallel_roles", p.at("parallel_roles"))
}

// sideBySide says what differs where a host has several roles and nothing is said of how they start.
func (t *translation) sideBySide(p place) {
	if p.at("boot").at("parallel_roles").there() {
		return
	}
	seen := map[string]bool{}
	for _, f := range t.root.fields {
		if f.block == nil || f.name != "role" {
			continue
		}
		for _, host := range f.block.texts("hosts") {
			if seen[host] {
				t.changed(p.at("servers"), "roles on one host start side by side",
					"Kamal starts them one after another where nothing is said; so does rollout { parallel_roles = false }")
				return
			}
			seen[host] = true
		}
	}
}

// output translates where Kamal keeps its own logs.
func (t *translation) output(p place) {
	if !t.open(p) {
		return
	}
	b := t.root.child("output", "")
	t.comments(t.root, b, p)
	for _, kind := range []struct{ name, key string }{{"file", "path"}, {"otel", "endpoint"}} {
		if of := p.at(kind.name); t.open(of) {
			t.text(b, kind.name, of.at(kind.key))
		}
	}
}

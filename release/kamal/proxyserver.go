package kamal

// What Kamal 2.12 runs where nothing else is said.
const (
	proxyRepository = "basecamp/kamal-proxy"
	proxyVersion    = "v0.9.2"
)

// proxyServer translates what Kamal says of the proxy's own container (proxy.run), at the root and at roles. There is one proxy
// a host, so they have to agree.
func (t *translation) proxyServer(p place) {
	b := t.root.child("proxy_server", "")
	if t.oldRun != nil {
		b.fields = t.oldRun.fields
	}
	if len(t.runs) == 0 {
		return
	}
	for _, run := range t.runs {
		made := &block{name: b.name, path: b.path}
		t.run(made, run)
		for _, f := range made.fields {
			old := b.find(f.name, "")
			if old != nil && old.value != nil && !old.value.equal(f.value) {
				t.report(run.at(f.name), Todo, "the first is taken", "there is one proxy a host, and two places ask for different ones")
				continue
			}
			if old == nil {
				b.fields = append(b.fields, f)
			}
		}
	}
	t.comments(t.root, b, t.runs[0])
	if len(b.fields) > 0 && b.find("image", "") == nil {
		f := b.set("image", raw(quote(proxyRepository+":"+proxyVersion)))
		f.behind = "Kamal's; kamald's own is kamald/proxy"
		b.fields = append([]*field{f}, b.fields[:len(b.fields)-1]...)
		t.changed(t.runs[0], "image = "+quote(proxyRepository+":"+proxyVersion), "written out, so that the proxy that runs is not exchanged")
	}
}

func (t *translation) run(b *block, p place) {
	t.proxyImage(b, p)
	t.number(b, "http_port", plain, p.at("http_port"))
	t.number(b, "https_port", plain, p.at("https_port"))
	t.number(b, "metrics_port", plain, p.at("metrics_port"))
	t.list(b, "bind", p.at("bind_ips"))
	t.boolean(b, "publish", p.at("publish"))
	t.text(b, "log_max_size", p.at("log_max_size"))
	t.boolean(b, "debug", p.at("debug"))
	t.options(b, p.at("options"), "proxy_server")
}

// proxyImage puts registry, repository and version together.
func (t *translation) proxyImage(b *block, p place) {
	registry, repository, version := p.at("registry"), p.at("repository"), p.at("version")
	name, tag := quote(proxyRepository), quote(proxyVersion)
	given := false
	for _, part := range []struct {
		place place
		into  *string
	}{{repository, &name}, {version, &tag}} {
		if v := t.scalar(b, part.place); v != nil {
			*part.into, given = v.source, true
			t.translated(part.place, join(b.path, "image"))
		}
	}
	server := t.scalar(b, registry)
	image := inner(name) + ":" + inner(tag)
	if server != nil {
		t.translated(registry, join(b.path, "image"))
		image, given = inner(server.source)+"/"+image, true
	}
	if given {
		b.set("image", raw(`"`+image+`"`)).origin = p.origin()
	}
}

// inner is a scalar's source as a part of a text.
func inner(source string) string {
	if len(source) > 1 && source[0] == '"' {
		return source[1 : len(source)-1]
	}
	return "${" + source + "}"
}

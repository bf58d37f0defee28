package kamal

import (
	"strings"
)

// translate makes the document. What became of each key is in lines.
func (t *translation) translate() {
	p := t.source
	t.opened[p.node] = true
	for _, e := range p.entries() {
		if strings.HasPrefix(e.name(), "x-") {
			t.mark(e.node) // Kamal ignores it: it holds anchors, and what they name is there where it is used
		}
	}
	t.frame(p)
	t.registry(p.at("registry"))
	t.builder(p.at("builder"))
	t.secretFiles(p.at("secrets_path"))
	t.ssh(p.at("ssh"), p.at("sshkit"))
	hosts := t.hosts(p)
	t.rootEnv(p)
	t.proxy(t.root, p.at("proxy"))
	t.oldProxy(p)
	t.roles(p, hosts)
	t.logging(t.root, p.at("logging"))
	t.boot(p.at("boot"))
	t.sideBySide(p)
	t.hooks(p)
	t.accessories(p.at("accessories"))
	t.proxyServer(p)
	t.output(p.at("output"))
	t.aliases(p.at("aliases"))
	t.rest(p)
}

// finish ends the document. own tells that secrets of the source's are in a file of kamald's.
func (t *translation) finish(own bool) {
	t.nameSecretFiles(own)
	t.root.prune()
	t.leftComments()
	t.root.order()
	each(t.root, func(f *field) {
		for _, lines := range [][]string{f.head, f.foot, f.note} {
			for n, line := range lines {
				lines[n] = t.ledger.maskedComment(line)
			}
		}
		f.behind = t.ledger.maskedComment(f.behind)
	})
}

// frame translates the root's own keys.
func (t *translation) frame(p place) {
	b := t.root
	t.needed(b, "service", p.at("service"), "KAMAL_SERVICE")
	t.image(p)
	t.primaryRole(p)
	t.boolean(b, "allow_empty_roles", p.at("allow_empty_roles"))
	t.boolean(b, "require_destination", p.at("require_destination"))
	t.number(b, "retain_containers", plain, p.at("retain_containers"))
	t.number(b, "deploy_timeout", seconds, p.at("deploy_timeout"))
	t.number(b, "readiness_delay", seconds, p.at("readiness_delay"))
	t.number(b, "drain_timeout", seconds, p.at("drain_timeout"))
	t.waitTime(p)
	t.number(b, "stop_timeout", seconds, p.at("stop_timeout"))
	t.given(b, "asset_path", p.at("asset_path"))
	t.given(b, "error_pages_path", p.at("error_pages_path"))
	t.labels(b, p.at("labels"))
	t.volumes(b, p.at("volumes"))

	t.drop(p.at("minimum_version"), "it is a version of Kamal's; kamald's own minimum_version is about kamald")
	t.drop(p.at("run_directory"), "Kamal 2 takes it and ignores it: what it writes lies in .kamal, and kamald's does too")
	t.oldRoot(p)
}

// needed sets an attribute that the file cannot do without. What Ruby alone can tell is read from the environment, under a name
// that says so, and is for a person to fill in.
func (t *translation) needed(b *block, name string, p place, variable string) {
	if t.lost(p) {
		x := t.placeholder(p, variable, onlyRuby)
		b.set(name, raw(x.source)).origin = p.origin()
		return
	}
	if !p.scalar() {
		if p.there() {
			t.drop(p, "Kamal takes a text here, not "+kindName(p.node))
		}
		return
	}
	x := source(p, true).single("a text")
	if x.why != "" {
		x = t.placeholder(p, variable, x.why)
	}
	t.asRubyReads(p)
	t.sayDifferent(p, x)
	t.put(b, name, raw(x.source), p)
}

// placeholder stands for what only a person can tell.
func (t *translation) placeholder(p place, variable, why string) expression {
	t.report(p, Todo, "read from the environment as "+variable, why+"; set that variable, or write the value")
	return expression{source: "env(" + quote(variable) + ")"}
}

// image is the repository. With a local registry Kamal takes the service's name where none is given.
func (t *translation) image(p place) {
	image := p.at("image")
	local := localRegistry(p.at("registry").at("server"))
	switch {
	case (!image.there() || image.null()) && local && p.at("service").scalar():
		t.says(image)
		x := source(p.at("service"), true)
		if x.why == "" {
			t.root.set("image", raw(x.source)).origin = p.at("service").origin()
			t.changed(p.at("registry"), "image is the service's name", "with a local registry Kamal takes it where no image is given")
		}
		return
	case image.open() || !image.scalar():
		t.needed(t.root, "image", image, "KAMAL_IMAGE")
		return
	}
	server, rest, several := strings.Cut(image.text(), "/")
	if !several || !strings.ContainsAny(server, ".:") && server != "localhost" {
		t.needed(t.root, "image", image, "KAMAL_IMAGE")
		return
	}
	given := p.at("registry").at("server")
	why := "the server of the image's name stands in registry { server }"
	switch {
	case given.there() && given.text() != server:
		why = "the image's name began with the server " + server + ", and registry.server is another: Kamal would put both before it; look which is right"
	case given.there():
		why = "it begins with the server that registry { server } names, and Kamal puts that before it once more: what Kamal pushed is at " + server + "/" + image.text()
	}
	t.put(t.root, "image", raw(quote(rest)), image)
	t.changed(image, "the repository alone", why)
	if !given.there() {
		t.imageServer = server
	}
}

func (t *translation) primaryRole(p place) {
	given, roles := p.at("primary_role"), t.roleNames(p)
	old := p.at("primary_web_role")
	switch {
	case given.there() && !given.null():
		t.text(t.root, "primary_role", given)
		t.drop(old, "primary_role says it")
		return
	case old.there():
		t.text(t.root, "primary_role", old)
		t.changed(old, "primary_role", "Kamal 1.0 called it primary_web_role")
		return
	case len(roles) == 0:
		return
	}
	t.says(given)
	servers := p.at("servers")
	for _, name := range roles {
		if name == "web" {
			t.root.set("primary_role", raw(quote(name)))
			return
		}
	}
	t.root.set("primary_role", raw(quote(roles[0])))
	t.changed(servers, "primary_role = "+quote(roles[0]), "Kamal's default is the role web, which is not there: the first one stands in for it")
}

// roleNames are the roles in the file's order; a list of servers is the role web.
func (t *translation) roleNames(p place) []string {
	servers := p.at("servers")
	switch {
	case servers.sequence(), servers.scalar(), t.lost(servers):
		return []string{"web"}
	}
	var names []string
	for _, e := range servers.entries() {
		names = append(names, e.name())
	}
	return names
}

// labels leaves out what is kamald's own, and what told Kamal 1's Traefik its routes.
func (t *translation) labels(b *block, p place) {
	var skip []string
	for _, e := range p.entries() {
		switch name := e.name(); {
		case name == "service" || name == "role" || name == "destination" || strings.HasPrefix(name, "kamald."):
			t.drop(e, "service, role, destination and kamald.* are labels that containers are known by; at the root Kamal lets them be overridden, kamald does not")
			skip = append(skip, name)
		case strings.HasPrefix(name, "traefik.") && isOld(t.source):
			skip = append(skip, name)
		}
	}
	t.texts(b, "labels", p, skip...)
}

// localRegistry tells whether the server is one on the deploying machine, as Kamal has it.
func localRegistry(p place) bool { return strings.HasPrefix(p.text(), "localhost:") }

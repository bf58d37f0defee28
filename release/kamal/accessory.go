package kamal

import "strings"

func (t *translation) accessories(p place) {
	if !t.open(p) {
		return
	}
	for _, e := range p.entries() {
		t.accessory(e)
	}
}

func (t *translation) accessory(p place) {
	if !t.open(p) {
		return
	}
	b := t.root.child("accessory", p.name())
	t.comments(t.root, b, p)
	t.needed(b, "image", p.at("image"), "KAMAL_"+variable(p.name())+"_IMAGE")
	t.runsOn(b, p)
	t.given(b, "service", p.at("service"))
	t.text(b, "cmd", p.at("cmd"))
	t.port(b, p.at("port"))
	t.given(b, "network", p.at("network"))
	t.options(b, p.at("options"), "accessory")
	t.oldLabels(p.at("labels"))
	t.labels(b, p.at("labels"))
	if own := p.at("volumes"); own.there() {
		options := b.find("volumes", "")
		t.volumes(b, own)
		if options != nil {
			t.changed(own, "volumes", "those among options stand there too")
		}
	}
	t.accessoryProxy(b, p.at("proxy"))
	t.env(b, p.at("env"))
	t.placed(b, "file", p.at("files"))
	t.placed(b, "directory", p.at("directories"))
	if registry := p.at("registry"); registry.there() {
		t.login(b, registry, variable(p.name())+"_REGISTRY")
	}
}

// runsOn says on which hosts an accessory runs; Kamal takes one of six keys for it.
func (t *translation) runsOn(b *block, p place) {
	var first string
	for _, way := range []struct{ key, attribute string }{
		{"host", "hosts"}, {"hosts", "hosts"}, {"role", "roles"}, {"roles", "roles"}, {"tag", "tags"}, {"tags", "tags"},
	} {
		given := p.at(way.key)
		switch {
		case !given.there():
		case given.null() && !(way.attribute == "hosts" && t.lost(given)):
			t.nothing(given)
		case first != "":
			t.report(given, Todo, first+" is taken", "Kamal takes exactly one of host, hosts, role, roles, tag and tags")
		default:
			if way.attribute == "hosts" {
				t.accessoryHosts(b, given)
			} else {
				t.list(b, way.attribute, given)
			}
			first = way.key
		}
	}
}

func (t *translation) accessoryHosts(b *block, p place) {
	if p.there() && p.open() && p.scalar() {
		x := source(p, true)
		if x.why != "" {
			x = t.placeholder(p, "KAMAL_"+variable(b.label)+"_HOST", x.why)
		}
		t.sayDifferent(p, x)
		v := raw(x.source)
		if !x.list {
			v = &value{kind: listValue, list: []*field{{origin: p.origin(), value: v}}}
		}
		t.put(b, "hosts", v, p)
		return
	}
	if t.lost(p) {
		b.set("hosts", t.lostHosts(p, b.label)).origin = p.origin()
		return
	}
	var known []*server
	v := t.hostList(p, b.label, &known)
	if v == nil {
		return
	}
	for _, s := range known {
		if s.user != "" || s.port != "" || len(s.tags) > 0 {
			t.host(s)
		}
	}
	t.put(b, "hosts", v, p)
}

// port writes out what Kamal makes of a bare number: the same one inside and outside.
func (t *translation) port(b *block, p place) {
	if p.scalar() && !p.open() && plainNumber.MatchString(p.text()) {
		t.asRubyReads(p)
		t.put(b, "port", raw(quote(p.text()+":"+p.text())), p)
		return
	}
	t.text(b, "port", p)
}

func (t *translation) accessoryProxy(b *block, p place) {
	if p.mapping() {
		b.set("proxied", raw("true")).origin = p.origin()
		t.proxy(b, p)
		t.aloneBehindProxy(b, p)
		return
	}
	t.boolean(b, "proxied", p)
}

// aloneBehindProxy takes back what the root's proxy block says and the accessory's does not: Kamal lays nothing under an accessory's.
func (t *translation) aloneBehindProxy(b *block, p place) {
	root := t.root.find("proxy", "")
	if root == nil || len(root.block.fields) == 0 {
		return
	}
	if takeBack(root.block, b.child("proxy", ""), p.origin()) {
		t.changed(p, b.path+".proxy", "null goes back to what holds without the root's block, which Kamal does not lay under an accessory's")
	}
}

func takeBack(root, own *block, from origin) (any bool) {
	for _, f := range root.fields {
		switch {
		case f.block != nil && len(f.block.fields) > 0:
			any = takeBack(f.block, own.child(f.name, ""), from) || any
		case f.block == nil && own.find(f.name, "") == nil:
			own.set(f.name, raw("null")).origin = from
			any = true
		}
	}
	return any
}

// placed translates files and directories, in text or as a hash.
func (t *translation) placed(b *block, kind string, p place) {
	if !p.there() {
		return
	}
	if p.null() || p.sequence() && len(p.items()) == 0 {
		t.nothing(p)
		return
	}
	if !p.sequence() {
		t.drop(p, "Kamal takes a list here, not "+kindName(p.node))
		return
	}
	t.opened[p.node] = true
	for _, item := range p.items() {
		if item.mapping() {
			t.placedHash(b, kind, item)
			continue
		}
		if !item.scalar() || item.open() {
			t.todo(b, item, "local:remote is to be known here")
			continue
		}
		local, rest, _ := strings.Cut(item.text(), ":")
		remote, options, _ := strings.Cut(rest, ":")
		t.place(b, kind, item, local, func(made *block) {
			made.set("to", raw(quote(remote)))
			if options != "" {
				made.set("options", raw(quote(options)))
			}
		})
		t.translated(item, title(kind, local))
	}
	t.mark(p.node)
}

func (t *translation) placedHash(b *block, kind string, p place) {
	local := p.at("local")
	t.opened[p.node] = true
	if !local.scalar() || local.open() {
		t.todo(b, p, "local is to be known here")
		return
	}
	t.translated(local, title(kind, local.text()))
	t.place(b, kind, p, local.text(), func(made *block) {
		t.text(made, "to", p.at("remote"))
		mode := p.at("mode")
		t.text(made, "mode", mode)
		if mode.there() && mode.node.Written != mode.text() && !mode.node.Quoted {
			t.report(mode, Todo, "mode "+mode.text(), "YAML reads "+mode.node.Written+" as that number, and Kamal hands it to chmod so; write the mode in quotes")
		}
		t.text(made, "owner", p.at("owner"))
		t.text(made, "options", p.at("options"))
	})
	t.rest(p)
}

// place makes the block of a file or a directory, and looks whether it can be one.
func (t *translation) place(b *block, kind string, p place, local string, fill func(*block)) {
	switch {
	case kind == "file" && strings.HasSuffix(local, ".erb"):
		t.todo(b, p, "it is an ERB template; kamald's templates end in .tmpl: write it as "+strings.TrimSuffix(local, ".erb")+".tmpl and name that in a file block")
		return
	case local == "" || b.find(kind, local) != nil:
		t.todo(b, p, "each is named once by its local path")
		return
	}
	made := b.child(kind, local)
	t.comments(b, made, p)
	fill(made)
}

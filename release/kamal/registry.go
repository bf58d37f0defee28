package kamal

import "strings"

// registry translates the root's registry. A local one is Kamal's way to do without: so does kamald, with no block at all.
func (t *translation) registry(p place) {
	b := t.root.child("registry", "")
	if t.imageServer != "" {
		b.set("server", raw(quote(t.imageServer)))
	}
	if localRegistry(p.at("server")) {
		t.report(p, Changed, "no registry", "a registry on this machine is how Kamal does without one; kamald carries images over SSH where the file has no registry block")
		return
	}
	t.login(t.root, p, "KAMAL_REGISTRY")
}

// login translates a registry's keys into a block within parent.
func (t *translation) login(parent *block, p place, name string) {
	if !t.open(p) {
		return
	}
	b := parent.child("registry", "")
	t.comments(parent, b, p)
	if server := p.at("server"); server.open() {
		t.needed(b, "server", server, "KAMAL_"+strings.TrimPrefix(name, "KAMAL_")+"_SERVER")
	} else {
		t.text(b, "server", server)
	}
	t.username(b, p.at("username"), name+"_USERNAME")
	t.secret(b, "password", p.at("password"), name+"_PASSWORD")
	user, password := b.find("username", ""), b.find("password", "")
	if (user == nil) != (password == nil) {
		for _, half := range []string{"username", "password"} {
			if f := b.find(half, ""); f != nil {
				b.remove(f)
			}
		}
		t.say(p, Todo, "no login", "a registry needs both username and password, and one of them is not here or not known")
		t.note(b, p, "username and password: one of the two is not here or not known.")
	}
}

// username may be written out; what a command prints is a secret all the same, for nothing else is computed by commands.
func (t *translation) username(b *block, p place, name string) {
	if p.scalar() {
		if source(p, false).single("a text").why == "" {
			t.text(b, "username", p)
			return
		}
	}
	t.secret(b, "username", p, name)
}

package kamal

import (
	"github.com/kamald/kamald/release/kamal/ruby"
)

// architectures are other names of what Docker calls by these.
var architectures = map[string]string{"x86_64": "amd64", "x64": "amd64", "aarch64": "arm64", "arm64v8": "arm64"}

func (t *translation) builder(p place) {
	b := t.root.child("build", "")
	if !t.open(p) {
		return
	}
	t.comments(t.root, b, p)
	t.text(b, "context", p.at("context"))
	t.given(b, "dockerfile", p.at("dockerfile"))
	t.given(b, "target", p.at("target"))
	t.arch(b, p)
	args := p.at("args")
	t.texts(b, "args", args, t.dropBlank(args)...)
	t.list(b, "secrets", p.at("secrets"))
	t.given(b, "ssh", p.at("ssh"))
	t.where(b, p)
	t.text(b, "driver", p.at("driver"))
	t.text(b, "provenance", p.at("provenance"))
	t.boolean(b, "sbom", p.at("sbom"))
	t.cache(b, p.at("cache"))
	if pack := p.at("pack"); t.open(pack) {
		made := b.child("pack", "")
		t.comments(b, made, pack)
		t.text(made, "builder", pack.at("builder"))
		t.list(made, "buildpacks", pack.at("buildpacks"))
	}
	t.drop(p.at("git_archive"), "Kamal 1's; build { source = \"archive\" } builds from git archive")
}

// dropBlank leaves out what is blank, and names it.
func (t *translation) dropBlank(p place) []string {
	var names []string
	for _, e := range p.entries() {
		if e.blank() {
			t.drop(e, "Kamal hands Docker an empty value as a bare name, and Docker takes what the Dockerfile says; kamald would set it to an empty text")
			names = append(names, e.name())
		}
	}
	return names
}

// where translates local and remote, which Kamal 1 had as hashes of an architecture and a host.
func (t *translation) where(b *block, p place) {
	local, remote := p.at("local"), p.at("remote")
	if remote.mapping() {
		t.opened[remote.node] = true
		t.text(b, "remote", remote.at("host"))
		t.changed(remote, "arch and remote", "Kamal 1 named an architecture and a host here")
	} else {
		t.given(b, "remote", remote)
	}
	switch {
	case local.mapping():
		t.opened[local.node] = true
		t.drop(local.at("host"), "kamald builds with this machine's own Docker engine; DOCKER_HOST names another")
		t.changed(local, "arch", "Kamal 1 named an architecture here")
	default:
		t.boolean(b, "local", local)
	}
}

func (t *translation) arch(b *block, p place) {
	arch := p.at("arch")
	v := t.listed(b, arch)
	if v != nil {
		for _, e := range v.list {
			other := inner(e.value.source)
			if name, known := architectures[other]; known {
				e.value = raw(quote(name))
				t.changed(arch, "arch "+quote(name), "Docker's name of "+other)
			}
		}
		t.put(b, "arch", v, arch)
	}
	t.oldArch(b, p)
}

// oldArch reads what Kamal 1 built for.
func (t *translation) oldArch(b *block, p place) {
	var named []string
	for _, key := range []string{"local", "remote"} {
		if e := p.at(key).at("arch"); e.scalar() && !e.open() {
			named = append(named, e.text())
			t.translated(e, "build.arch")
		}
	}
	multiarch := p.at("multiarch")
	switch {
	case !multiarch.there():
	case multiarch.isKind(ruby.Bool) && multiarch.text() == "true" && len(named) == 0:
		named = []string{"amd64", "arm64"}
		t.report(multiarch, Changed, `arch = ["amd64", "arm64"]`, "Kamal 1's multiarch builds for these two")
	case len(named) > 0 || p.at("arch").there():
		t.drop(multiarch, "arch says what is built for")
	default:
		t.report(multiarch, Todo, leftOut, "without multiarch Kamal 1 built for the machine it ran on; write build { arch = [\"amd64\"] } for what the servers are")
	}
	if len(named) == 0 || b.find("arch", "") != nil {
		return
	}
	list := &value{kind: listValue}
	for _, name := range named {
		if other, ok := architectures[name]; ok {
			name = other
		}
		list.list = append(list.list, &field{value: raw(quote(name))})
	}
	b.set("arch", list)
}

func (t *translation) cache(b *block, p place) {
	if !t.open(p) {
		return
	}
	cache := b.child("cache", "")
	t.comments(b, cache, p)
	t.text(cache, "type", p.at("type"))
	t.text(cache, "image", p.at("image"))
	t.text(cache, "options", p.at("options"))
}

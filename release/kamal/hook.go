package kamal

import (
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
)

const hooksPath = ".kamal/hooks"

// hooks names the directory of Kamal's hooks, also where only its default says so.
func (t *translation) hooks(p place) {
	b := t.root
	path := p.at("hooks_path")
	directory := hooksPath
	own := path.scalar() && !path.isFalse()
	t.given(b, "hooks_path", path)
	if own {
		directory = path.text()
	}
	names := t.opts.executables(directory)
	if !own && slices.ContainsFunc(names, isHook) {
		b.set("hooks_path", raw(quote(hooksPath)))
		t.sayOfAll(Changed, "hooks_path = "+quote(hooksPath), "there are hooks in Kamal's directory; kamald's own is .kamald/hooks")
	}
	for _, name := range []string{"pre-traefik-reboot", "post-traefik-reboot"} {
		if slices.Contains(names, name) {
			t.sayOfAll(Todo, "the hook "+name, "rename it to "+strings.Replace(name, "traefik", "proxy", 1)+"; Kamal 2 asks for it too")
		}
	}
	t.hooksOutput(b, p.at("hooks_output"))
}

func isHook(name string) bool { return !strings.HasSuffix(name, ".sample") }

// hooksOutput has other words in Kamal: verbose shows what a hook prints.
func (t *translation) hooksOutput(b *block, p place) {
	words := map[string]string{"verbose": "show", "quiet": "quiet"}
	if p.scalar() && words[p.text()] != "" {
		t.put(b, "hooks_output", raw(quote(words[p.text()])), p)
		return
	}
	if !t.open(p) {
		return
	}
	dict := &value{kind: dictValue}
	for _, e := range p.entries() {
		word, ok := words[e.text()]
		if !slices.Contains(release.HookNames(), e.name()) {
			t.drop(e, "no hook is called that")
			continue
		}
		if !ok {
			t.drop(e, "Kamal takes quiet or verbose here")
			continue
		}
		t.translated(e, "hooks_output."+e.name())
		dict.dict = append(dict.dict, &field{name: e.name(), origin: e.origin(), comment: t.comment(e), value: raw(quote(word))})
	}
	if len(dict.dict) > 0 {
		b.set("hooks_output", dict)
	}
}

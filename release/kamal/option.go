package kamal

import (
	"slices"
	"strings"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// decided are options that kamald decides itself, and where it is said instead.
var decided = map[string]string{
	"name":          "containers are named by service, role, destination and version",
	"detach":        "containers are always detached",
	"rm":            "containers stay for rollback; retain_containers says how many",
	"interactive":   "containers have no input",
	"attach":        "containers have no input",
	"cidfile":       "kamald knows its containers by their labels",
	"pull":          "kamald pulls by digest before it makes a container",
	"quiet":         "kamald pulls by digest before it makes a container",
	"sig-proxy":     "containers are always detached",
	"detach-keys":   "containers are always detached",
	"env-file":      "secrets are named in env { secret = [...] }, and read from the secrets files",
	"label-file":    "labels stand in labels",
	"volume-driver": "a volume with a driver is made by hand, and named in volumes",
}

// options translates what goes to docker run. What the vocabulary has a place of its own for goes there.
func (t *translation) options(b *block, p place, of string) {
	if !t.open(p) {
		return
	}
	dict := &value{kind: dictValue}
	for _, e := range p.entries() {
		if t.elsewhere(b, e, of) {
			continue
		}
		if why, ours := decided[e.name()]; ours {
			if e.name() == "name" && of == "accessory" {
				why = "an accessory's container has the name that service gives it"
			}
			t.drop(e, why)
			continue
		}
		if v := t.option(b, e); v != nil {
			t.translated(e, join(b.path, "options")+"."+e.name())
			dict.dict = append(dict.dict, &field{name: e.name(), origin: e.origin(), comment: t.comment(e), value: v})
		}
	}
	if len(dict.dict) == 0 {
		return
	}
	f := b.set("options", dict)
	f.origin = p.origin()
	f.with(t.comment(p))
}

// option is one option's value: a switch, a number, a text or a list of texts.
func (t *translation) option(b *block, p place) *value {
	switch {
	case p.null():
		t.todo(b, p, "an option has a value: true for a switch")
		return nil
	case p.sequence():
		list := &value{kind: listValue}
		for _, item := range p.items() {
			if v := t.optionText(b, item); v != nil {
				list.list = append(list.list, &field{origin: item.origin(), comment: t.comment(item), value: v})
			}
		}
		return list
	case p.isKind(ruby.Bool), p.isKind(ruby.Int) && plainNumber.MatchString(p.text()):
		t.asRubyReads(p)
		return raw(p.text())
	}
	return t.optionText(b, p)
}

func (t *translation) optionText(b *block, p place) *value {
	if p.scalar() && !p.open() && strings.Contains(p.text(), "${") {
		t.todo(b, p, "the host's shell expands a part of it, and kamald uses none")
		return nil
	}
	return t.scalar(b, p)
}

// elsewhere puts an option where the vocabulary has a place for it; false when it is one of docker run's like any other.
func (t *translation) elsewhere(b *block, p place, of string) bool {
	if of == "proxy_server" {
		return false
	}
	switch p.name() {
	case "env", "label":
		t.pairs(b, p)
	case "volume":
		t.optionVolumes(b, p, of)
	case "log-driver":
		t.text(b.child("logging", ""), "driver", p)
	case "log-opt":
		t.pairs(b.child("logging", ""), p)
		t.rotation(b, p)
	case "stop-signal":
		t.text(b.child("stop", ""), "signal", p)
	case "network":
		why := "containers are in one network, which `network` at the top of the file names; Kamal puts this one into a second"
		if of == "accessory" {
			why = "an accessory is in one network, its own `network`, else that of the apps; Kamal puts this one into a second"
		}
		t.todo(b, p, why)
	default:
		return false
	}
	return true
}

// pairs are options of the form NAME=value: variables, labels, options of the log driver.
func (t *translation) pairs(b *block, p place) {
	into, attribute := b, "options"
	switch p.name() {
	case "env":
		into, attribute = b.child("env", ""), "clear"
	case "label":
		attribute = "labels"
	}
	items := p.oneOrMore()
	dict := &value{kind: dictValue}
	for _, item := range items {
		name, text, ok := strings.Cut(item.text(), "=")
		if !item.scalar() || item.open() || !ok || strings.Contains(text, "${") {
			t.todo(b, item, "only NAME=value, known here, can be said in "+attribute)
			continue
		}
		t.translated(item, join(into.path, attribute)+"."+name)
		dict.dict = append(dict.dict, &field{name: name, origin: item.origin(), value: raw(quote(text))})
	}
	t.mark(p.node)
	if p.sequence() && len(items) == 0 || p.mapping() {
		t.drop(p, "it says nothing that docker run takes")
	}
	if len(dict.dict) > 0 {
		into.set(attribute, merged(into.find(attribute, ""), dict))
	}
}

// optionVolumes adds to volumes. A role's list stands in place of the root's, so the root's are in it.
func (t *translation) optionVolumes(b *block, p place, of string) {
	items := p.oneOrMore()
	list := &value{kind: listValue}
	if f := t.root.find("volumes", ""); of == "role" && f != nil && f.value.kind == listValue {
		list.list = slices.Clone(f.value.list)
	}
	before := len(list.list)
	for _, item := range items {
		if v := t.volume(b, item); v != nil {
			t.translated(item, join(b.path, "volumes"))
			list.list = append(list.list, &field{origin: item.origin(), value: v})
		}
	}
	t.mark(p.node)
	if len(list.list) > before {
		b.set("volumes", list)
	}
}

package kamal

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/release/kamal/ruby"
)

// rootEnv translates the root's env, and its tags, which stand before it.
func (t *translation) rootEnv(p place) {
	env := p.at("env")
	for _, e := range clearOf(env) {
		if e.scalar() {
			t.clears[e.name()] = true
		}
	}
	for _, tags := range []place{env.at("tags"), p.at("env_tags")} {
		if !tags.there() || !t.open(tags) {
			continue
		}
		for _, tag := range tags.entries() {
			t.tag(tag)
		}
	}
	if old := p.at("env_tags"); old.mapping() {
		t.changed(old, "tag blocks", "Kamal 1.6 called env.tags so")
	}
	t.env(t.root, env)
}

func (t *translation) tag(p place) {
	b := t.root.child("tag", p.name())
	t.comments(t.root, b, p)
	if p.null() || p.mapping() && len(p.entries()) == 0 {
		t.translated(p, b.path)
		return
	}
	t.env(b, p)
}

// longForm tells whether an env says clear, secret or tags, and is not a plain hash of variables.
func longForm(p place) bool {
	return p.at("clear").there() || p.at("secret").there() || p.at("tags").there()
}

// clearOf are the variables that an env gives in clear.
func clearOf(p place) []place {
	if longForm(p) {
		return p.at("clear").entries()
	}
	return p.entries()
}

// env translates an env of either form into a block within parent.
func (t *translation) env(parent *block, p place) {
	if !t.open(p) {
		return
	}
	b := parent.child("env", "")
	t.comments(parent, b, p)
	if !longForm(p) {
		t.clear(b, p)
		return
	}
	if clear := p.at("clear"); t.open(clear) {
		t.clear(b, clear)
		if f := b.find("clear", ""); f != nil {
			f.with(t.comment(clear))
		}
	}
	t.envSecrets(b, p)
	for _, e := range p.entries() {
		if !slices.Contains([]string{"clear", "secret", "tags"}, e.name()) {
			t.drop(e, "beside clear and secret Kamal takes no variables; put it under clear")
		}
	}
}

func (t *translation) clear(b *block, p place) {
	dict := &value{kind: dictValue}
	for _, e := range p.entries() {
		if v := t.clearValue(b, e); v != nil {
			t.translated(e, join(b.path, "clear")+"."+e.name())
			dict.dict = append(dict.dict, &field{name: e.name(), origin: e.origin(), comment: t.comment(e), value: v})
		}
	}
	if len(dict.dict) > 0 {
		b.set("clear", b.overlaid("clear", dict)).origin = p.origin()
	}
}

// hostVariable is what Kamal leaves to the shell of the host.
var hostVariable = regexp.MustCompile(`\$\{([^}]*)\}`)

// clearValue reads a variable's value. Kamal lets the host's shell expand ${NAME} in it, and nothing else.
func (t *translation) clearValue(b *block, p place) *value {
	switch {
	case p.null():
		t.drop(p, "Kamal refuses a variable without a value")
		return nil
	case p.blank():
		t.drop(p, "Kamal hands Docker an empty value as a bare name, which sets nothing in the container; kamald would set it to an empty text")
		return nil
	case !p.open() && !hostVariable.MatchString(p.text()), !p.scalar():
		return t.scalar(b, p)
	}
	x := clearTemplate(p.parts())
	if x.why != "" {
		t.todo(b, p, x.why)
		return nil
	}
	t.sayDifferent(p, x)
	return raw(x.source)
}

func clearTemplate(parts []ruby.Part) expression {
	var pieces []release.Piece
	var said []string
	whole := ""
	for _, part := range parts {
		if part.Expr != nil {
			x := expressed(part.Expr, false).single("a text")
			if x.why != "" {
				return x
			}
			whole, said = x.source, append(said, x.said...)
			pieces = append(pieces, release.Piece{Text: x.source, Expression: true})
			continue
		}
		text := part.Text
		for text != "" {
			at := hostVariable.FindStringSubmatchIndex(text)
			if at == nil {
				pieces = append(pieces, release.Piece{Text: text})
				break
			}
			name := text[at[2]:at[3]]
			if !secretName.MatchString(name) {
				return expression{why: "the host's shell expands ${" + name + "} here, and kamald uses none; host_env(\"NAME\") reads one of its variables"}
			}
			if at[0] > 0 {
				pieces = append(pieces, release.Piece{Text: text[:at[0]]})
			}
			whole = "host_env(" + quote(name) + ")"
			pieces = append(pieces, release.Piece{Text: whole, Expression: true})
			text = text[at[1]:]
		}
	}
	if len(pieces) == 1 && whole != "" {
		return expression{source: whole, said: said}
	}
	return expression{source: release.Template(pieces), said: said}
}

// envSecrets translates the names of secrets. One that stands in clear too is clear, for Docker prefers what is on its command
// line; one that is given twice is what it is given last.
func (t *translation) envSecrets(b *block, p place) {
	secret := p.at("secret")
	v := t.listed(b, secret)
	if v == nil {
		return
	}
	own := map[string]bool{}
	for _, e := range p.at("clear").entries() {
		own[e.name()] = true
	}
	kept := &value{kind: v.kind, source: v.source}
	for _, e := range v.list {
		text := strings.Trim(e.value.source, `"`)
		name, key, aliased := strings.Cut(text, ":")
		if !aliased {
			key = name
		}
		t.ledger.reserve(key)
		at := place{node: secret.node, path: secret.path, key: &ruby.Node{File: e.file, Line: e.line}}
		if own[name] || t.clears[name] {
			t.changed(at, name+" is clear", "it is given in clear too, and that is what Kamal's containers get: Docker prefers --env to the env file")
			t.untake(secret, e)
			continue
		}
		i := slices.IndexFunc(kept.list, func(k *field) bool {
			return strings.Trim(k.value.source, `"`) == name || strings.HasPrefix(strings.Trim(k.value.source, `"`), name+":")
		})
		if i >= 0 {
			t.changed(at, name+" once", "it stands in the list twice; the last one counts")
			t.untake(secret, kept.list[i])
			kept.list[i] = e
			continue
		}
		kept.list = append(kept.list, e)
	}
	t.translated(secret, join(b.path, "secret"))
	if kept.kind != listValue || len(kept.list) > 0 || len(v.list) == 0 {
		t.put(b, "secret", kept, secret)
	}
}

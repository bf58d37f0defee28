package kamal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// text sets an attribute to a scalar's text. It gives false when nothing was set.
func (t *translation) text(b *block, name string, p place) bool {
	return t.putSome(b, name, t.scalar(b, p), p)
}

// given sets an attribute to a scalar's text where Kamal looks only whether something is said: false says nothing then.
func (t *translation) given(b *block, name string, p place) bool {
	if p.isFalse() {
		t.nothing(p)
		return false
	}
	return t.text(b, name, p)
}

// scalar reads a scalar as HCL text; nil when there is none, which has been reported then.
func (t *translation) scalar(b *block, p place) *value {
	switch {
	case !t.says(p):
		return nil
	case !p.scalar():
		t.drop(p, "Kamal takes a text here, not "+kindName(p.node))
		return nil
	}
	x := source(p, false).single("a text")
	if x.why != "" {
		t.todo(b, p, x.why)
		return nil
	}
	t.asRubyReads(p)
	t.sayDifferent(p, x)
	return raw(x.source)
}

// sayDifferent reports what is different about an expression.
func (t *translation) sayDifferent(p place, x expression) {
	for _, said := range x.said {
		t.changed(p, "read from an expression", said)
	}
}

// asRubyReads tells where YAML does not say what it seems to.
func (t *translation) asRubyReads(p place) {
	n := p.node
	if n.Quoted || n.Written == "" || n.Written == n.Text || n.Kind == ruby.String || p.open() ||
		n.Kind == ruby.Int && strings.ReplaceAll(n.Written, "_", "") == n.Text {
		return
	}
	t.changed(p, fmt.Sprintf("%q for %s", n.Text, n.Written), "Ruby's YAML reads it so, and Kamal deploys it so")
}

// boolean sets an attribute to true or false.
func (t *translation) boolean(b *block, name string, p place) bool {
	switch {
	case !t.says(p):
	case p.open():
		return t.text(b, name, p)
	case !p.scalar() || p.text() != "true" && p.text() != "false":
		t.drop(p, "Kamal takes true or false here, not "+kindName(p.node))
	default:
		t.put(b, name, raw(p.text()), p)
		return true
	}
	return false
}

// number sets an attribute to a whole number, written by form: "%s", or "\"%ss\"" for seconds.
func (t *translation) number(b *block, name, form string, p place) bool {
	switch {
	case !t.says(p):
		return false
	case p.open():
		x := source(p, true).single("a number")
		if x.why != "" {
			t.todo(b, p, x.why)
			return false
		}
		t.sayDifferent(p, x)
		t.put(b, name, raw(fmt.Sprintf(form, computed(form, x.source))), p)
		return true
	}
	n, err := strconv.ParseInt(p.text(), 10, 64)
	if !p.scalar() || err != nil || n < 0 {
		t.drop(p, "Kamal takes a whole number here, not "+kindName(p.node))
		return false
	}
	t.asRubyReads(p)
	t.put(b, name, raw(fmt.Sprintf(form, strconv.FormatInt(n, 10))), p)
	return true
}

// computed is an expression as it stands in a form: within its quotes as a part of the text.
func computed(form, source string) string {
	if strings.HasPrefix(form, `"`) {
		return "${" + source + "}"
	}
	return source
}

const (
	plain     = "%s"
	seconds   = `"%ss"`
	sizeBytes = `"%s"`
)

// listed reads a list of scalars; a single scalar is a list of one. nil when there is none.
func (t *translation) listed(b *block, p place) *value {
	switch {
	case !t.says(p):
		return nil
	case p.mapping():
		t.drop(p, "Kamal takes a list here, not a hash")
		return nil
	case p.scalar():
		return t.oneListed(b, p)
	}
	list := &value{kind: listValue}
	for _, item := range p.items() {
		if v := t.scalar(b, item); v != nil {
			list.list = append(list.list, &field{origin: item.origin(), comment: t.comment(item), value: v})
		}
	}
	if len(list.list) == 0 && len(p.items()) > 0 {
		t.opened[p.node] = true // its items have been reported
		return nil
	}
	return list
}

func (t *translation) oneListed(b *block, p place) *value {
	x := source(p, true)
	if x.why != "" {
		t.todo(b, p, x.why)
		return nil
	}
	t.sayDifferent(p, x)
	if x.list {
		return raw(x.source)
	}
	return &value{kind: listValue, list: []*field{{origin: p.origin(), value: raw(x.source)}}}
}

// list sets an attribute to a list of scalars.
func (t *translation) list(b *block, name string, p place) bool {
	return t.putSome(b, name, t.listed(b, p), p)
}

// commaList sets an attribute to a text that Kamal splits at commas, or to a list of such texts.
func (t *translation) commaList(b *block, name string, p place) bool {
	if !p.scalar() {
		return t.list(b, name, p)
	}
	if p.open() {
		x := source(p, true)
		if x.why != "" {
			t.todo(b, p, x.why)
			return false
		}
		t.sayDifferent(p, x)
		if !x.list {
			x.source = `split(",", ` + x.source + ")"
		}
		t.put(b, name, raw(x.source), p)
		return true
	}
	list := &value{kind: listValue}
	for part := range strings.SplitSeq(p.text(), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list.list = append(list.list, &field{origin: p.origin(), value: raw(quote(part))})
		}
	}
	t.put(b, name, list, p)
	return true
}

// texts sets an attribute to a map of scalars; skip tells which entries have been dealt with.
func (t *translation) texts(b *block, name string, p place, skip ...string) bool {
	if !t.open(p) {
		return false
	}
	dict := &value{kind: dictValue}
	for _, e := range p.entries() {
		if slices.Contains(skip, e.name()) {
			continue
		}
		if e.null() {
			t.drop(e, "a key without a value")
			continue
		}
		if v := t.scalar(b, e); v != nil {
			t.translated(e, join(b.path, name)+"."+e.name())
			dict.dict = append(dict.dict, &field{name: e.name(), origin: e.origin(), comment: t.comment(e), value: v})
		}
	}
	if len(dict.dict) == 0 && len(p.entries()) > 0 {
		return false
	}
	f := b.set(name, b.overlaid(name, dict))
	f.origin = p.origin()
	f.with(t.comment(p))
	return true
}

// overlaid lays what an option of docker run's has said over a map: docker run takes those last, and the last one counts.
func (b *block) overlaid(name string, dict *value) *value {
	if option := b.find(name, ""); option != nil {
		return merged(&field{value: dict}, option.value)
	}
	return dict
}

// merged lays a map over what stands there already.
func merged(f *field, over *value) *value {
	if f == nil || f.value == nil || f.value.kind != dictValue {
		return over
	}
	for _, e := range over.dict {
		if old := f.value.entry(e.name); old != nil {
			*old = *e
			continue
		}
		f.value.dict = append(f.value.dict, e)
	}
	return f.value
}

var plainNumber = regexp.MustCompile(`\A(?:0|[1-9][0-9]{0,14})\z`)

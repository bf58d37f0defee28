package kamal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// place is a value of the source and the way to it.
type place struct {
	node *ruby.Node // nil: it is not there
	key  *ruby.Node // its key; nil for an element of a list
	path string     // servers.web.hosts[0]
}

func (p place) there() bool { return p.node != nil }

// null tells whether the key stands there and says nothing.
func (p place) null() bool { return p.isKind(ruby.Null) && !p.open() }

// open tells whether an expression has a hand in a scalar.
func (p place) open() bool {
	return p.node != nil && slices.ContainsFunc(p.node.Parts, func(part ruby.Part) bool { return part.Expr != nil })
}

func (p place) scalar() bool {
	return p.node != nil && p.node.Kind != ruby.Sequence && p.node.Kind != ruby.Mapping && !p.null()
}

func (p place) mapping() bool { return p.isKind(ruby.Mapping) }

func (p place) sequence() bool { return p.isKind(ruby.Sequence) }

// isKind tells whether a place holds a value of a kind.
func (p place) isKind(k ruby.Kind) bool { return p.node != nil && p.node.Kind == k }

// isFalse tells whether the value is false, whatever else may be meant by it.
func (p place) isFalse() bool { return p.isKind(ruby.Bool) && !p.open() && p.text() == "false" }

// blank tells whether the value is a text with nothing but space in it.
func (p place) blank() bool {
	return p.isKind(ruby.String) && !p.open() && strings.TrimSpace(p.text()) == ""
}

// text is what Ruby prints of a scalar without expressions.
func (p place) text() string {
	if p.node == nil {
		return ""
	}
	return p.node.Text
}

// parts are a scalar's, of which one that no expression has a hand in is the text alone.
func (p place) parts() []ruby.Part {
	if p.open() {
		return p.node.Parts
	}
	return []ruby.Part{{Text: p.text()}}
}

func (p place) origin() origin {
	switch {
	case p.key != nil:
		return origin{p.key.File, p.key.Line}
	case p.node != nil:
		return origin{p.node.File, p.node.Line}
	}
	return origin{}
}

// at is an entry of a mapping; it is not there when p is no mapping.
func (p place) at(key string) place {
	if p.mapping() {
		for _, e := range p.node.Entries {
			if e.Key.Text == key {
				return place{e.Value, e.Key, join(p.path, key)}
			}
		}
	}
	return place{path: join(p.path, key)}
}

// entries are all of a mapping's, in the file's order.
func (p place) entries() []place {
	var all []place
	if p.mapping() {
		for _, e := range p.node.Entries {
			all = append(all, place{e.Value, e.Key, join(p.path, e.Key.Text)})
		}
	}
	return all
}

// name is the last part of the way: the entry's key.
func (p place) name() string {
	if p.key == nil {
		return ""
	}
	return p.key.Text
}

// items are a list's elements.
func (p place) items() []place {
	var all []place
	if p.sequence() {
		for i, n := range p.node.Items {
			all = append(all, place{n, nil, fmt.Sprintf("%s[%d]", p.path, i)})
		}
	}
	return all
}

// oneOrMore are a list's elements, or the one scalar that stands there without a list.
func (p place) oneOrMore() []place {
	if p.scalar() {
		return []place{p}
	}
	return p.items()
}

// kindName says what a node is, for messages.
func kindName(n *ruby.Node) string {
	switch n.Kind {
	case ruby.Null:
		return "empty"
	case ruby.Bool:
		return "true or false"
	case ruby.Int, ruby.Float:
		return "a number"
	case ruby.Sequence:
		return "a list"
	case ruby.Mapping:
		return "a hash"
	}
	return "a text"
}

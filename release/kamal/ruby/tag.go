package ruby

import (
	"encoding/base64"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// tagged reads a scalar by its explicit tag, and tells whether the tag says all.
func (d *document) tagged(n *Node, y *yaml.Node) bool {
	switch tag := y.Tag; {
	case tag == "!str" || tag == "!ruby/string":
		return true
	case tag == "!binary" || tag == "!!binary":
		n.Text = unpack(y.Value)
		return true
	case tag == "!float" || tag == "!!float":
		s := scan(y.Value)
		if s.kind == Int {
			s = scan(s.text + ".0")
		}
		n.Kind, n.Text = s.kind, s.text
		return true
	case strings.HasPrefix(tag, "!ruby/sym"):
		n.Symbol = true
		return true
	case object(tag):
		d.problem(d.offset(y), tag, "makes an object of Ruby: what is written is read as text")
		return true
	}
	return false
}

// objectTag tells of a collection's tag that makes something else of it.
func (d *document) objectTag(y *yaml.Node, plain string) {
	if y.Style&yaml.TaggedStyle != 0 && y.Tag != plain && (object(y.Tag) || strings.HasSuffix(y.Tag, "map") || strings.HasSuffix(y.Tag, "set")) {
		d.problem(d.offset(y), y.Tag, "makes an object of Ruby: what is written is read as it stands")
	}
}

func object(tag string) bool {
	for _, kind := range []string{"!ruby/", "!str:", "!seq:", "!map:", "!omap", "!!omap", "!set", "!!set"} {
		if strings.HasPrefix(tag, kind) {
			return true
		}
	}
	return false
}

// unpack reads base64 as leniently as Ruby's unpack.
func unpack(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '=' {
			return -1
		}
		return c
	}, text)
	for ; len(text) > 0; text = text[:len(text)-1] {
		if data, err := base64.RawStdEncoding.DecodeString(text); err == nil {
			return strings.ToValidUTF8(string(data), "\ufffd")
		}
	}
	return ""
}

package kamal

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/kamald/kamald/release"
)

// width is how long a line may get before lists, maps and blocks are spread over several.
const width = 110

// writer writes a document as deploy.hcl has it.
type writer struct {
	lines []string
	depth int
	// exploded puts every entry, element and attribute on lines of its own, so that a line is one of them.
	exploded bool
}

// written is the document as text. With exploded, every field's lines are kept in it.
func written(root *block, exploded bool) []byte {
	w := &writer{exploded: exploded}
	w.body(root)
	return release.Format([]byte(strings.Join(w.lines, "\n") + "\n"))
}

func (w *writer) add(line string) {
	if line != "" {
		line = strings.Repeat("  ", w.depth) + line
	}
	w.lines = append(w.lines, line)
}

func (w *writer) comments(lines []string) {
	for _, line := range lines {
		line = strings.TrimRight("# "+line, " \t\r")
		w.add(strings.Map(printable, line))
	}
}

// printable keeps a comment on its line.
func printable(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return ' '
	}
	return r
}

func (w *writer) body(b *block) {
	for i, f := range b.fields {
		if i > 0 && w.apart(b, b.fields[i-1], f) {
			w.add("")
		}
		w.comments(f.head)
		f.first = len(w.lines) + 1
		switch {
		case f.note != nil:
			w.comments(f.note)
			if f.behind != "" {
				w.comments([]string{f.behind})
			}
		case f.block != nil:
			w.block(f)
		default:
			w.attribute(f.name+" = ", f)
		}
		f.last = len(w.lines)
		w.comments(f.foot)
	}
}

// apart tells whether a line is left free between two fields.
func (w *writer) apart(b *block, before, f *field) bool {
	if f.block == nil && before.block == nil {
		return b.name == "" && (len(f.head) > 0 || len(before.foot) > 0 || before == b.fields[0] && before.note != nil)
	}
	small := before.block != nil && f.block != nil && w.oneLine(before) != "" && w.oneLine(f) != ""
	return !small || before.name != f.name || len(before.foot)+len(f.head) > 0
}

func (w *writer) block(f *field) {
	if line := w.oneLine(f); line != "" {
		w.add(line + behind(f.behind))
		return
	}
	head := f.name
	if f.block.label != "" {
		head += " " + quote(f.block.label)
	}
	w.add(head + " {" + behind(f.behind))
	w.depth++
	w.body(f.block)
	w.depth--
	w.add("}")
}

// oneLine is a block that says one short thing; "" when it says more.
func (w *writer) oneLine(f *field) string {
	head := f.name
	if f.block.label != "" {
		head += " " + quote(f.block.label)
	}
	if len(f.block.fields) == 0 {
		return head + " {}"
	}
	only := f.block.fields[0]
	if w.exploded || len(f.block.fields) > 1 || only.value == nil || !only.comment.empty() {
		return ""
	}
	text, ok := inline(only.value)
	line := head + " { " + only.name + " = " + text + " }"
	if !ok || w.depth*2+len(line) > width {
		return ""
	}
	return line
}

func behind(comment string) string {
	if comment == "" {
		return ""
	}
	return " # " + strings.Map(printable, strings.TrimSpace(comment))
}

// attribute writes "name = value", or an entry of a map.
func (w *writer) attribute(name string, f *field) {
	text, ok := inline(f.value)
	if ok && (f.value.kind == scalarValue || !w.exploded && w.depth*2+len(name)+len(text) <= width) {
		w.add(name + text + behind(f.behind))
		return
	}
	open, end, parts := "[", "]", f.value.list
	if f.value.kind == dictValue {
		open, end, parts = "{", "}", f.value.dict
	}
	w.add(name + open + behind(f.behind))
	w.depth++
	for _, part := range parts {
		w.comments(part.head)
		part.first = len(w.lines) + 1
		w.part(f.value.kind, part)
		part.last = len(w.lines)
		w.comments(part.foot)
	}
	w.depth--
	w.add(end)
}

func (w *writer) part(kind valueKind, part *field) {
	name := ""
	if kind == dictValue {
		name = keyText(part.name) + " = "
	}
	start := len(w.lines)
	line := part.behind
	part.behind = ""
	w.attribute(name, part)
	part.behind = line
	last := len(w.lines) - 1
	if kind == listValue {
		w.lines[last] += ","
	}
	w.lines[start] += behind(line)
}

// inline is a value on one line; false when comments within it, or its size, ask for more.
func inline(v *value) (string, bool) {
	if v.kind == scalarValue {
		return v.source, true
	}
	var texts []string
	for _, part := range append(v.list, v.dict...) {
		text, ok := inline(part.value)
		if !ok || !part.comment.empty() {
			return "", false
		}
		if v.kind == dictValue {
			text = keyText(part.name) + " = " + text
		}
		texts = append(texts, text)
	}
	all := strings.Join(texts, ", ")
	switch {
	case v.kind == listValue:
		return "[" + all + "]", true
	case len(texts) == 0:
		return "{}", true
	case len(texts) > 4:
		return "", false
	}
	return "{ " + all + " }", true
}

// keyText writes a map's key: bare where HCL can read it so.
func keyText(key string) string {
	if hclsyntax.ValidIdentifier(key) && key != "for" && key != "null" && key != "true" && key != "false" && key != "if" {
		return key
	}
	return quote(key)
}

func quote(s string) string { return release.Quote(s) }

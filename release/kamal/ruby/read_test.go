package ruby

import (
	"strings"
	"testing"
)

func TestYAMLIsReadAsPsychReadsIt(t *testing.T) {
	for _, c := range []struct{ name, source, is string }{
		{"nothing", "", "null"}, {"comments", "# x\n", "null"}, {"a document's marks", "--- # x\na: 1\n...\n", "{a: #1}"},
		{"a byte order mark", "\ufeffa: 1\n", "{a: #1}"}, {"line breaks of two characters", "a: |\r\n  x\r\n  y\r\nb: z\r\n", "{a: x\ny\n, b: z}"},
		{"a version", "# x\n%YAML 1.2\n---\na: yes\n", "{a: #true}"}, {"an alias", "a: &x {b: 1}\nc: *x\n", "{a: {b: #1}, c: {b: #1}}"},
		{"an anchor that is set again", "- &a x\n- *a\n- &a y\n- *a\n", "[x, x, y, y]"}, {"an alias as a key", "a: &x b\n*x : c\n", "{a: b, b: c}"},
		{"a merge", "d: &d {a: 1, b: 2}\ne:\n  <<: *d\n  b: 3\n", "{d: {a: #1, b: #2}, e: {a: #1, b: #3}}"},
		{"a merge lies over what is before it", "d: &d {a: 1}\ne:\n  a: 2\n  <<: *d\n", "{d: {a: #1}, e: {a: #1}}"},
		{"of several the first wins", "d: &d {a: 1}\nf: &f {a: 2, c: 3}\ne:\n  <<: [*d, *f]\n", "{d: {a: #1}, f: {a: #2, c: #3}, e: {a: #1, c: #3}}"},
		{"a merge in quotes", "e:\n  '<<': {a: 1}\n", "{e: {a: #1}}"}, {"no merge", "e:\n  !!str <<: {a: 1}\n", "{e: {<<: {a: #1}}}"}, {"a merge of none", "e:\n  <<: []\n", "{e: {}}"},
		{"keys that are told apart", "1: a\n1.0: b\n'1': c\n:x: d\nx: e\n", "{#1: a, #1.0: b, 1: c, x: d, x: e}"},
		{"a literal block", "a: |\n  x\n\n   y\n", "{a: x\n\n y\n}"}, {"stripped", "a: |-\n  x\n\n", "{a: x}"}, {"kept", "a: |+\n  x\n\n", "{a: x\n\n}"},
		{"a folded block", "a: >\n  x\n  y\n\n  z\n   more\n", "{a: x y\nz\n more\n}"}, {"text of several lines", "a: x\n  y\n\n  z\n", "{a: x y\nz}"},
		{"a block is no number", "a: |-\n  12\n", "{a: 12}"}, {"flows", "a: {b: 1, c, d: [e: f], }\n", "{a: {b: #1, c: null, d: [{e: f}]}}"},
		{"ports", "a: [80:80, 22:22, 3306:33]\n", "{a: [80:80, #80520, #11903580]}"}, {"escapes", `a: "\x41\u263a\t\/"`, "{a: A☺\t/}"}, {"a tab behind a colon", "a:\tb\n", "{a: b}"},
		{"a long key", "? " + strings.Repeat("x", 2000) + "\n: 1\n", "{" + strings.Repeat("x", 2000) + ": #1}"}, {"a text alone", "just text\n", "just text"},
	} {
		n, _, err := Read("deploy.yml", []byte(c.source))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := sketch(n); got != c.is {
			t.Errorf("%s: is %s, want %s", c.name, got, c.is)
		}
	}
}

func TestPositionsAreThoseOfTheFile(t *testing.T) {
	source := "<%\n x = 1\n%>\nä: ü\n<%= 'k' %>: [<%= ENV[\n 'L'\n] %>, v]\n<% 2.times do |i| -%>\nn<%= i %>:\n  w: <%= i %>\n<% end -%>\n<%# c\n%>z: {<<: &a {p: q}, r: *a}\n"
	n, _, err := Read("config/deploy.yml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		node         *Node
		line, column int
	}{
		{"ü", n.Get("ä"), 4, 4}, {"k", n.Entries[1].Key, 5, 1}, {"L", n.Get("k").Items[0], 5, 14}, {"v", n.Get("k").Items[1], 7, 7},
		{"n0", n.Entries[2].Key, 9, 1}, {"n1", n.Entries[3].Key, 9, 1}, {"w of n1", n.Get("n1").Get("w"), 10, 6}, {"z", n.Entries[4].Key, 13, 3},
		{"r", n.Get("z").Get("r"), 13, 25},
	} {
		if c.node == nil || c.node.Line != c.line || c.node.Column != c.column || c.node.File != "config/deploy.yml" {
			t.Errorf("%s is at %+v, want %d:%d", c.name, c.node, c.line, c.column)
		}
	}
	if x := n.Get("k").Items[0].Parts[0].Expr; x.Line != 5 || x.Name != "L" {
		t.Errorf("the expression is %+v", x)
	}
}

func TestWhatAnAliasBringsSaysSo(t *testing.T) {
	n, _, err := Read("deploy.yml", []byte("a: &x\n  b: [1]\nc:\n  <<: *x\n  d: *x\n  e: {<<: {f: 1}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		node   *Node
		merged bool
		alias  string
		line   int
	}{
		{"what is named", n.Get("a").Get("b"), false, "", 2}, {"merged", n.Get("c").Get("b"), true, "x", 2}, {"the merged key", n.Get("c").Entries[0].Key, true, "x", 2},
		{"an alias", n.Get("c").Get("d"), true, "x", 5}, {"below an alias", n.Get("c").Get("d").Get("b").Items[0], true, "x", 2},
		{"merged without an alias", n.Get("c").Get("e").Get("f"), true, "", 6},
	} {
		if c.node.Merged != c.merged || c.node.Alias != c.alias || c.node.Line != c.line {
			t.Errorf("%s: merged %v by %q in line %d", c.name, c.node.Merged, c.node.Alias, c.node.Line)
		}
	}
	n.Get("c").Get("d").Get("b").Items[0].Text = "2"
	if n.Get("a").Get("b").Items[0].Text != "1" || n.Get("c").Get("b").Items[0].Text != "1" {
		t.Error("the copies are one")
	}
}

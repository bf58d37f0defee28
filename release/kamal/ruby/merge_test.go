package ruby

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var empty = cmpopts.EquateEmpty()

func same(a, b *Node) bool { return cmp.Equal(a, b, empty) }

// trees draws trees of few keys, so that two of them meet.
func trees(depth int) *rapid.Generator[*Node] {
	return rapid.Custom(func(t *rapid.T) *Node {
		n := &Node{Kind: String, File: "f", Line: rapid.IntRange(1, 99).Draw(t, "line"), Column: 1}
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case depth == 3 || depth > 0 && kind < 2:
			n.Text = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "text")
			n.Comment.Line = rapid.SampledFrom([]string{"", "x"}).Draw(t, "comment")
		case depth > 0 && kind == 2:
			n.Kind = Null
		case depth > 0 && kind == 3:
			n.Kind, n.Items = Sequence, rapid.SliceOfN(trees(depth+1), 0, 2).Draw(t, "items")
		default:
			n.Kind = Mapping
			for _, key := range rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 0, 4, rapid.ID[int]).Draw(t, "keys") {
				k := &Node{Kind: String, Text: strconv.Itoa(key), File: "f", Line: 1, Column: 1, Comment: Comment{Head: []string{"about"}}}
				n.Entries = append(n.Entries, Entry{Key: k, Value: trees(depth+1).Draw(t, "value")})
			}
		}
		return n
	})
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := trees(0).Draw(t, "base"), trees(0).Draw(t, "over")
		before, laid := base.clone(), over.clone()
		merged := Merge(base, over)
		if !same(base, before) || !same(over, laid) {
			t.Fatal("an argument is changed")
		}
		for _, nothing := range []*Node{nil, {Kind: Null}, {Kind: Mapping}} {
			if diff := cmp.Diff(base, Merge(base, nothing), empty); diff != "" {
				t.Fatalf("nothing changes something: %s", diff)
			}
		}
		if diff := cmp.Diff(base, Merge(nil, base), empty); diff != "" {
			t.Fatalf("over nothing it is not itself: %s", diff)
		}
		if diff := cmp.Diff(merged, Merge(merged, over), empty, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Comment" }, cmp.Ignore())); diff != "" {
			t.Fatalf("twice is not once: %s", diff)
		}
		holds(t, base, over, merged)
		scribble(merged)
		if !same(base, before) || !same(over, laid) {
			t.Fatal("the result shares what it was made of")
		}
	})
}

// holds tells of every key whether the merged value is the one it must be.
func holds(t *rapid.T, base, over, merged *Node) {
	if len(merged.Entries) < len(base.Entries) {
		t.Fatal("a key is lost")
	}
	for i, e := range base.Entries {
		if merged.Entries[i].Key.Text != e.Key.Text {
			t.Fatalf("the key %s has moved", e.Key.Text)
		}
		if over.Get(e.Key.Text) == nil && !same(merged.Entries[i].Value, e.Value) {
			t.Fatalf("%s has changed, and over does not name it", e.Key.Text)
		}
	}
	for _, e := range over.Entries {
		was, is := base.Get(e.Key.Text), merged.Get(e.Key.Text)
		if was != nil && was.Kind == Mapping && e.Value.Kind == Mapping {
			holds(t, was, e.Value, is)
		} else if !same(is, e.Value) {
			t.Fatalf("%s is not what over says", e.Key.Text)
		}
	}
}

func scribble(n *Node) {
	n.Text += "!"
	for i := range n.Comment.Head {
		n.Comment.Head[i] = "!"
	}
	for _, item := range n.Items {
		scribble(item)
	}
	for _, e := range n.Entries {
		scribble(e.Key)
		scribble(e.Value)
	}
}

func TestMergeTakesKeysAsRubyDoes(t *testing.T) {
	for _, c := range []struct{ name, base, over, is string }{
		{"lists are replaced", "a: [1, 2]\n", "a: [3]\n", "{a: [#3]}"},
		{"mappings merge all the way down", "a: {b: {c: 1, d: 2}}\n", "a: {b: {d: 3, e: 4}}\n", "{a: {b: {c: #1, d: #3, e: #4}}}"},
		{"an empty value replaces", "a: {b: 1}\n", "a:\n", "{a: null}"},
		{"a mapping replaces a text", "a: x\n", "a: {b: 1}\n", "{a: {b: #1}}"},
		{"of the root's keys symbols are none others", "a: 1\n", ":a: 2\n", "{a: #2}"},
		{"of those below they are", "a: {b: 1}\n", "a: {:b: 2}\n", "{a: {b: #1, b: #2}}"},
		{"true is not its name in quotes", "a: {on: 1}\n", "a: {'true': 2, yes: 3}\n", "{a: {#true: #3, true: #2}}"},
		{"an empty file", "a: 1\n", "# nothing\n", "{a: #1}"},
	} {
		base, _, err := Read("deploy.yml", []byte(c.base))
		if err != nil {
			t.Fatal(err)
		}
		over, _, err := Read("deploy.eu.yml", []byte(c.over))
		if err != nil {
			t.Fatal(err)
		}
		got := Merge(base, over)
		if s := sketch(got); s != c.is {
			t.Errorf("%s: is %s, want %s", c.name, s, c.is)
		}
	}
}

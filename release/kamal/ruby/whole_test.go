package ruby

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the trees anew")

func TestWholeFiles(t *testing.T) {
	trees := map[string]*Node{}
	for _, name := range []string{"deploy.yml", "deploy.staging.yml", "kamal1.yml"} {
		source, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		n, problems, err := Read(name, source)
		if err != nil {
			t.Fatal(err)
		}
		trees[name] = n
		var b strings.Builder
		for _, p := range problems {
			fmt.Fprintf(&b, "! %d %s: %s\n", p.Line, p.What, p.Why)
		}
		draw(&b, n, "")
		golden(t, name, b.String())
	}
	var b strings.Builder
	draw(&b, Merge(trees["deploy.yml"], trees["deploy.staging.yml"]), "")
	golden(t, "merged", b.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".tree"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is now\n%s", path, got)
	}
}

// draw writes a tree with positions, kinds and comments, a value a line.
func draw(b *strings.Builder, n *Node, indent string) {
	for _, e := range n.Entries {
		head(b, e.Key, indent)
		fmt.Fprintf(b, "%s%s:%s\n", indent, sketch(e.Key), described(e.Value))
		draw(b, e.Value, indent+"  ")
		foot(b, e.Value, indent)
	}
	for _, item := range n.Items {
		head(b, item, indent)
		fmt.Fprintf(b, "%s-%s\n", indent, described(item))
		draw(b, item, indent+"  ")
		foot(b, item, indent)
	}
}

func described(n *Node) string {
	text := ""
	switch n.Kind {
	case Mapping:
		text = " {}"
	case Sequence:
		text = " []"
	default:
		text = fmt.Sprintf(" %q", sketch(n))
		if n.Quoted {
			text += " quoted"
		} else if n.Written != n.Text && n.Parts == nil {
			text += " of " + n.Written
		}
	}
	if n.Merged {
		text += " by *" + n.Alias
	}
	text += fmt.Sprintf(" @%d:%d", n.Line, n.Column)
	if n.Comment.Line != "" {
		text += " # " + n.Comment.Line
	}
	return text
}

func head(b *strings.Builder, n *Node, indent string) {
	for _, line := range n.Comment.Head {
		fmt.Fprintf(b, "%s# %s\n", indent, line)
	}
}

func foot(b *strings.Builder, n *Node, indent string) {
	for _, line := range n.Comment.Foot {
		fmt.Fprintf(b, "%s#< %s\n", indent, line)
	}
}

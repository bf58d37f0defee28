package ruby

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzRead looks for files that make the reader panic or hang, or that bring it to a tree that does not hold together.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil || len(files) == 0 {
		f.Fatal("no files to begin with: ", err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	for _, s := range scalars {
		f.Add("- " + s.written + "\n")
	}
	f.Fuzz(func(t *testing.T, source string) {
		n, problems, err := Read("deploy.yml", []byte(source))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "deploy.yml") {
				t.Errorf("the error names no file: %v", err)
			}
			return
		}
		lines := strings.Count(source, "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Why == "" {
				t.Errorf("%+v is in no line of %d", p, lines)
			}
		}
		sound(t, n, lines, 0)
		sound(t, Merge(n, n), lines, 0)
	})
}

// sound holds a tree to what node.go says of it.
func sound(t *testing.T, n *Node, lines, depth int) {
	t.Helper()
	if n.Line < 1 || n.Line > lines || n.Column < 1 || n.File != "deploy.yml" {
		t.Errorf("a node is at %s:%d:%d, in a file of %d lines", n.File, n.Line, n.Column, lines)
	}
	if depth > 2*maxDepth || n.Kind != Sequence && n.Items != nil || n.Kind != Mapping && n.Entries != nil || n.Parts != nil && n.Kind != String {
		t.Errorf("a node of kind %d is none", n.Kind)
	}
	text := ""
	for _, p := range n.Parts {
		text += p.Text
	}
	if n.Parts != nil && text != n.Text {
		t.Errorf("%q is not what the parts say: %q", n.Text, text)
	}
	for _, item := range n.Items {
		sound(t, item, lines, depth+1)
	}
	for _, e := range n.Entries {
		sound(t, e.Key, lines, depth+1)
		sound(t, e.Value, lines, depth+1)
	}
}

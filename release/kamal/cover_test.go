package kamal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// Nothing is dropped in silence: whatever stands in the source is in the report, by its own way or by that of what holds it.
func TestEveryKeyOfTheSourceIsInTheReport(t *testing.T) {
	for _, dir := range cases(t) {
		result, err := Import("config/deploy.yml", beside(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range result.Sources {
			tree := parsed(t, filepath.Join(dir, filepath.Base(file)), file)
			leaves(place{node: tree}, func(p place) {
				if !reported(result.Report, file, p.path) {
					t.Errorf("%s: %s of %s is in no line of the report", dir, p.path, file)
				}
			})
		}
	}
}

func TestAKeyThatNobodyKnowsIsReportedWhereverItStands(t *testing.T) {
	stood := 0
	for _, dir := range cases(t) {
		tree := parsed(t, filepath.Join(dir, "deploy.yml"), "config/deploy.yml")
		var holders []place
		mappings(place{node: tree}, func(p place) { holders = append(holders, p) })
		for _, holder := range holders {
			unknown := ruby.Entry{Key: &ruby.Node{Kind: ruby.String, Text: "zzz", File: "config/deploy.yml", Line: 7777},
				Value: &ruby.Node{Kind: ruby.String, Text: "unheard-of", File: "config/deploy.yml", Line: 7777}}
			holder.node.Entries = append(holder.node.Entries, unknown)
			opts := beside(t, dir)
			tr := newTranslation(&opts, &ledger{}, "", tree)
			tr.translate()
			if path := join(holder.path, "zzz"); !named(tr.lines, path) {
				t.Errorf("%s: %s is in no line of the report", dir, path)
			}
			holder.node.Entries = holder.node.Entries[:len(holder.node.Entries)-1]
			stood++
		}
	}
	if stood < 300 {
		t.Errorf("tried at %d places, want more", stood)
	}
}

func parsed(t *testing.T, path, file string) *ruby.Node {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tree, _, err := ruby.Read(file, source)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// named tells whether a line is about a way itself, or leaves out all of what holds it.
func named(lines []Line, path string) bool {
	for _, line := range lines {
		all := line.Severity == Dropped || line.Severity == Todo || line.What == "no registry"
		if line.Key == path || all && reported([]Line{line}, line.File, path) {
			return true
		}
	}
	return false
}

// reported tells whether a line is about a way, or about what holds it.
func reported(lines []Line, file, path string) bool {
	for _, line := range lines {
		rest, within := strings.CutPrefix(path, line.Key)
		if line.Key != "" && within && (rest == "" || rest[0] == '.' || rest[0] == '[') && (line.File == file || line.File == "") {
			return true
		}
	}
	return false
}

// leaves visits every scalar, and every mapping and list that is empty. What a root's x- key holds is not looked at, and neither is
// what an alias repeats.
func leaves(p place, visit func(place)) {
	if strings.HasPrefix(p.path, "x-") || p.node.Merged {
		return
	}
	if p.path != "" && len(p.node.Entries)+len(p.node.Items) == 0 {
		visit(p)
	}
	for _, e := range p.entries() {
		leaves(e, visit)
	}
	for _, item := range p.items() {
		leaves(item, visit)
	}
}

func mappings(p place, visit func(place)) {
	if strings.HasPrefix(p.path, "x-") {
		return
	}
	if p.mapping() {
		visit(p)
	}
	for _, e := range p.entries() {
		mappings(e, visit)
	}
	for _, item := range p.items() {
		mappings(item, visit)
	}
}

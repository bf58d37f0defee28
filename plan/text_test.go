package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var golden = flag.Bool("golden", false, "write what plans look like now into testdata")

// Each plan in testdata/*.json is shown as the .txt and the .md beside it.
func TestPlansAreShownAsText(t *testing.T) {
	shownAs(t, ".txt", func(p Plan, b *bytes.Buffer) error { return p.Text(b, TextOptions{}) })
}

func TestPlansAreShownAsMarkdown(t *testing.T) {
	shownAs(t, ".md", func(p Plan, b *bytes.Buffer) error { return p.Markdown(b) })
}

func TestColourChangesNoWordOfThePlan(t *testing.T) {
	for name, p := range handMade(t) {
		var plain, coloured bytes.Buffer
		if err := p.Text(&plain, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := p.Text(&coloured, TextOptions{Color: true}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(coloured.String(), "\x1b[") {
			t.Errorf("%s: there is no colour", name)
		}
		stripped := coloured.String()
		for _, code := range []string{green, yellow, red, blue, bold, faint, "0"} {
			stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
		}
		if stripped != plain.String() {
			t.Errorf("%s: without its colours it is\n%s\nwant\n%s", name, stripped, plain.String())
		}
	}
}

func TestNothingFromAServerReachesTheTerminalAsAControlCharacter(t *testing.T) {
	var text, markdown bytes.Buffer
	p := handMade(t)["hostile"]
	if err := p.Text(&text, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{text.String(), markdown.String()} {
		if i := strings.IndexFunc(shown, func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
			t.Errorf("control character %q in\n%s", shown[i], shown)
		}
	}
}

func TestOnlyTheItemsAreShownWhenOnlyTheyAreAskedFor(t *testing.T) {
	var b bytes.Buffer
	if err := handMade(t)["heal"].ItemsText(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := "\nweb-1\n  + container shop-web-v2 (web)  drift: it was removed\n" +
		"  - container shop-web-v3 (web)  leftover: another container of the role serves; this one is stopped\n"
	if b.String() != want {
		t.Errorf("shown\n%s\nwant\n%s", b.String(), want)
	}
}

func shownAs(t *testing.T, ext string, show func(Plan, *bytes.Buffer) error) {
	for name, p := range handMade(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := show(p, &b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+ext)
			if *golden {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("shown\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}

func handMade(t *testing.T) map[string]Plan {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no plans in testdata: %v", err)
	}
	plans := map[string]Plan{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var p Plan
		if err := json.Unmarshal(data, &p); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		plans[strings.TrimSuffix(filepath.Base(path), ".json")] = p
	}
	return plans
}

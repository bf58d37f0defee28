package plan

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostileTo gives a plan that has a text everywhere a server or a file could put one.
func hostileTo(text string) Plan {
	item := Item{Action: Update, Cause: Drift, Resource: ResourceContainer, Host: text, Role: text, Name: text, Reason: text, Risk: Downtime,
		Fields: []Field{{Path: text, Before: text, After: text}}}
	later := item
	later.Deferred = text
	return Plan{Schema: Schema, Kind: KindRelease, Version: text, Before: text, Items: []Item{item, later}, Steps: []Step{{ID: text, Kind: StepGate}},
		Unreachable: []Skipped{{Host: text, Reason: text + "!"}}, Problems: []Problem{{Host: text, Role: text, Summary: text, Next: text}},
		Groups: [][]string{{text}, {text}}}
}

var (
	// fences begin and end code spans: of as many backticks.
	fences = regexp.MustCompile("`+")
	// lines are the only beginnings that a line of a plan may have.
	lines = regexp.MustCompile(`^(|#{3,4} .*|- .*|  - .*|"?Rollout: .*|Plan: .*|\*The plan is longer .*)$`)
)

// outside gives what Markdown sees as text: all but code spans and escaped characters.
func outside(line string) string {
	var text strings.Builder
	for i := 0; i < len(line); {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			i += 2
		case line[i] == '`':
			fence := fences.FindString(line[i:])
			rest := line[i+len(fence):]
			end := -1
			for _, at := range fences.FindAllStringIndex(rest, -1) {
				if at[1]-at[0] == len(fence) {
					end = at[1]
					break
				}
			}
			if end < 0 {
				return text.String() + line[i:] // a fence that nothing closes
			}
			i += len(fence) + end
		default:
			text.WriteByte(line[i])
			i++
		}
	}
	return text.String()
}

// FuzzNothingInAPlanMeansAnythingInMarkdown: no text makes a heading, a list, a table, a link, a mention, HTML or an end of code.
func FuzzNothingInAPlanMeansAnythingInMarkdown(f *testing.F) {
	for _, text := range []string{"", "plain", "`", "a`b", "``` js", "`` ` ``", "| a | b |", "<script>alert(1)</script>", "line\nline", "\n# heading\n", "- item", "* item", "[x](http://e)",
		"![x](http://e)", "@somebody", "#12", "&lt;", "\\", "\\`", "a\\", "\x00\x1b[31m", "\xff\xfe", "\u202eabc", "~~x~~", "_a_ **b**", "https://e.test/x", "$x$", "1. one", "+ one", "=====", strings.Repeat("`x", 200)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		if err := hostileTo(text).Markdown(&b); err != nil {
			t.Fatal(err)
		}
		if b.Len() > commentLimit || !utf8.Valid(b.Bytes()) {
			t.Fatalf("%d bytes, valid: %v", b.Len(), utf8.Valid(b.Bytes()))
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if !lines.MatchString(line) {
				t.Fatalf("a line of no plan: %q in\n%s", line, b.String())
			}
			seen := strings.TrimLeft(strings.Replace(outside(line), "**", "", 2), " #-") // what is the plan's own
			if strings.HasPrefix(line, "*The plan is longer") {
				continue
			}
			if i := strings.IndexAny(seen, "`<>[]|@*~\x00\x1b"); i >= 0 {
				t.Fatalf("%q means something in %q", seen[i], line)
			}
		}
	})
}

func TestAPlanThatIsTooLongForACommentIsCutWithANote(t *testing.T) {
	p := Plan{Schema: Schema, Kind: KindRelease, Version: "v2", Steps: []Step{{ID: "a", Kind: StepTag}}}
	for i := range 2000 {
		p.Items = append(p.Items, Item{Action: Create, Cause: Change, Resource: ResourceContainer, Host: fmt.Sprintf("host-%d", i), Name: "ünïcödé", Reason: "it is not there"})
	}
	var b bytes.Buffer
	if err := p.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if len(text) > commentLimit || len(text) < commentLimit-2*ending || !strings.Contains(text, "lines left out here") || !strings.HasSuffix(text, "Plan: 2000 to create, 0 to change, 0 to replace, 0 to remove. 1 step.\n") {
		t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-300:])
	}
}

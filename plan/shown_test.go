package plan

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestAPageSaysWhatTheTextSays: every word of the text, but for those of its own layout, and no control character.
func TestAPageSaysWhatTheTextSays(t *testing.T) {
	layout := "Deferred waits: next: This cannot be carried out Left behind: left the file and cannot be reached: out: ; when it is gone for good: `kamald server forget + ~ - ± →"
	for name, p := range handMade(t) {
		var text bytes.Buffer
		if err := p.Text(&text, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		s := p.Shown()
		page := fmt.Sprintln(layout, s.Title, s.Scope, s.Choice, s.Notes, s.Summary)
		items := func(list []ShownItem) {
			for _, i := range list {
				page += fmt.Sprintln(i.Host+":", i.What, i.What+":", i.Why, i.Waits)
				for _, f := range i.Fields {
					page += fmt.Sprintln(f.Path+":", f.Before, f.After)
				}
			}
		}
		for _, host := range s.Hosts {
			page += host.Name + "\n"
			items(host.Items)
		}
		items(s.Deferred)
		for _, list := range s.Lists {
			page += fmt.Sprintln(list.Title, strings.Join(list.Lines, "\n"))
		}
		for _, problem := range s.Problems {
			page += fmt.Sprintln(problem.Where+":", problem.Summary, problem.Next)
		}
		has := map[string]bool{}
		for _, word := range strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(page)) {
			has[word] = true
		}
		for _, word := range strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(text.String())) {
			if !has[word] && !has[strings.TrimSuffix(word, ";")] && !strings.HasSuffix(word, "`") {
				t.Errorf("%s: the page does not say %q of\n%s", name, word, text.String())
			}
		}
		if i := strings.IndexFunc(page, func(r rune) bool { return r < ' ' && r != '\n' }); i >= 0 {
			t.Errorf("%s: control character %q in\n%s", name, page[i], page)
		}
	}
}

package plan

import (
	"fmt"
	"strings"
)

// Remarks are what a plan says besides its changes, under a title each.
const (
	notesTitle    = "Kept, as somebody has set it up"
	hooksTitle    = "Hooks"
	warningsTitle = "Worth knowing before it is carried out"
)

func (t *texter) remarks(title string, remarks []string) {
	for i, remark := range remarks {
		if i == 0 {
			t.line("")
			t.line("%s", t.in(yellow, title))
		}
		t.line("  %s", Printable(remark))
	}
}

func markdownRemarks(b *strings.Builder, title string, remarks []string) {
	for i, remark := range remarks {
		if i == 0 {
			fmt.Fprintf(b, "\n#### %s\n\n", title)
		}
		fmt.Fprintf(b, "- %s\n", EscapeMarkdown(remark))
	}
}

package drift

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
)

// Markdown writes the report as a comment for a merge request, no longer than GitHub takes.
func (r Report) Markdown(w io.Writer) error {
	var b, end strings.Builder
	fmt.Fprintf(&b, "### %s\n", plan.EscapeMarkdown(r.title()))
	if !r.Clean() {
		b.WriteString("\n| Severity | Class | Host | Role | What | Since | Healing would |\n|---|---|---|---|---|---|---|\n")
	}
	for _, f := range r.Findings {
		what := cell(f.Name) + ": " + cell(f.Reason)
		if f.Event != "" {
			what += " (" + cell(f.Event) + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", cell(f.Severity), cell(f.Class), cell(f.Host), cell(f.Role), what,
			f.Since.UTC().Format("2006-01-02 15:04 MST"), cell(f.Heals))
	}
	for i, g := range r.Gates {
		if i == 0 {
			end.WriteString("\n#### Not serving, on purpose\n\n")
		}
		fmt.Fprintf(&end, "- %s\n", plan.EscapeMarkdown(g.String()))
	}
	for i, host := range r.Unreachable {
		if i == 0 {
			end.WriteString("\n#### Not looked at\n\n")
		}
		fmt.Fprintf(&end, "- **%s**: %s\n", plan.EscapeMarkdown(host.Host), plan.EscapeMarkdown(host.Reason))
	}
	fmt.Fprintf(&end, "\n%s\n", plan.EscapeMarkdown(r.sum()))
	_, err := io.WriteString(w, plan.Fitted("The report", b.String(), end.String(), "kamald drift"))
	return err
}

// sum says how many findings there are, and when that was.
func (r Report) sum() string {
	at := "Looked at " + r.At.UTC().Format(time.RFC3339)
	if r.Clean() {
		return at + "."
	}
	return r.counts() + ". " + at + "."
}

// cell is a text in a table: one that is empty has a dash.
func cell(text string) string { return orDash(plan.EscapeMarkdown(text)) }

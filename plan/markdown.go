package plan

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the plan as a comment for a pull request: the same as Text, in GitHub's Markdown, and no longer than GitHub
// takes.
func (p Plan) Markdown(w io.Writer) error {
	var b strings.Builder
	o := p.outline()
	fmt.Fprintf(&b, "### %s\n", EscapeMarkdown(o.title))
	markdownChoice(&b, p.VersionPolicy)
	if o.scope != "" {
		fmt.Fprintf(&b, "\n%s\n", EscapeMarkdown(o.scope))
	}
	for _, host := range o.hosts {
		fmt.Fprintf(&b, "\n#### %s\n\n", EscapeMarkdown(host.name))
		for _, item := range host.items {
			markdownItem(&b, item, "")
		}
	}
	if len(p.Moved) > 0 {
		b.WriteString("\n#### Moved by hand\n\n")
		for _, m := range p.Moved {
			fmt.Fprintf(&b, "- %s\n", EscapeMarkdown(m.String()))
		}
	}
	markdownGates(&b, p.Gates)
	markdownRemarks(&b, hooksTitle, o.hooks)
	markdownRemarks(&b, notesTitle, p.Notes)
	markdownRemarks(&b, warningsTitle, p.Warnings)
	if len(o.deferred) > 0 {
		b.WriteString("\n#### Deferred\n\n")
		for _, item := range o.deferred {
			markdownItem(&b, item, EscapeMarkdown(item.Host)+": ")
			if item.Deferred != p.Waits {
				fmt.Fprintf(&b, "  - waits: %s\n", EscapeMarkdown(item.Deferred))
			}
		}
	}
	markdownHosts(&b, "Unreachable", o.skipped)
	markdownHosts(&b, "Left out", p.Cordoned)
	markdownHosts(&b, "Left behind: they left the file and cannot be reached", p.Left)
	if len(p.Problems) > 0 {
		b.WriteString("\n#### This cannot be carried out\n\n")
		for _, problem := range p.Problems {
			fmt.Fprintf(&b, "- **%s**: %s\n  - next: %s\n", EscapeMarkdown(problem.where()), EscapeMarkdown(problem.Summary), EscapeMarkdown(problem.Next))
		}
	}
	var end strings.Builder
	for _, last := range []string{o.pinned, o.rollout, o.unrecorded, o.summary} {
		if last != "" {
			fmt.Fprintf(&end, "\n%s\n", EscapeMarkdown(last))
		}
	}
	_, err := io.WriteString(w, Fitted("The plan", b.String(), end.String(), "kamald plan"))
	return err
}

func markdownHosts(b *strings.Builder, title string, hosts []Skipped) {
	for i, host := range hosts {
		if i == 0 {
			fmt.Fprintf(b, "\n#### %s\n\n", title)
		}
		fmt.Fprintf(b, "- **%s**: %s\n", EscapeMarkdown(host.Host), EscapeMarkdown(host.Reason))
	}
}

func markdownItem(b *strings.Builder, item Item, prefix string) {
	fmt.Fprintf(b, "- %s`%s` %s: %s\n", prefix, item.Action, code(item.what()), EscapeMarkdown(item.why()))
	for _, f := range item.Fields {
		before, after := f.values()
		fmt.Fprintf(b, "  - %s: %s → %s\n", EscapeMarkdown(f.Path), code(before), code(after))
	}
}

// EscapeMarkdown keeps a text from meaning anything in Markdown or HTML, on one line.
func EscapeMarkdown(text string) string {
	return markup.Replace(Printable(strings.Join(strings.Fields(text), " ")))
}

var markup = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", "\\|", "#", "\\#", "@", "&#64;", "~", "\\~")

// code is a code span that holds the text, whatever is in it.
func code(text string) string {
	text = Printable(strings.Join(strings.Fields(text), " "))
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

package plan

import (
	"fmt"
	"io"
	"strings"
)

// TextOptions are how a plan is shown.
type TextOptions struct {
	Color bool // with ANSI colours, for terminals
}

// The colours of actions and words.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	blue   = "34"
	bold   = "1"
	faint  = "2"
)

var actionColors = map[Action]string{Create: green, Update: yellow, Replace: blue, Remove: red}

// Text writes the plan for a person: what it would do, then each host's things with their reasons and differences, what waits,
// what is wrong, and a summary. Values of secrets are not in a plan, so none is shown.
func (p Plan) Text(w io.Writer, opts TextOptions) error {
	t := &texter{color: opts.Color}
	o := p.outline()
	t.line("%s", t.in(bold, Printable(o.title)))
	t.choice(p.VersionPolicy)
	if o.scope != "" {
		t.line("%s", Printable(o.scope))
	}
	t.hosts(o)
	t.moved(p.Moved)
	t.gates(p.Gates)
	t.remarks(hooksTitle, o.hooks)
	t.remarks(notesTitle, p.Notes)
	t.remarks(warningsTitle, p.Warnings)
	t.deferred(o.deferred, p.Waits)
	t.leftOut(p, o.skipped)
	t.problems(p.Problems)
	for _, note := range []string{Printable(o.pinned), o.rollout, o.unrecorded} {
		if note != "" {
			t.line("")
			t.line("%s", note)
		}
	}
	if o.summary != "" {
		t.line("")
		t.line("%s", o.summary)
	}
	_, err := io.WriteString(w, t.text.String())
	return err
}

// ItemsText writes only each host's things, as Text does.
func (p Plan) ItemsText(w io.Writer, opts TextOptions) error {
	t := &texter{color: opts.Color}
	t.hosts(p.outline())
	_, err := io.WriteString(w, t.text.String())
	return err
}

type texter struct {
	text  strings.Builder
	color bool
}

func (t *texter) line(format string, args ...any) {
	fmt.Fprintf(&t.text, format, args...)
	t.text.WriteByte('\n')
}

func (t *texter) hosts(o outline) {
	for _, host := range o.hosts {
		t.line("")
		t.line("%s", t.in(bold, host.name))
		for _, item := range host.items {
			t.item(item)
		}
	}
}

func (t *texter) moved(moves []HandMove) {
	if len(moves) == 0 {
		return
	}
	t.line("")
	t.line("%s", t.in(yellow, "Moved by hand"))
	for _, m := range moves {
		t.line("  %s", m)
	}
}

// deferred says of each item what it waits for, where that is not what the whole plan waits for.
func (t *texter) deferred(items []Item, all string) {
	if len(items) == 0 {
		return
	}
	t.line("")
	t.line("%s", t.in(bold, "Deferred"))
	for _, item := range items {
		t.line("  %s %s: %s: %s", t.symbol(item.Action), item.Host, Printable(item.what()), Printable(item.why()))
		t.fields(item)
		if item.Deferred != all {
			t.line("      waits: %s", Printable(item.Deferred))
		}
	}
}

// leftOut names the hosts that the plan does not touch: out of reach, cordoned, or no longer in the file.
func (t *texter) leftOut(p Plan, unreachable []Skipped) {
	if len(unreachable) > 0 {
		t.line("")
		t.line("%s", t.in(bold, "Unreachable"))
		for _, host := range unreachable {
			t.line("  %s: %s", host.Host, indent(host.Reason))
		}
	}
	for _, host := range p.Cordoned {
		t.line("")
		t.line("Left out: %s: %s", host.Host, indent(host.Reason))
	}
	for _, host := range p.Left {
		t.line("")
		t.line("Left behind: %s left the file and cannot be reached: %s; when it is gone for good: `kamald server forget %s`", host.Host, indent(host.Reason), host.Host)
	}
}

func (t *texter) problems(problems []Problem) {
	if len(problems) == 0 {
		return
	}
	t.line("")
	t.line("%s", t.in(red, "This cannot be carried out"))
	for _, problem := range problems {
		t.line("  %s: %s", problem.where(), indent(problem.Summary))
		t.line("    next: %s", indent(problem.Next))
	}
}

func (t *texter) item(item Item) {
	t.line("  %s %s  %s", t.symbol(item.Action), Printable(item.what()), t.in(faint, Printable(item.why())))
	t.fields(item)
}

func (t *texter) fields(item Item) {
	for _, f := range item.Fields {
		before, after := f.values()
		t.line("      %s: %s → %s", Printable(f.Path), before, after)
	}
}

func (t *texter) symbol(a Action) string { return t.in(actionColors[a], string(a)) }

func (t *texter) in(code, text string) string {
	if !t.color || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// indent keeps the lines of a text that has several, and nothing that would disturb a terminal.
func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = Printable(strings.TrimRight(line, "\r"))
	}
	return strings.Join(lines, "\n      ")
}

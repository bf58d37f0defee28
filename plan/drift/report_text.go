package drift

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// TextOptions are how a report is shown.
type TextOptions struct {
	Color bool // with ANSI colours, for terminals
}

var colors = map[string]string{Critical: "31", Warning: "33", Info: "2"}

// Text writes the report for a person: a line of columns and one of reasons for each finding, what does not serve on purpose, what was
// not looked at, and what to do next.
func (r Report) Text(w io.Writer, opts TextOptions) error {
	var b strings.Builder
	if r.Clean() {
		fmt.Fprintf(&b, "%s\n", r.title())
	} else {
		fmt.Fprintf(&b, "%s\n\n", colored(opts.Color, "1", r.title()+":"))
		r.rows(&b, opts)
		fmt.Fprintf(&b, "\nnext: %s\n", r.next())
	}
	for _, g := range r.Gates {
		fmt.Fprintf(&b, "on purpose: %s\n", g)
	}
	for _, host := range r.Unreachable {
		fmt.Fprintf(&b, "%s: unreachable: %s\n", line(host.Host), line(host.Reason))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rows are the findings in columns.
func (r Report) rows(b *strings.Builder, opts TextOptions) {
	table := [][]string{{"SEVERITY", "CLASS", "HOST", "ROLE", "WHAT", "SINCE", "EVENT", "HEALING WOULD"}}
	for _, f := range r.Findings {
		table = append(table, []string{line(f.Severity), line(f.Class), line(f.Host), orDash(line(f.Role)), line(f.Name), r.age(f), orDash(line(f.Event)), orDash(line(f.Heals))})
	}
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range table {
		var text strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if i == 0 && n > 0 {
				cell = colored(opts.Color, colors[cell], cell)
			}
			text.WriteString(cell + pad)
		}
		fmt.Fprintln(b, strings.TrimRight(text.String(), " "))
		if n > 0 {
			fmt.Fprintf(b, "  %s\n", line(r.Findings[n-1].Reason))
		}
	}
}

// title is what the report comes to, in a line.
func (r Report) title() string {
	if r.Clean() {
		return line(fmt.Sprintf("No drift: %s %s runs as %s says.", r.App, r.Version, r.Against))
	}
	return line(fmt.Sprintf("%s %s is not as %s says", r.App, r.Version, r.Against))
}

// counts says how many findings there are of each severity: "2 critical, 1 warning".
func (r Report) counts() string {
	var parts []string
	for _, severity := range []string{Critical, Warning, Info} {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == severity {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	return strings.Join(parts, ", ")
}

// next says what to do: what somebody moved to another version is not put back unasked.
func (r Report) next() string {
	for _, f := range r.Findings {
		if f.Class == string(plan.DriftMoved) {
			return "`kamald adopt` takes what runs now as the held release, `kamald release VERSION` goes to that version"
		}
	}
	return "`kamald apply` heals it"
}

// age is since when a finding is known: "now" of one that this look saw first.
func (r Report) age(f state.Finding) string {
	switch age := r.At.Sub(f.Since); {
	case age < time.Second:
		return "now"
	case age < time.Minute:
		return fmt.Sprintf("%ds", int(age.Seconds()))
	case age < time.Hour:
		return fmt.Sprintf("%dm", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", int(age.Hours()))
	default:
		return fmt.Sprintf("%dd", int(age.Hours()/24))
	}
}

// line is a text on one line that disturbs no terminal and no reader: texts come from servers, too.
func line(text string) string { return plan.Printable(strings.Join(strings.Fields(text), " ")) }

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func colored(color bool, code, text string) string {
	if !color || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

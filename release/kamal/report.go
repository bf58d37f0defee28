package kamal

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity is what became of a key.
type Severity string

// What can become of a key.
const (
	Translated Severity = "translated" // it says the same in deploy.hcl
	Changed    Severity = "changed"    // it stands there, and differs in the way that Why tells
	Dropped    Severity = "dropped"    // it has no counterpart
	Todo       Severity = "todo"       // a person must look at it before the first plan
)

// leftOut is what becomes of a key that has no counterpart.
const leftOut = "left out"

// Line tells what became of one key of the source. No line has a secret's value.
type Line struct {
	File     string   `json:"file"`
	Line     int      `json:"line"` // from 1; 0: it is not of one line
	Key      string   `json:"key"`  // servers.web.hosts[0]
	What     string   `json:"what"` // where it went, or what was done
	Why      string   `json:"why,omitempty"`
	Severity Severity `json:"severity"`
}

// Report is what became of every key, by file and line.
type Report []Line

// Count tells how many lines have a severity.
func (r Report) Count(s Severity) int {
	n := 0
	for _, line := range r {
		if line.Severity == s {
			n++
		}
	}
	return n
}

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, part := range []struct {
		severity Severity
		title    string
	}{{Todo, "For you to do"}, {Changed, "Changed"}, {Dropped, "Left out"}} {
		if r.Count(part.severity) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s:\n", part.title)
		for _, line := range r {
			if line.Severity == part.severity {
				fmt.Fprintf(&b, "  %s\n", line)
			}
		}
		b.WriteString("\n")
	}
	r.translated(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// String is one line of the report.
func (l Line) String() string {
	text := l.File
	if l.Line > 0 {
		text += fmt.Sprintf(":%d", l.Line)
	}
	if l.Key != "" {
		text += " " + l.Key
	}
	if l.What == leftOut && l.Why != "" {
		return text + ": " + l.Why
	}
	text += ": " + l.What
	if l.Why != "" {
		text += ": " + l.Why
	}
	return text
}

// translated lists what came over as it was, a file in a paragraph.
func (r Report) translated(b *strings.Builder) {
	var files []string
	for _, line := range r {
		if line.Severity == Translated && !slices.Contains(files, line.File) {
			files = append(files, line.File)
		}
	}
	for _, file := range files {
		column, open := 0, ""
		fmt.Fprintf(b, "Translated of %s:", file)
		for _, line := range r {
			if line.Severity != Translated || line.File != file {
				continue
			}
			item := line.Key
			if line.What != line.Key {
				item += " → " + line.What
			}
			if column == 0 || column+len(item) > width {
				open, column = "\n  ", 0
			}
			b.WriteString(open + item + ",")
			open, column = " ", column+len(item)+2
		}
		text := strings.TrimSuffix(b.String(), ",")
		b.Reset()
		b.WriteString(text + ".\n")
	}
}

// sorted puts the lines in the order of the source: the file's own first, then its destinations'.
func (r Report) sorted(files []string) Report {
	slices.SortStableFunc(r, func(a, b Line) int {
		return cmp.Or(slices.Index(files, a.File)-slices.Index(files, b.File), a.Line-b.Line)
	})
	return r
}

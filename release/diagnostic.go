package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// plainWidth is where Error wraps its text.
const plainWidth = 100

// Diagnostics are all problems of a file and its overlays, errors and warnings, each with its place. As an error it renders
// every one with its source line.
type Diagnostics struct {
	all   hcl.Diagnostics
	files map[string]*hcl.File
}

// Diagnostic is one problem as data.
type Diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`   // from 1
	Column   int    `json:"column,omitempty"` // from 1, in characters
}

// HasErrors tells whether anything is wrong; warnings alone are not.
func (d Diagnostics) HasErrors() bool { return d.all.HasErrors() }

// Len is the number of problems, warnings included.
func (d Diagnostics) Len() int { return len(d.all) }

// Err is d when it has errors, else nil.
func (d Diagnostics) Err() error {
	if !d.HasErrors() {
		return nil
	}
	return d
}

// Error implements error: every problem with file, line and snippet, uncoloured.
func (d Diagnostics) Error() string {
	var b strings.Builder
	if err := d.Print(&b, plainWidth, false); err != nil {
		return fmt.Sprintf("the file has %d problems, and they could not be rendered: %v", len(d.all), err)
	}
	return strings.TrimRight(b.String(), "\n")
}

// Print renders every problem with file, line and snippet, wrapped at width characters (0: not at all).
func (d Diagnostics) Print(w io.Writer, width int, color bool) error {
	return hcl.NewDiagnosticTextWriter(w, d.files, uint(max(width, 0)), color).WriteDiagnostics(d.all)
}

// List gives every problem as data, in the order that they are printed.
func (d Diagnostics) List() []Diagnostic {
	list := []Diagnostic{}
	for _, diag := range d.all {
		item := Diagnostic{Severity: "error", Summary: diag.Summary, Detail: diag.Detail}
		if diag.Severity == hcl.DiagWarning {
			item.Severity = "warning"
		}
		if diag.Subject != nil {
			item.File, item.Line, item.Column = diag.Subject.Filename, diag.Subject.Start.Line, diag.Subject.Start.Column
		}
		list = append(list, item)
	}
	return list
}

// MarshalJSON implements json.Marshaler: the list of problems.
func (d Diagnostics) MarshalJSON() ([]byte, error) { return json.Marshal(d.List()) }

// masked is a copy of the files in which the given ranges are starred out: a snippet must not show a password that was
// written where a reference belongs.
func masked(files map[string]*hcl.File, ranges []hcl.Range) map[string]*hcl.File {
	copies := map[string]*hcl.File{}
	for name, file := range files {
		c := *file
		c.Bytes = bytes.Clone(file.Bytes)
		copies[name] = &c
	}
	for _, r := range ranges {
		file, ok := copies[r.Filename]
		if !ok {
			continue
		}
		for i := max(r.Start.Byte, 0); i < min(r.End.Byte, len(file.Bytes)); i++ {
			if file.Bytes[i] != '\n' {
				file.Bytes[i] = '*'
			}
		}
	}
	return copies
}

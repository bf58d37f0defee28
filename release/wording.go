package release

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// HCL's own messages speak of arguments and tuples, and know nothing of this vocabulary. These say the same in its words.

var (
	redefined = regexp.MustCompile(`\AThe argument "(.*)" was already set at (.*:[0-9]+),.*\z`)
	yamlLine  = regexp.MustCompile(`(?m)\A[ \t-]*[A-Za-z_][A-Za-z0-9_-]*[ \t]*:`)
	yamlLines = regexp.MustCompile(`(?m)^[a-z_]+:(?:[ \t].*)?$`)
)

// typeNames are HCL's words for types, and this vocabulary's.
var typeNames = strings.NewReplacer("have tuple", "this is a list", "have object", "this is names and values in braces", "have string", "this is a string",
	"have number", "this is a number", "have bool", "this is true or false", "string required", "it takes a string", "number required", "it takes a number",
	"list of string required", "it takes a list of strings")

// reworded is a diagnostic of HCL's in the words of this vocabulary.
func reworded(diag *hcl.Diagnostic) *hcl.Diagnostic {
	d := *diag
	d.Expression, d.EvalContext = nil, nil // or the values of what the expression reads would be printed
	switch d.Summary {
	case "Unknown variable":
		switch {
		case strings.Contains(d.Detail, `"var"`):
			d.Detail += ` What the file sets itself stands in locals { } and is read as local.NAME; env("NAME") reads the environment.`
		case !strings.Contains(d.Detail, "Did you mean"):
			d.Detail += " A text stands in quotes."
		}
	case "Invalid function argument":
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag); ok {
			d.Detail = fmt.Sprintf("%s cannot take this: %s", call.CalledFunctionName(), typeNames.Replace(afterColon(d.Detail)))
		}
	case "Error in function call":
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag); ok {
			d.Summary, d.Detail = "Function failed", fmt.Sprintf("%s: %s", call.CalledFunctionName(), afterColon(d.Detail))
		}
	case "Attribute redefined":
		if m := redefined.FindStringSubmatch(d.Detail); m != nil {
			d.Summary, d.Detail = "Attribute twice", fmt.Sprintf("%s stands at %s already.", m[1], m[2])
		}
	}
	return &d
}

func afterColon(text string) string {
	_, after, found := strings.Cut(text, ": ")
	if !found {
		return text
	}
	return after
}

// shownParsed is how many of the parser's complaints are shown.
const shownParsed = 10

// parsed are the parser's diagnostics. Of a file that is YAML it says so once.
func parsed(diags hcl.Diagnostics, data []byte) hcl.Diagnostics {
	var kept hcl.Diagnostics
	colons := 0
	for n, diag := range diags {
		if len(kept) == shownParsed {
			last := *kept[shownParsed-1]
			last.Detail += fmt.Sprintf(" %d more like this follow.", len(diags)-n)
			kept[shownParsed-1] = &last
			break
		}
		if diag.Summary == "Invalid character" && diag.Subject != nil && strings.HasPrefix(diag.Detail, "This character is not used") {
			r, _ := utf8.DecodeRune(data[min(diag.Subject.Start.Byte, len(data)):])
			d := *diag
			d.Detail = fmt.Sprintf("The character %#U has no meaning here; it may look like another, like a space, or like nothing.", r)
			kept = append(kept, &d)
			continue
		}
		if diag.Summary == "Argument or block definition required" && spoiled(diags, diag.Subject) {
			continue
		}
		if diag.Summary != "Argument or block definition required" || diag.Subject == nil || !yamlLine.Match(data[lineStart(data, diag.Subject.Start.Byte):]) {
			kept = append(kept, diag)
			continue
		}
		if colons++; colons > 1 {
			continue
		}
		d := *diag
		d.Summary, d.Detail = "Not HCL", `A value is given with "=", in place of ":": name = value.`
		if len(yamlLines.FindAll(data, 2)) > 1 {
			d.Detail += " The file looks like YAML: `kamald import FILE` makes a deploy.hcl of a Kamal configuration."
		}
		kept = append(kept, &d)
	}
	return kept
}

// spoiled tells whether a character that means nothing stands on that line: then that is what is wrong with it.
func spoiled(diags hcl.Diagnostics, place *hcl.Range) bool {
	return slices.ContainsFunc(diags, func(other *hcl.Diagnostic) bool {
		return other.Summary == "Invalid character" && other.Subject != nil && place != nil && other.Subject.Start.Line == place.Start.Line
	})
}

func lineStart(data []byte, at int) int {
	return bytes.LastIndexByte(data[:min(at, len(data))], '\n') + 1
}

package kamal

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/release/kamal/ruby"
)

// expression is what a Ruby expression became.
type expression struct {
	source string // in HCL
	list   bool   // it gives a list
	why    string // it has no counterpart, and this is why; source is empty then
	said   []string
}

var (
	headSHA    = regexp.MustCompile(`\Agit rev-parse (?:--verify )?HEAD\z`)
	shortSHA   = regexp.MustCompile(`\Agit (?:rev-parse (?:--verify )?--short(?:=[0-9]+)? HEAD|log -1 --(?:pretty|format)[= ](?:format:)?['"]?%h['"]?|describe --always)\z`)
	branchName = regexp.MustCompile(`\Agit (?:rev-parse --abbrev-ref HEAD|branch --show-current|symbolic-ref --short HEAD)\z`)
	cutToSeven = regexp.MustCompile(`\A(?:\[\]|slice)?\(?\[?0(?:\.\.6|\.\.\.7|,\s*7)\]?\)?\z`)
)

// expressed writes a Ruby expression as HCL. With required, an unset variable is an error and not an empty text.
func expressed(e *ruby.Expr, required bool) expression {
	var x expression
	calls := e.Calls
	switch e.Kind {
	case ruby.Env:
		x = envExpression(e, required)
	case ruby.File:
		x = expression{source: "file(" + quote(e.Name) + ")"}
		if len(calls) > 0 && (calls[0].Method == "strip" || calls[0].Method == "chomp") {
			x.source, calls = "replace("+x.source+`, "\n", "")`, calls[1:]
		}
	case ruby.Command:
		x, calls = commandExpression(e)
	default:
		x.why = "Ruby computes it (" + shortened(e.Source) + "), and kamald runs no Ruby"
	}
	for _, call := range calls {
		if x.why != "" {
			return x
		}
		x.call(call)
	}
	return x
}

const shownSource = 60

// shortened is a source on one short line.
func shortened(source string) string {
	runes := []rune(strings.Join(strings.Fields(source), " "))
	if len(runes) > shownSource {
		return string(runes[:shownSource]) + "…"
	}
	return string(runes)
}

func envExpression(e *ruby.Expr, required bool) expression {
	if e.Default == nil {
		if e.Required || required {
			return expression{source: "env(" + quote(e.Name) + ")"}
		}
		return expression{source: "env(" + quote(e.Name) + `, "")`}
	}
	other := template(e.Default, false)
	if other.why != "" {
		return other
	}
	other.source = "env(" + quote(e.Name) + ", " + other.source + ")"
	return other
}

// commandExpression knows the commands that ask git; calls that are left over come back.
func commandExpression(e *ruby.Expr) (expression, []ruby.Call) {
	command := strings.Join(strings.Fields(e.Name), " ")
	command = strings.TrimSuffix(strings.TrimSuffix(command, " 2>/dev/null"), " 2> /dev/null")
	var rest []ruby.Call
	short := shortSHA.MatchString(command)
	for _, call := range e.Calls {
		all := call.Method + strings.Join(call.Args, ",")
		switch {
		case call.Method == "strip" || call.Method == "chomp" || call.Method == "to_s":
		case headSHA.MatchString(command) && (all == "first7" || cutToSeven.MatchString(strings.Trim(all, "[]")) || cutToSeven.MatchString(all)):
			short = true
		default:
			rest = append(rest, call)
		}
	}
	switch {
	case short:
		return expression{source: "git.short_sha"}, rest
	case headSHA.MatchString(command):
		return expression{source: "git.sha"}, rest
	case branchName.MatchString(command):
		return expression{source: "git.branch"}, rest
	}
	return expression{why: "it is a command's output (" + shortened(e.Name) + "), and only secrets are computed by commands; git.sha, git.short_sha and git.branch are known"}, nil
}

// call applies a Ruby method.
func (x *expression) call(c ruby.Call) {
	switch c.Method {
	case "upcase":
		x.source = "upper(" + x.source + ")"
	case "downcase":
		x.source = "lower(" + x.source + ")"
	case "split":
		separator := " "
		if len(c.Args) > 0 {
			separator = c.Args[0]
		}
		x.source, x.list = "split("+quote(separator)+", "+x.source+")", true
	case "gsub", "sub", "tr":
		if len(c.Args) != 2 || c.Method == "sub" || c.Method == "tr" && (len(c.Args[0]) != 1 || len(c.Args[1]) != 1) {
			*x = expression{why: "Ruby's " + c.Method + " has no counterpart"}
			return
		}
		x.source = "replace(" + x.source + ", " + quote(c.Args[0]) + ", " + quote(c.Args[1]) + ")"
	case "strip", "chomp":
		x.said = append(x.said, "kamald takes the value without Ruby's "+c.Method)
	case "map":
		if len(c.Args) != 1 || c.Args[0] != "&:strip" && c.Args[0] != "strip" {
			*x = expression{why: "Ruby's map has no counterpart"}
		}
		x.said = append(x.said, "kamald does not take spaces away around the parts")
	case "to_s", "to_i", "to_a", "to_json", "inspect", "freeze", "dup", "presence":
	default:
		*x = expression{why: fmt.Sprintf("Ruby's %s has no counterpart", c.Method)}
	}
}

// single has no counterpart where it is a list, and one thing of a kind belongs there.
func (x expression) single(kind string) expression {
	if x.why == "" && x.list {
		return expression{why: "a list stands where " + kind + " belongs"}
	}
	return x
}

// template writes text and expressions as one HCL expression.
func template(parts []ruby.Part, required bool) expression {
	if len(parts) == 1 && parts[0].Expr != nil {
		return expressed(parts[0].Expr, required)
	}
	var all expression
	var pieces []release.Piece
	for _, part := range parts {
		if part.Expr == nil {
			pieces = append(pieces, release.Piece{Text: part.Text})
			continue
		}
		x := expressed(part.Expr, required)
		if x.list {
			x = expression{why: "a list stands within a text"}
		}
		if x.why != "" {
			return x
		}
		pieces = append(pieces, release.Piece{Text: x.source, Expression: true})
		all.said = append(all.said, x.said...)
	}
	all.source = release.Template(pieces)
	return all
}

// source writes a scalar as HCL.
func source(p place, required bool) expression {
	if p.open() {
		return template(p.node.Parts, required)
	}
	return expression{source: quote(p.text())}
}

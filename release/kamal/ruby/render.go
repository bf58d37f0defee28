package ruby

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// renderer writes a template out as ERB does, with placeholders for what only a run could tell.
type renderer struct {
	file         string
	origin       *origin
	placeholders *placeholders
	problems     []Problem
	out          []byte
	line         int // where the line begins that is being written
	evaluator    *evaluator
	at           int // of the tag that is at work
	pending      []Problem
	err          error
}

func newRenderer(file, source string) *renderer {
	r := &renderer{file: file, origin: newOrigin(source), placeholders: newPlaceholders(source)}
	r.evaluator = &evaluator{variables: map[string]value{}, tell: func(what, why string) {
		r.pending = append(r.pending, r.problem(r.at, what, why))
	}}
	return r
}

// render gives the text that is YAML.
func (r *renderer) render() (string, error) {
	tokens, err := tokenize(r.origin.source)
	if err != nil {
		return "", fmt.Errorf("%s:%w", r.file, err)
	}
	elements, err := structure(tokens)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.file, err)
	}
	r.all(elements)
	return string(r.out), r.err
}

func (r *renderer) all(elements []element) {
	for _, e := range elements {
		r.at = e.token.at
		if r.evaluator.steps++; r.evaluator.steps > maxSteps && r.err == nil {
			line, _ := r.origin.position(r.at)
			r.err = fmt.Errorf("%s:%d: more than %d steps of Ruby", r.file, line, maxSteps)
		}
		if r.err != nil {
			return
		}
		switch {
		case e.branches != nil:
			r.block(e)
		case e.statement != nil:
			r.statement(*e.statement)
		case e.token.kind == textToken:
			r.write(e.token.text, e.token.at, true)
		case e.token.kind == outputToken:
			r.output(e.token)
		}
	}
}

// write adds text that comes from a place in the file.
func (r *renderer) write(text string, at int, copied bool) {
	if len(r.out)+len(text) > maxRendered {
		line, _ := r.origin.position(at)
		r.err = fmt.Errorf("%s:%d: what ERB makes of the file is larger than %d bytes", r.file, line, maxRendered)
		return
	}
	r.origin.segments = append(r.origin.segments, segment{rendered: len(r.out), source: at, copied: copied})
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		r.line = len(r.out) + i + 1
	}
	r.out = append(r.out, text...)
}

func (r *renderer) problem(at int, what, why string) Problem {
	line, _ := r.origin.position(at)
	return Problem{File: r.file, Line: line, What: shorten(what), Why: why}
}

// output writes what <%= %> prints.
func (r *renderer) output(t token) {
	written := r.origin.source[t.at:t.to]
	parts := r.evaluator.output(t.text)
	for _, p := range parts {
		if p.Expr == nil {
			r.write(p.Text, t.at, false)
			continue
		}
		if len(parts) > 1 { // each stands for itself, with known text between
			written = "<%= " + p.Expr.Source + " %>"
		}
		r.expression(p.Expr, written, r.pending)
		r.pending = nil
	}
	r.problems, r.pending = append(r.problems, r.pending...), nil
}

// expression writes a placeholder.
func (r *renderer) expression(x *Expr, written string, problems []Problem) {
	expr := *x
	line, _ := r.origin.position(r.at)
	expr.Line = line
	m := &mark{expr: &expr, written: written, line: line, at: len(r.out), problems: problems}
	word := r.placeholders.add(m)
	m.length = len(word)
	r.write(word, r.at, false)
}

// statement runs what <% %> says, as far as it can be known.
func (r *renderer) statement(s statement) {
	switch {
	case s.kind != plainStatement:
		r.tell(r.at, s.source, "ends a block that was not begun")
	case s.syntax == nil:
		r.forget(s.source)
		r.tell(r.at, s.source, "Ruby that is not understood, and is not run")
	default:
		v := r.evaluator.eval(s.syntax)
		if len(r.pending) == 0 && v.kind == askedValue && v.expr.Kind == Unknown {
			r.tell(r.at, s.source, loads(s.source))
		}
	}
	if !r.commented() {
		r.problems = append(r.problems, r.pending...)
	}
	r.pending = nil
}

var loading = regexp.MustCompile(`^(?:require|require_relative|load|gem|Dotenv|Bundler)\b`)

// loads says why a statement is not run.
func loads(source string) string {
	if loading.MatchString(source) {
		return "loads Ruby or changes the environment; nothing here runs it: set what it would set before kamald is called"
	}
	return "Ruby that is not understood, and is not run"
}

// tell adds a problem, but for what stands in a comment.
func (r *renderer) tell(at int, what, why string) {
	if !r.commented() {
		r.problems = append(r.problems, r.problem(at, what, why))
	}
}

// commented tells whether the line that is being written is a comment.
func (r *renderer) commented() bool {
	return bytes.HasPrefix(bytes.TrimLeft(r.out[r.line:], " \t"), []byte("#"))
}

var assignment = regexp.MustCompile(`([@$]?\b[A-Za-z_]\w*)\s*(?:[-+*|&<]{0,2}=(?:[^=~>]|$)|<<|\.(?:push|append|concat|unshift|prepend|delete|clear|merge!|\w+!))`)

// forget makes unknown what code that is left out might have set.
func (r *renderer) forget(code string) {
	for _, m := range assignment.FindAllStringSubmatch(code, -1) {
		r.evaluator.forgetName(m[1], strings.TrimSpace(code))
	}
}

// block writes the branch that is taken, or a loop's body for each item; else it leaves the block out and says so.
func (r *renderer) block(e element) {
	switch head := e.branches[0].head; {
	case !e.closed:
		r.leaveOut(e, "a block that has no end")
	case head.syntax != nil && (head.text == "if" || head.text == "unless"):
		r.choose(e)
	case head.syntax != nil && head.text == "each" && len(e.branches) == 1:
		r.loop(e)
	default:
		r.leaveOut(e, "Ruby that is not understood, and is not run")
	}
}

func (r *renderer) choose(e element) {
	for _, b := range e.branches {
		if b.head.text == "else" {
			r.all(b.body)
			return
		}
		if b.head.syntax == nil {
			r.leaveOut(e, undecided)
			return
		}
		truth, decided := r.evaluator.truth(b.head.syntax)
		if !decided {
			r.pending = nil
			r.leaveOut(e, undecided)
			return
		}
		if truth != (b.head.text == "unless") {
			r.all(b.body)
			return
		}
	}
}

func (r *renderer) loop(e element) {
	head := e.branches[0].head
	call := head.syntax
	rounds, ok := r.rounds(call)
	if !ok || jumps(e.branches[0].body) {
		r.pending = nil
		r.leaveOut(e, "a loop over what only a run could tell")
		return
	}
	for _, round := range rounds {
		r.evaluator.steps++
		r.evaluator.within(head.params, round, func() { r.all(e.branches[0].body) })
	}
}

// rounds gives the arguments of a loop's block, round by round.
func (r *renderer) rounds(call *syntax) ([][]value, bool) {
	if call.kind != callSyntax || call.on == nil || !slices.Contains(looping, call.text) {
		return nil, false
	}
	on, first := call.on, int64(0)
	if call.text == "with_index" || call.text == "each_with_index" {
		if call.text == "with_index" {
			if on.kind != callSyntax || on.text != "each" || on.on == nil {
				return nil, false
			}
			on = on.on
		}
	}
	var args []value
	for _, arg := range call.args {
		args = append(args, r.evaluator.eval(arg))
	}
	name := call.text
	if name == "with_index" {
		name = "each_with_index"
		if len(args) == 1 {
			first = args[0].number
		}
	}
	rounds, ok := enumerate(r.evaluator.eval(on), name, args)
	for i := range rounds {
		if first != 0 && len(rounds[i]) == 2 {
			rounds[i][1].number += first
		}
	}
	return rounds, ok
}

// looping are the methods whose blocks are written out.
var looping = []string{"each", "each_with_index", "with_index", "times", "upto", "each_pair"}

// leaveOut tells of a block that is left out, and of its lines. One within a line is an expression there.
func (r *renderer) leaveOut(e element, why string) {
	from, to := e.token.at, e.to
	source := r.origin.source[from:to]
	r.forget(source)
	if !strings.Contains(source, "\n") && !alone(r.origin.source, from, to) {
		r.at = from
		r.expression(&Expr{Source: source}, source, []Problem{r.problem(from, source, why)})
		return
	}
	head, _, _ := strings.Cut(source, "\n")
	r.tell(from, head, why)
	r.tellRest(from, from+len(head)+1, to)
}

// tellRest tells of the lines that are left out with the one before them: of a few one by one, of many in one.
func (r *renderer) tellRest(head, from, to int) {
	var lines []Problem
	with, _ := r.origin.position(head)
	for at := from; at < to; {
		text, _, _ := strings.Cut(r.origin.source[at:to], "\n")
		if strings.TrimSpace(text) != "" {
			lines = append(lines, r.problem(at, text, fmt.Sprintf("is left out with line %d", with)))
		}
		at += len(text) + 1
	}
	if len(lines) > maxLeftOut {
		lines[0].Last = lines[len(lines)-1].Line
		lines = lines[:1]
	}
	if !r.commented() {
		r.problems = append(r.problems, lines...)
	}
}

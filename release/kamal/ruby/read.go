package ruby

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Read reads a configuration: ERB first, then YAML. file is for positions and messages. An empty configuration is a Null.
// Problems are in the order of the file's lines. The error is for a file that Ruby could not read either, or that is beyond the
// bounds of what is read; it names file and line, and shows no value.
func Read(file string, source []byte) (*Node, []Problem, error) {
	if len(source) > maxSource {
		return nil, nil, fmt.Errorf("%s has %d bytes, more than the %d that are read: is it a configuration?", file, len(source), maxSource)
	}
	if !utf8.Valid(source) {
		return nil, nil, fmt.Errorf("%s:%d: not UTF-8: save the file as UTF-8", file, invalidLine(source))
	}
	r := newRenderer(file, strings.TrimPrefix(string(source), "\ufeff"))
	text, err := r.render()
	if err != nil {
		return nil, nil, err
	}
	root, d, err := r.tree(text)
	if err != nil {
		return nil, nil, err
	}
	return root, ordered(d.problems), nil
}

// tree reads the rendered text. A placeholder that has a line for itself may stand for lines of YAML, which nobody can know: where
// it is in the way it is taken out, and told of.
func (r *renderer) tree(text string) (*Node, *document, error) {
	try := func() (*Node, *document, error) {
		d := &document{file: r.file, origin: r.origin, placeholders: r.placeholders, problems: slices.Clone(r.problems)}
		root, err := d.read(text)
		return root, d, err
	}
	root, d, err := try()
	var stray []*mark
	for _, m := range r.placeholders.marks {
		if m.alone(text) && (err != nil || slices.Contains(d.stray, m)) {
			stray = append(stray, m)
		}
	}
	if len(stray) == 0 {
		return root, d, err
	}
	for _, m := range r.placeholders.marks {
		m.used = false
	}
	blanked := []byte(text)
	for _, m := range stray {
		copy(blanked[m.at:], strings.Repeat(" ", m.length))
	}
	text = string(blanked)
	return try()
}

// read makes the tree of a rendered text.
func (d *document) read(text string) (*Node, error) {
	d.text, d.lines, d.ruler = text, breaks(text), ruler{text: text}
	first, more, err := parse(version.ReplaceAllStringFunc(text, hide))
	if err != nil {
		return nil, d.failure(err)
	}
	if more != nil {
		d.problem(d.offset(more), "---", "a second document: Ruby reads the first alone, and so does this")
	}
	root := &Node{Kind: Null, File: d.file, Line: 1, Column: 1}
	if first != nil {
		if root, err = d.compose(first, 0, 0); err != nil {
			return nil, err
		}
	}
	d.comment(root)
	d.settle()
	return root, nil
}

// version is a directive ahead of the first document. Psych reads 1.1 whatever it says; the parser would refuse others.
var version = regexp.MustCompile(`\A(?:[ \t]*(?:#.*)?\r?\n)*%YAML +1\.\d+`)

// hide leaves of a text its lines alone.
func hide(text string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' {
			return c
		}
		return ' '
	}, text)
}

// parse gives the first document's root, nil for none, and the beginning of what follows it, nil for nothing.
func parse(text string) (first, more *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser's own mistakes are no reason to end the program
			first, more, err = nil, nil, errors.New("not to be read as YAML")
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(text)))
	if err != nil {
		return nil, nil, err
	}
	var document, next yaml.Node
	if err := loader.Load(&document); errors.Is(err, io.EOF) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	if len(document.Content) > 0 {
		first = document.Content[0]
	}
	if err := loader.Load(&next); err == nil {
		more = &next
	}
	return first, more, nil
}

// failure says what YAML does not allow, at the file's own line.
func (d *document) failure(err error) error {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return fmt.Errorf("%s: %s", d.file, d.placeholders.restore(err.Error()))
	}
	line := 1
	if load.Mark.Line > 0 {
		line, _ = d.origin.position(d.origin.offset(d.at(load.Mark.Line, 1)))
	}
	message := d.placeholders.restore(load.Message)
	if lines := strings.Split(d.origin.source, "\n"); line <= len(lines) && strings.HasPrefix(strings.TrimLeft(lines[line-1], " "), "\t") {
		message += ": YAML indents with spaces, and this line begins with a tab"
	}
	return fmt.Errorf("%s:%d: not YAML: %s", d.file, line, message)
}

func (d *document) problem(rendered int, what, why string) {
	line, _ := d.origin.position(d.origin.offset(rendered))
	d.problems = append(d.problems, Problem{File: d.file, Line: line, What: shorten(d.placeholders.restore(what)), Why: why})
}

// settle adds the problems of placeholders, and tells of those that no value has come to hold.
func (d *document) settle() {
	for _, m := range d.placeholders.marks {
		d.problems = append(d.problems, m.problems...)
		if !m.used {
			d.problems = append(d.problems, Problem{File: d.file, Line: m.line, What: shorten(m.written),
				Why: "stands where no text does: what it comes to is left out"})
		}
	}
}

// ordered sorts by line and bounds the number.
func ordered(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	problems = slices.Compact(problems)
	if more := len(problems) - maxProblems + 1; more > 1 {
		problems = problems[:maxProblems]
		last := &problems[maxProblems-1]
		last.What, last.Why = "…", fmt.Sprintf("and %d more like these, from here on", more)
	}
	return problems
}

func invalidLine(source []byte) int {
	line := 1
	for len(source) > 0 {
		c, size := utf8.DecodeRune(source)
		if c == utf8.RuneError && size == 1 {
			break
		}
		if c == '\n' {
			line++
		}
		source = source[size:]
	}
	return line
}

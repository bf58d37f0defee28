package secrets

import (
	"errors"
	"fmt"
	"strings"
)

// entry is one KEY=VALUE.
type entry struct {
	file  string
	line  int
	key   string
	parts []part
}

type kind int

const (
	literal  kind = iota
	variable      // text is its name
	command       // text is what sh runs
)

// part is a piece of a value.
type part struct {
	kind kind
	text string
}

// parser reads one file. Its errors must not show what it reads: it may be a secret.
type parser struct {
	file string
	text string
	pos  int
	line int
}

// parse reads a file's entries and all its errors.
func parse(file, text string) ([]entry, error) {
	p := &parser{file: file, text: strings.TrimPrefix(text, "\ufeff"), line: 1}
	var entries []entry
	var errs []error
	for {
		p.skipBlank()
		if p.pos == len(p.text) {
			return entries, errors.Join(errs...)
		}
		e, err := p.entry()
		if err != nil {
			errs = append(errs, err)
			p.toLineEnd()
			continue
		}
		entries = append(entries, e)
	}
}

func (p *parser) entry() (entry, error) {
	e := entry{file: p.file, line: p.line}
	if rest := p.text[p.pos:]; strings.HasPrefix(rest, "export ") || strings.HasPrefix(rest, "export\t") {
		p.pos += len("export ")
		p.skipSpace()
	}
	start := p.pos
	for p.pos < len(p.text) && isNameByte(p.text[p.pos], p.pos == start) {
		p.pos++
	}
	e.key = p.text[start:p.pos]
	p.skipSpace()
	if e.key == "" || p.peek() != '=' {
		return e, fmt.Errorf("%s:%d: this is no KEY=VALUE: a key has letters, digits and underscores, and = follows it", p.file, e.line)
	}
	p.pos++
	p.skipSpace()
	parts, err := p.value()
	if err != nil {
		return e, fmt.Errorf("%s:%d: %s: %w", p.file, e.line, e.key, err)
	}
	e.parts = parts
	return e, nil
}

func (p *parser) value() (parts []part, err error) {
	switch p.peek() {
	case '\'':
		parts, err = p.singleQuoted()
	case '"':
		parts, err = p.doubleQuoted()
	default:
		return p.unquoted()
	}
	if err != nil {
		return nil, err
	}
	p.skipSpace()
	switch p.peek() {
	case 0, '\n', '\r', '#':
		p.toLineEnd()
		return parts, nil
	}
	return nil, errors.New("something follows the closing quote: quote the whole value")
}

func (p *parser) singleQuoted() ([]part, error) {
	p.pos++
	end := strings.IndexByte(p.text[p.pos:], '\'')
	if end < 0 {
		return nil, errors.New("its single quote is never closed")
	}
	text := p.text[p.pos : p.pos+end]
	p.line += strings.Count(text, "\n")
	p.pos += end + 1
	return []part{{literal, text}}, nil
}

func (p *parser) doubleQuoted() ([]part, error) {
	p.pos++
	v := &builder{}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '"':
			p.pos++
			return v.done(), nil
		case c == '\\' && p.pos+1 < len(p.text):
			v.literal(unescape(p.text[p.pos+1]))
			p.pos += 2
		case c == '$':
			if err := p.dollar(v); err != nil {
				return nil, err
			}
		default:
			if c == '\n' {
				p.line++
			}
			v.literal(string([]byte{c}))
			p.pos++
		}
	}
	return nil, errors.New("its double quote is never closed")
}

// unquoted ends at the line's end, or at a # after a space.
func (p *parser) unquoted() ([]part, error) {
	v := &builder{}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		switch {
		case c == '\n':
			return v.trimmed(), nil
		case c == '#' && (p.text[p.pos-1] == ' ' || p.text[p.pos-1] == '\t' || v.empty()):
			p.toLineEnd()
			return v.trimmed(), nil
		case c == '\\' && p.pos+1 < len(p.text) && p.text[p.pos+1] == '$':
			v.literal("$")
			p.pos += 2
		case c == '$':
			if err := p.dollar(v); err != nil {
				return nil, err
			}
		default:
			v.literal(string([]byte{c}))
			p.pos++
		}
	}
	return v.trimmed(), nil
}

// dollar reads $NAME, ${NAME}, $(command), or a dollar sign that stands for itself.
func (p *parser) dollar(v *builder) error {
	p.pos++
	switch c := p.peek(); {
	case c == '(':
		text, err := p.parenthesised()
		if err != nil {
			return err
		}
		v.add(part{command, text})
	case c == '{':
		name, _, ok := strings.Cut(p.text[p.pos+1:], "}")
		if !ok || !isName(name) {
			return errors.New("a ${ is not followed by NAME}: write ${NAME}, or \\$ for a dollar sign")
		}
		p.pos += len(name) + 2
		v.add(part{variable, name})
	case c != '.' && isNameByte(c, true):
		start := p.pos
		for p.pos < len(p.text) && p.text[p.pos] != '.' && isNameByte(p.text[p.pos], false) {
			p.pos++
		}
		v.add(part{variable, p.text[start:p.pos]})
	default:
		v.literal("$")
	}
	return nil
}

// parenthesised reads up to the bracket that closes the one at pos, as sh does: not those within quotes.
func (p *parser) parenthesised() (string, error) {
	start, depth, quote := p.pos+1, 0, byte(0)
	for i := p.pos; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				p.line += strings.Count(p.text[start:i], "\n")
				p.pos = i + 1
				return p.text[start:i], nil
			}
		}
	}
	return "", errors.New("its $( is never closed")
}

func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) skipSpace() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.pos++
	}
}

// skipBlank goes to the next thing that is neither space nor comment.
func (p *parser) skipBlank() {
	for {
		switch p.peek() {
		case ' ', '\t', '\r':
			p.pos++
		case '\n':
			p.line++
			p.pos++
		case '#':
			p.toLineEnd()
		default:
			return
		}
	}
}

func (p *parser) toLineEnd() {
	for p.pos < len(p.text) && p.text[p.pos] != '\n' {
		p.pos++
	}
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$', '`':
		return string([]byte{c})
	}
	return string([]byte{'\\', c})
}

func isNameByte(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && (c == '.' || '0' <= c && c <= '9')
}

func isName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i], i == 0) {
			return false
		}
	}
	return name != ""
}

// builder puts a value's parts together.
type builder struct{ parts []part }

func (b *builder) literal(text string) {
	if n := len(b.parts); n > 0 && b.parts[n-1].kind == literal {
		b.parts[n-1].text += text
		return
	}
	b.add(part{literal, text})
}

func (b *builder) add(p part) { b.parts = append(b.parts, p) }

func (b *builder) empty() bool { return len(b.parts) == 0 }

func (b *builder) done() []part { return b.parts }

// trimmed is for unquoted values: the space before the line's end or a comment is not theirs.
func (b *builder) trimmed() []part {
	if n := len(b.parts); n > 0 && b.parts[n-1].kind == literal {
		b.parts[n-1].text = strings.TrimRight(b.parts[n-1].text, " \t\r")
	}
	return b.parts
}

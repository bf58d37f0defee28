package secrets

import (
	"errors"
	"fmt"
	"strings"
)

// linebreakMode is dotenv's switch: "legacy" makes line breaks of \n and \r in double quotes, which otherwise stay as they are.
const linebreakMode = "DOTENV_LINEBREAK_MODE"

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

// parser reads one file by the rules of the dotenv gem, which Kamal reads its files with. Its errors must not show what it reads:
// it may be a secret.
type parser struct {
	file   string
	text   string
	pos    int
	line   int
	legacy bool // see linebreakMode
	seen   map[string]bool
}

// parse reads a file's entries and all its errors.
func parse(file, text string, legacy bool) ([]entry, error) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(text, "\ufeff"))
	p := &parser{file: file, text: text, line: 1, legacy: legacy, seen: map[string]bool{}}
	var entries []entry
	var errs []error
	for {
		p.skipBlank()
		if p.pos == len(p.text) {
			return entries, errors.Join(errs...)
		}
		e, err := p.entry()
		switch {
		case err != nil:
			errs = append(errs, err)
			p.toLineEnd()
		case e.key != "":
			p.note(e)
			entries = append(entries, e)
		}
	}
}

// entry reads a line, and what follows it in quotes. Its key is "" for `export KEY` of a key that is there already.
func (p *parser) entry() (entry, error) {
	e := entry{file: p.file, line: p.line}
	exported := p.exported()
	start := p.pos
	for isNameByte(p.peek()) {
		p.pos++
	}
	e.key = p.text[start:p.pos]
	if exported && p.seen[e.key] && p.endsAt(p.pos) {
		p.toLineEnd()
		return entry{}, nil
	}
	if e.key == "" || !p.separated() {
		return e, fmt.Errorf("%s:%d: this is no KEY=VALUE: a key has letters, digits and underscores, and = follows it", p.file, e.line)
	}
	p.skipSpace()
	parts, err := p.value()
	if err != nil {
		return e, fmt.Errorf("%s:%d: %s: %w", p.file, e.line, e.key, err)
	}
	e.parts = parts
	return e, nil
}

func (p *parser) exported() bool {
	rest := p.text[p.pos:]
	if !strings.HasPrefix(rest, "export ") && !strings.HasPrefix(rest, "export\t") {
		return false
	}
	p.pos += len("export ")
	p.skipSpace()
	return true
}

// separated reads the = after a key, or YAML's colon and a space.
func (p *parser) separated() bool {
	if rest := p.text[p.pos:]; strings.HasPrefix(rest, ": ") || strings.HasPrefix(rest, ":\t") {
		p.pos++
		return true
	}
	p.skipSpace()
	if p.peek() != '=' {
		return false
	}
	p.pos++
	return true
}

func (p *parser) note(e entry) {
	p.seen[e.key] = true
	if e.key == linebreakMode {
		p.legacy = len(e.parts) == 1 && e.parts[0] == part{literal, "legacy"}
	}
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
		case ' ', '\t':
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

// endsAt tells whether nothing but space and a comment stands between a place and its line's end.
func (p *parser) endsAt(at int) bool {
	rest := strings.TrimLeft(p.text[at:], " \t")
	return rest == "" || rest[0] == '\n' || rest[0] == '#'
}

func isNameByte(c byte) bool {
	return c == '_' || c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return name != ""
}

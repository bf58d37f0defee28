package secrets

import (
	"errors"
	"strings"
)

// value reads what follows the separator.
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
	if !p.endsAt(p.pos) {
		return nil, errors.New("something follows the closing quote: quote the whole value")
	}
	p.toLineEnd()
	return parts, nil
}

// singleQuoted takes everything as it stands. A quote after a backslash does not close, unless no other one does; the backslash
// stays either way.
func (p *parser) singleQuoted() ([]part, error) {
	start := p.pos + 1
	end := -1
	for i := start; i < len(p.text); i++ {
		if p.text[i] != '\'' {
			continue
		}
		escaped := i > start && p.text[i-1] == '\\'
		if p.endsAt(i + 1) {
			end = i
		}
		if !escaped {
			break
		}
	}
	if end < 0 {
		return nil, errors.New("its single quote is never closed at the end of a line")
	}
	text := p.text[start:end]
	p.line += strings.Count(text, "\n")
	p.pos = end + 1
	return []part{{literal, text}}, nil
}

func (p *parser) doubleQuoted() ([]part, error) {
	p.pos++
	v := &builder{}
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case '"':
			p.pos++
			return v.parts, nil
		case '\\':
			v.literal(p.escape(true))
		case '$':
			if err := p.dollar(v, true); err != nil {
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
		switch c := p.text[p.pos]; c {
		case '\n':
			return v.trimmed(), nil
		case '#':
			if before := p.text[p.pos-1]; before != ' ' && before != '\t' && len(v.parts) > 0 {
				// Kamal would cut the value here and say nothing.
				return nil, errors.New("a # stands in its value: quote the value, or put a space before a comment")
			}
			p.toLineEnd()
			return v.trimmed(), nil
		case '\\':
			v.literal(p.escape(false))
		case '$':
			if err := p.dollar(v, false); err != nil {
				return nil, err
			}
		default:
			v.literal(string([]byte{c}))
			p.pos++
		}
	}
	return v.trimmed(), nil
}

// escape reads a backslash and what it stands before: that character, with \n and \r in double quotes as they are.
func (p *parser) escape(quoted bool) string {
	rest := p.text[p.pos+1:]
	switch {
	case rest == "" || rest[0] == '\n' && !quoted:
		p.pos++
		return `\`
	case strings.HasPrefix(rest, `\$`): // the gem reads one backslash here, and the dollar sign behind it
		p.pos += 3
		return "$"
	case quoted && (rest[0] == 'n' || rest[0] == 'r'):
		p.pos += 2
		return p.lineBreak(rest[0])
	case rest[0] == '\n':
		p.line++
	}
	p.pos += 2
	return rest[:1]
}

func (p *parser) lineBreak(c byte) string {
	switch {
	case !p.legacy:
		return `\` + string([]byte{c})
	case c == 'n':
		return "\n"
	}
	return "\r"
}

// dollar reads $NAME, ${NAME}, $(command), or a dollar sign that stands for itself.
func (p *parser) dollar(v *builder, quoted bool) error {
	p.pos++
	switch c := p.peek(); {
	case c == '(':
		text, err := p.parenthesised(quoted)
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
	case c != '.' && isNameByte(c):
		start := p.pos
		for p.peek() != '.' && isNameByte(p.peek()) {
			p.pos++
		}
		v.add(part{variable, p.text[start:p.pos]})
	default:
		v.literal("$")
	}
	return nil
}

// parenthesised reads up to the bracket that closes the one at pos, as sh does: not those within quotes. dotenv takes one
// backslash away before the shell sees the command.
func (p *parser) parenthesised(quoted bool) (string, error) {
	var text strings.Builder
	depth, quote, escaped := 0, byte(0), false
	for at := p.pos; at < len(p.text); at++ {
		c := p.text[at]
		if c == '\\' && at+1 < len(p.text) && !(quoted && (p.text[at+1] == 'n' || p.text[at+1] == 'r')) {
			at++
			c = p.text[at]
		}
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		text.WriteByte(c)
		if depth == 0 {
			p.line += strings.Count(p.text[p.pos:at], "\n")
			p.pos = at + 1
			return text.String()[1 : text.Len()-1], nil
		}
	}
	return "", errors.New("its $( is never closed")
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

// trimmed is for unquoted values: the space before the line's end or a comment is not theirs.
func (b *builder) trimmed() []part {
	if n := len(b.parts); n > 0 && b.parts[n-1].kind == literal {
		b.parts[n-1].text = strings.TrimRight(b.parts[n-1].text, " \t")
	}
	return b.parts
}

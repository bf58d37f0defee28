package ruby

import (
	"strings"
)

// placeholders stand in the rendered text for what only a run of Ruby could tell. They are words of letters, which YAML takes as
// a plain scalar, and which the file does not have.
type placeholders struct {
	word  string // the beginning of all
	marks []*mark
}

// mark is one expression in the rendered text.
type mark struct {
	expr     *Expr
	written  string // the whole tag
	line     int
	at       int       // in the rendered text
	length   int       // of the word there
	problems []Problem // to be told where the text counts: not in a comment
	used     bool      // it stands in a scalar or in a comment
}

func newPlaceholders(source string) *placeholders {
	word, lower := "ErbQ", strings.ToLower(source)
	for strings.Contains(lower, strings.ToLower(word)) {
		word += "q"
	}
	return &placeholders{word: word}
}

// add gives the word for an expression.
func (p *placeholders) add(m *mark) string {
	p.marks = append(p.marks, m)
	letters := ""
	for n := len(p.marks) - 1; ; n = n/26 - 1 {
		letters = string(rune('a'+n%26)) + letters
		if n < 26 {
			return p.word + letters + "Z"
		}
	}
}

// split cuts a text into what is literal and what are placeholders: each piece has a text or a mark.
func (p *placeholders) split(text string) []piece {
	var pieces []piece
	literal := ""
	for {
		before, after, found := strings.Cut(text, p.word)
		literal += before
		if !found {
			break
		}
		m, length := p.lookup(after)
		if m == nil {
			literal, text = literal+p.word, after
			continue
		}
		if literal != "" {
			pieces = append(pieces, piece{text: literal})
			literal = ""
		}
		pieces = append(pieces, piece{mark: m})
		text = after[length:]
	}
	if literal != "" {
		pieces = append(pieces, piece{text: literal})
	}
	return pieces
}

// piece is literal text or a placeholder.
type piece struct {
	text string
	mark *mark
}

// has tells whether a placeholder stands in the text.
func (p *placeholders) has(text string) bool {
	return len(p.marks) > 0 && strings.Contains(text, p.word)
}

// restore puts the tags back that the placeholders stand for, on one line.
func (p *placeholders) restore(text string) string {
	if !p.has(text) {
		return text
	}
	var b strings.Builder
	for _, piece := range p.split(text) {
		if piece.mark != nil {
			b.WriteString(strings.Join(strings.Fields(piece.mark.written), " "))
		} else {
			b.WriteString(piece.text)
		}
	}
	return b.String()
}

// lookup finds the mark whose letters the text begins with, and their length.
func (p *placeholders) lookup(text string) (*mark, int) {
	n := 0
	for i := 0; i < len(text) && i < 8; i++ {
		switch c := text[i]; {
		case c == 'Z' && i > 0 && n-1 < len(p.marks):
			return p.marks[n-1], i + 1
		case c < 'a' || c > 'z':
			return nil, 0
		default:
			n = n*26 + int(c-'a') + 1
		}
	}
	return nil, 0
}

// alone tells whether a placeholder has a line for itself.
func (m *mark) alone(text string) bool { return alone(text, m.at, m.at+m.length) }

// alone tells whether a stretch has its line for itself.
func alone(text string, from, to int) bool {
	before, after := strings.TrimRight(text[:from], " \t"), strings.TrimLeft(text[to:], " \t\r")
	return (before == "" || strings.HasSuffix(before, "\n")) && (after == "" || after[0] == '\n')
}

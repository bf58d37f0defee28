package ruby

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// brackets are the delimiters of % literals that come in pairs.
var brackets = map[byte]byte{'(': ')', '[': ']', '{': '}', '<': '>'}

// percent reads %w[…], %i[…], %x(…), %q(…), %Q(…) and %(…). False: it is an operator.
func (l *lexer) percent() (lexeme, bool, error) {
	rest := l.code[l.at+1:]
	letter := byte('Q')
	if rest != "" && strings.IndexByte("wWiIxqQ", rest[0]) >= 0 {
		letter, rest = rest[0], rest[1:]
	} else if rest == "" || brackets[rest[0]] == 0 {
		return lexeme{}, false, nil
	}
	if rest == "" || rest[0] >= utf8.RuneSelf || unicode.IsLetter(rune(rest[0])) || unicode.IsDigit(rune(rest[0])) || unicode.IsSpace(rune(rest[0])) {
		return lexeme{}, false, nil
	}
	open, until := rest[0], rest[0]
	if pair := brackets[open]; pair != 0 {
		until = pair
	} else {
		open = 0
	}
	l.at = len(l.code) - len(rest) + 1
	kind := stringLexeme
	if letter == 'x' {
		kind = commandLexeme
	}
	word, err := l.quoted(until, open, kind, letter != 'q' && letter != 'w' && letter != 'i')
	if err == nil && strings.IndexByte("wWiI", letter) >= 0 {
		return asWords(word, letter == 'i' || letter == 'I')
	}
	return word, true, err
}

func asWords(word lexeme, symbols bool) (lexeme, bool, error) {
	text := ""
	for _, f := range word.fragments {
		if f.ruby {
			return lexeme{}, true, errNotUnderstood
		}
		text += f.text
	}
	kind := lexeme{kind: wordsLexeme, words: strings.Fields(text)}
	if symbols {
		kind.text = ":"
	}
	return kind, true, nil
}

// quoted reads up to the closing delimiter. Brackets nest; interpolated tells of #{…} and escapes.
func (l *lexer) quoted(until, open byte, kind lexemeKind, interpolated bool) (lexeme, error) {
	word := lexeme{kind: kind}
	var text strings.Builder
	for depth := 0; l.at < len(l.code); {
		c := l.code[l.at]
		switch {
		case c == until && depth == 0:
			l.at++
			if text.Len() > 0 || len(word.fragments) == 0 {
				word.fragments = append(word.fragments, fragment{text: text.String()})
			}
			return word, nil
		case c == '\\' && l.at+1 < len(l.code):
			l.at++
			if err := l.escape(&text, until, interpolated); err != nil {
				return word, err
			}
			continue
		case interpolated && c == '#' && strings.HasPrefix(l.code[l.at+1:], "{"):
			code, err := l.interpolation()
			if err != nil {
				return word, err
			}
			if text.Len() > 0 {
				word.fragments = append(word.fragments, fragment{text: text.String()})
				text.Reset()
			}
			word.fragments = append(word.fragments, fragment{code: code, ruby: true})
			continue
		case open != 0 && c == open:
			depth++
		case c == until:
			depth--
		}
		text.WriteByte(c)
		l.at++
	}
	return word, errNotUnderstood
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 's': " ", '0': "\x00", 'e': "\x1b", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\n': ""}

// escape reads what follows a backslash.
func (l *lexer) escape(text *strings.Builder, until byte, interpolated bool) error {
	c := l.code[l.at]
	l.at++
	switch replacement, known := escapes[c]; {
	case !interpolated && (c == until || c == '\\'):
		text.WriteByte(c)
	case !interpolated:
		text.WriteByte('\\')
		text.WriteByte(c)
	case c == 'u' && l.at+4 <= len(l.code):
		n, err := strconv.ParseUint(l.code[l.at:l.at+4], 16, 32)
		if err != nil {
			return errNotUnderstood
		}
		text.WriteRune(rune(n))
		l.at += 4
	case c == 'u' || c == 'x' || c == 'c' || c == 'C' || c == 'M' || c >= '1' && c <= '7':
		return errNotUnderstood
	case known:
		text.WriteString(replacement)
	default:
		text.WriteByte(c)
	}
	return nil
}

// interpolation reads #{…}, in which strings may have braces of their own.
func (l *lexer) interpolation() (string, error) {
	from := l.at + 2
	depth := 0
	var in byte
	for at := from; at < len(l.code); at++ {
		switch c := l.code[at]; {
		case in != 0 && c == '\\':
			at++
		case in != 0 && c == in:
			in = 0
		case in != 0:
		case c == '"' || c == '\'' || c == '`':
			in = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			l.at = at + 1
			return l.code[from:at], nil
		case c == '}':
			depth--
		}
	}
	return "", errNotUnderstood
}

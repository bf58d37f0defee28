package ruby

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lexeme is a word of Ruby.
type lexeme struct {
	kind      lexemeKind
	text      string
	at, to    int
	spaced    bool // white space is before it
	fragments []fragment
	words     []string
}

type lexemeKind int

const (
	endLexeme lexemeKind = iota
	newlineLexeme
	nameLexeme     // and keywords
	constantLexeme // begins with a capital
	numberLexeme
	stringLexeme
	commandLexeme // `…` and %x
	symbolLexeme
	labelLexeme // name:
	wordsLexeme // %w
	operatorLexeme
)

// fragment is a piece of a string: text, or Ruby to be interpolated.
type fragment struct {
	text string
	code string
	ruby bool
}

// errNotUnderstood stands for all Ruby beyond the subset.
var errNotUnderstood = errors.New("not understood")

// operators are sought in this order, the longest first.
var operators = strings.Fields("**= <=> === ... ||= &&= <<= **  == != >= <= =~ !~ && || += -= *= /= |= &= :: .. &. -> => << >> " +
	"+ - * / % = < > ! & | ^ ~ ? : , . ( ) [ ] { } ;")

// lexer cuts Ruby into words.
type lexer struct {
	code string
	at   int
	out  []lexeme
}

// lex gives the words of a piece of Ruby, the last of which is an endLexeme.
func lex(code string) ([]lexeme, error) {
	l := &lexer{code: code}
	for {
		spaced := l.blanks()
		if l.at >= len(l.code) {
			l.out = append(l.out, lexeme{kind: endLexeme, at: l.at, to: l.at})
			return l.out, nil
		}
		from := l.at
		word, err := l.word(spaced)
		if err != nil {
			return nil, err
		}
		word.at, word.to, word.spaced = from, l.at, spaced
		l.out = append(l.out, word)
	}
}

// blanks skips white space, comments, and line breaks that end nothing.
func (l *lexer) blanks() bool {
	from := l.at
	for l.at < len(l.code) {
		switch c := l.code[l.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\\' && strings.HasPrefix(l.code[l.at+1:], "\n"):
			l.at++
			if c == '\\' {
				l.at++
			}
		case c == '#':
			end := strings.IndexByte(l.code[l.at:], '\n')
			if end < 0 {
				end = len(l.code) - l.at
			}
			l.at += end
		case c == '\n' && l.goesOn():
			l.at++
		default:
			return l.at > from
		}
	}
	return l.at > from
}

// goesOn tells whether the next line begins with a method call on this one.
func (l *lexer) goesOn() bool {
	next := strings.TrimLeft(l.code[l.at:], " \t\r\n")
	return strings.HasPrefix(next, "&.") || strings.HasPrefix(next, ".") && !strings.HasPrefix(next, "..")
}

func (l *lexer) word(spaced bool) (lexeme, error) {
	c, _ := utf8.DecodeRuneInString(l.code[l.at:])
	value := l.afterValue()
	begins := !value || spaced && l.afterName() && !strings.HasPrefix(l.code[l.at+1:], " ") // a literal may begin here
	switch {
	case c == '\n':
		l.at++
		return lexeme{kind: newlineLexeme}, nil
	case c >= '0' && c <= '9':
		return l.number(), nil
	case c == '"' || c == '`' || c == '\'':
		l.at++
		return l.quoted(byte(c), 0, kindOfQuote(c), c != '\'')
	case c == '%' && begins:
		if word, ok, err := l.percent(); ok || err != nil {
			return word, err
		}
	case c == '/' && begins, c == '<' && begins && heredoc(l.code[l.at:]):
		return lexeme{}, errNotUnderstood
	case c == ':' && !strings.HasPrefix(l.code[l.at:], "::"):
		if word, ok, err := l.symbol(); ok || err != nil {
			return word, err
		}
	case c == '_' || c == '@' || c == '$' || unicode.IsLetter(c):
		return l.name(), nil
	}
	for _, operator := range operators {
		if strings.HasPrefix(l.code[l.at:], operator) {
			l.at += len(operator)
			return lexeme{kind: operatorLexeme, text: operator}, nil
		}
	}
	return lexeme{}, errNotUnderstood
}

func kindOfQuote(c rune) lexemeKind {
	if c == '`' {
		return commandLexeme
	}
	return stringLexeme
}

func heredoc(code string) bool {
	return len(code) > 2 && code[:2] == "<<" && (strings.ContainsRune("~-\"'", rune(code[2])) || unicode.IsUpper(rune(code[2])))
}

// afterValue tells whether the word before ends a value, so that an operator may follow.
func (l *lexer) afterValue() bool {
	if len(l.out) == 0 {
		return false
	}
	switch last := l.out[len(l.out)-1]; last.kind {
	case newlineLexeme, labelLexeme:
		return false
	case operatorLexeme:
		return last.text == ")" || last.text == "]" || last.text == "}"
	case nameLexeme:
		return !keywords[last.text] || valueKeywords[last.text]
	}
	return true
}

func (l *lexer) afterName() bool { return l.out[len(l.out)-1].kind == nameLexeme }

func (l *lexer) number() lexeme {
	rest := l.code[l.at:]
	n := 0
	for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_' || rest[n] >= 'a' && rest[n] <= 'z' || rest[n] >= 'A' && rest[n] <= 'Z') {
		n++
	}
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		for n++; n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || rest[n] == '_'); n++ {
		}
	}
	l.at += n
	return lexeme{kind: numberLexeme, text: rest[:n]}
}

func (l *lexer) name() lexeme {
	from := l.at
	for l.at < len(l.code) && (l.code[l.at] == '@' || l.code[l.at] == '$') {
		l.at++
	}
	l.letters()
	rest := l.code[l.at:]
	if (strings.HasPrefix(rest, "?") || strings.HasPrefix(rest, "!")) && !strings.HasPrefix(rest[1:], "=") {
		l.at++
		rest = rest[1:]
	}
	text := l.code[from:l.at]
	if strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, "::") && !l.inTernary() {
		l.at++
		return lexeme{kind: labelLexeme, text: text}
	}
	if first, _ := utf8.DecodeRuneInString(text); unicode.IsUpper(first) {
		return lexeme{kind: constantLexeme, text: text}
	}
	return lexeme{kind: nameLexeme, text: text}
}

// inTernary tells whether the word before is the "?" of a ternary, so that "x:" is no label.
func (l *lexer) inTernary() bool {
	return len(l.out) > 0 && l.out[len(l.out)-1].kind == operatorLexeme && l.out[len(l.out)-1].text == "?"
}

func (l *lexer) letters() {
	for l.at < len(l.code) {
		c, size := utf8.DecodeRuneInString(l.code[l.at:])
		if c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return
		}
		l.at += size
	}
}

func (l *lexer) symbol() (lexeme, bool, error) {
	rest := l.code[l.at+1:]
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c == '"' || c == '\'':
		l.at += 2
		word, err := l.quoted(byte(c), 0, symbolLexeme, c == '"')
		return word, true, err
	case c == '_' || unicode.IsLetter(c):
		l.at++
		from := l.at
		l.letters()
		if rest := l.code[l.at:]; strings.HasPrefix(rest, "?") || strings.HasPrefix(rest, "!") {
			l.at++
		}
		return lexeme{kind: symbolLexeme, fragments: []fragment{{text: l.code[from:l.at]}}}, true, nil
	}
	return lexeme{}, false, nil
}

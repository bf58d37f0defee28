package ruby

import (
	"slices"
	"strconv"
	"strings"
)

// parser reads the subset of Ruby that such files use.
type parser struct {
	code   string
	words  []lexeme
	at     int
	depth  int
	opened *syntax // the call whose block goes on beyond the tag
}

func newParser(code string) (*parser, error) {
	words, err := lex(code)
	return &parser{code: code, words: words}, err
}

// parseExpression reads what stands in <%= %> or #{…}: statements, the last of which is the value.
func parseExpression(code string) (*syntax, error) {
	p, err := newParser(code)
	if err != nil {
		return nil, err
	}
	p.lines()
	s, err := p.statement()
	if err != nil {
		return nil, err
	}
	p.lines()
	if p.peek().kind != endLexeme || p.opened != nil {
		return nil, errNotUnderstood
	}
	return s, nil
}

func (p *parser) peek() lexeme { return p.words[p.at] }

func (p *parser) next() lexeme {
	word := p.words[p.at]
	if p.at < len(p.words)-1 {
		p.at++
	}
	return word
}

// is tells whether the next word is an operator or a keyword.
func (p *parser) is(texts ...string) bool {
	word := p.peek()
	return (word.kind == operatorLexeme || word.kind == nameLexeme && (keywords[word.text])) && slices.Contains(texts, word.text)
}

func (p *parser) take(texts ...string) bool {
	if p.is(texts...) {
		p.next()
		return true
	}
	return false
}

// lines skips line breaks and semicolons.
func (p *parser) lines() {
	for p.peek().kind == newlineLexeme || p.is(";") {
		p.next()
	}
}

// breaks skips line breaks alone.
func (p *parser) breaks() {
	for p.peek().kind == newlineLexeme {
		p.next()
	}
}

// from makes a syntax of all words since a place.
func (p *parser) from(at int, s syntax) *syntax {
	end := 0
	if p.at > 0 {
		end = p.words[p.at-1].to
	}
	s.source = strings.TrimSpace(p.code[p.words[at].at:max(end, p.words[at].at)])
	return &s
}

// deeper bounds how far expressions nest.
func (p *parser) deeper() error {
	if p.depth++; p.depth > maxNesting {
		return errNotUnderstood
	}
	return nil
}

// statement is an expression with what may follow it: if, unless, and, or.
func (p *parser) statement() (*syntax, error) {
	at := p.at
	s, err := p.expression()
	for err == nil && p.opened == nil {
		switch {
		case p.is("if", "unless"):
			word := p.next().text
			var condition *syntax
			if condition, err = p.expression(); err == nil {
				s = p.from(at, syntax{kind: modifierSyntax, text: word, on: condition, args: []*syntax{s}})
			}
		case p.is("and", "or"):
			operator := map[string]string{"and": "&&", "or": "||"}[p.next().text]
			p.breaks()
			var right *syntax
			if right, err = p.expression(); err == nil {
				s = p.from(at, syntax{kind: binarySyntax, text: operator, on: s, args: []*syntax{right}})
			}
		default:
			return s, nil
		}
	}
	return s, err
}

func (p *parser) expression() (*syntax, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	at := p.at
	if p.take("not") {
		s, err := p.expression()
		if err != nil {
			return nil, err
		}
		return p.from(at, syntax{kind: notSyntax, on: s}), nil
	}
	left, err := p.ternary()
	if err != nil || !p.is("=", "||=", "+=", "-=", "*=", "&&=") {
		return left, err
	}
	if left.kind != nameSyntax && left.kind != constantSyntax && !(left.kind == callSyntax && left.text == "[]") {
		return nil, errNotUnderstood
	}
	operator := p.next().text
	p.breaks()
	right, err := p.expression()
	if err != nil {
		return nil, err
	}
	return p.from(at, syntax{kind: assignSyntax, text: operator, on: left, args: []*syntax{right}}), nil
}

func (p *parser) ternary() (*syntax, error) {
	at := p.at
	condition, err := p.span()
	if err != nil || !p.take("?") {
		return condition, err
	}
	p.breaks()
	then, err := p.expression()
	if err != nil {
		return nil, err
	}
	p.breaks()
	if !p.take(":") {
		return nil, errNotUnderstood
	}
	p.breaks()
	otherwise, err := p.expression()
	if err != nil {
		return nil, err
	}
	return p.from(at, syntax{kind: ternarySyntax, on: condition, args: []*syntax{then, otherwise}}), nil
}

// span is a range, or what stands below it.
func (p *parser) span() (*syntax, error) {
	at := p.at
	var from *syntax
	var err error
	if !p.is("..", "...") {
		if from, err = p.binary(0); err != nil {
			return nil, err
		}
	}
	if !p.is("..", "...") {
		return from, nil
	}
	s := syntax{kind: rangeSyntax, text: p.next().text, args: []*syntax{from, nil}}
	if !p.is(")", "]") && p.peek().kind != endLexeme && p.peek().kind != newlineLexeme {
		if s.args[1], err = p.binary(0); err != nil {
			return nil, err
		}
	}
	return p.from(at, s), nil
}

// levels are the binary operators, those that bind least first.
var levels = [][]string{{"||"}, {"&&"}, {"==", "!=", "=~", "!~", "===", "<=>"}, {"<", "<=", ">", ">="}, {"|", "^"}, {"&"}, {"<<", ">>"},
	{"+", "-"}, {"*", "/", "%"}}

func (p *parser) binary(level int) (*syntax, error) {
	if level == len(levels) {
		return p.unary()
	}
	at := p.at
	left, err := p.binary(level + 1)
	for err == nil && p.opened == nil && p.is(levels[level]...) {
		operator := p.next().text
		p.breaks()
		var right *syntax
		if right, err = p.binary(level + 1); err == nil {
			left = p.from(at, syntax{kind: binarySyntax, text: operator, on: left, args: []*syntax{right}})
		}
	}
	return left, err
}

func (p *parser) unary() (*syntax, error) {
	at := p.at
	switch {
	case p.is("!"), p.is("-"), p.is("+"):
		if err := p.deeper(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		sign := p.next().text
		s, err := p.unary()
		if err != nil {
			return nil, err
		}
		if sign == "!" {
			return p.from(at, syntax{kind: notSyntax, on: s}), nil
		}
		if s.kind != literalSyntax || s.literal.kind != intValue {
			return nil, errNotUnderstood
		}
		if sign == "-" {
			s.literal.number = -s.literal.number
		}
		return p.from(at, *s), nil
	}
	return p.postfix()
}

// primary is what nothing binds tighter than: literals, names, parentheses.
func (p *parser) primary() (*syntax, error) {
	at := p.at
	word := p.next()
	switch word.kind {
	case numberLexeme:
		return p.numeral(at, word)
	case stringLexeme:
		fragments := word.fragments
		for p.peek().kind == stringLexeme { // "a" "b" is one string
			fragments = append(slices.Clone(fragments), p.next().fragments...)
		}
		return p.from(at, syntax{kind: stringSyntax, fragments: fragments}), nil
	case commandLexeme:
		return p.from(at, syntax{kind: commandSyntax, fragments: word.fragments}), nil
	case symbolLexeme:
		return p.from(at, syntax{kind: symbolSyntax, fragments: word.fragments}), nil
	case wordsLexeme:
		list := value{kind: listValue}
		for _, w := range word.words {
			item := text(w)
			if word.text == ":" {
				item.kind = symbolValue
			}
			list.items = append(list.items, item)
		}
		return p.from(at, syntax{kind: literalSyntax, literal: list}), nil
	case nameLexeme:
		return p.named(at, word)
	case constantLexeme:
		return p.constant(at, word)
	case operatorLexeme:
		return p.enclosed(at, word)
	}
	return nil, errNotUnderstood
}

func (p *parser) numeral(at int, word lexeme) (*syntax, error) {
	digits := strings.ReplaceAll(word.text, "_", "")
	if n, err := strconv.ParseInt(digits, 0, 64); err == nil {
		return p.from(at, syntax{kind: literalSyntax, literal: value{kind: intValue, number: n}}), nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return nil, errNotUnderstood
	}
	return p.from(at, syntax{kind: literalSyntax, literal: value{kind: floatValue, float: f}}), nil
}

func (p *parser) named(at int, word lexeme) (*syntax, error) {
	switch word.text {
	case "nil", "true", "false":
		v := value{kind: nilValue}
		if word.text != "nil" {
			v = value{kind: boolValue, truth: word.text == "true"}
		}
		return p.from(at, syntax{kind: literalSyntax, literal: v}), nil
	}
	if keywords[word.text] && word.text != "self" {
		return nil, errNotUnderstood
	}
	if p.is("(") && !p.peek().spaced {
		return p.arguments(at, syntax{kind: callSyntax, text: word.text})
	}
	if p.startsArgument() {
		return p.bareArguments(at, syntax{kind: callSyntax, text: word.text})
	}
	return p.from(at, syntax{kind: nameSyntax, text: word.text}), nil
}

func (p *parser) constant(at int, word lexeme) (*syntax, error) {
	name := word.text
	for p.is("::") && p.at+1 < len(p.words) && p.words[p.at+1].kind == constantLexeme {
		p.next()
		name += "::" + p.next().text
	}
	return p.from(at, syntax{kind: constantSyntax, text: name}), nil
}

package ruby

import (
	"regexp"
	"slices"
	"strings"
)

// parseStatements reads what stands in <% %>. What is beyond the subset comes as one statement without a syntax, or as the
// opening or the end of a block, by how it begins and ends.
func parseStatements(code string) []statement {
	p, err := newParser(code)
	if err == nil {
		var statements []statement
		if statements, err = p.statements(); err == nil {
			return statements
		}
	}
	return guess(code)
}

func (p *parser) statements() ([]statement, error) {
	var all []statement
	for {
		p.lines()
		at := p.at
		word := p.peek()
		if word.kind == endLexeme {
			return all, nil
		}
		s := statement{}
		var err error
		switch {
		case p.take("end", "}"):
			s.kind = closeStatement
		case p.take("else"):
			s.kind, s.text = middleStatement, "else"
		case p.take("elsif"):
			s.kind, s.text = middleStatement, "elsif"
			s.syntax, err = p.condition()
		case p.take("if", "unless"):
			s.kind, s.text = openStatement, word.text
			s.syntax, err = p.condition()
		case p.take("for"):
			s.kind, s.text = openStatement, "each"
			s.syntax, s.params, err = p.loop()
		case keywords[word.text] && word.kind == nameLexeme && slices.Contains(compound, word.text):
			return nil, errNotUnderstood
		default:
			s.syntax, err = p.statement()
			if err == nil && p.opened != nil {
				return p.open(all, at, s.syntax)
			}
		}
		if err != nil {
			return nil, err
		}
		if s.source = p.from(at, syntax{}).source; s.kind == plainStatement && !p.ended() {
			return nil, errNotUnderstood
		}
		all = append(all, s)
	}
}

// compound are the keywords of blocks that are not understood.
var compound = []string{"case", "when", "in", "while", "until", "begin", "rescue", "ensure", "def", "class", "module"}

// ended tells whether a statement is over.
func (p *parser) ended() bool {
	return p.peek().kind == endLexeme || p.peek().kind == newlineLexeme || p.is(";", "end", "}", "else", "elsif")
}

func (p *parser) condition() (*syntax, error) {
	s, err := p.statement()
	p.take("then")
	if err == nil && (p.opened != nil || !p.ended() && p.words[p.at-1].text != "then") {
		err = errNotUnderstood
	}
	return s, err
}

// loop reads what follows "for".
func (p *parser) loop() (*syntax, []string, error) {
	var params []string
	for !p.take("in") {
		word := p.next()
		if word.kind == nameLexeme && !keywords[word.text] {
			params = append(params, word.text)
		} else if word.kind != operatorLexeme || word.text != "," {
			return nil, nil, errNotUnderstood
		}
	}
	list, err := p.expression()
	if err != nil || p.opened != nil {
		return nil, nil, errNotUnderstood
	}
	p.take("do")
	return &syntax{kind: callSyntax, text: "each", on: list, source: list.source}, params, nil
}

// open ends the tag's statements with the block that goes on beyond it. What its first lines do in this tag is part of its body.
func (p *parser) open(all []statement, at int, s *syntax) ([]statement, error) {
	call := p.opened
	opening := statement{kind: openStatement, text: "each", syntax: call, params: call.body.params, source: p.from(at, syntax{}).source}
	if s != call {
		opening.text, opening.syntax = "other", nil
	}
	all = append(all, opening)
	for _, line := range call.body.body {
		all = append(all, statement{syntax: line, source: line.source})
	}
	return all, nil
}

var (
	opens     = regexp.MustCompile(`(?s)^\s*(?:if|unless|case|while|until|for|begin|def|class|module)\b|(?:\bdo|\{)\s*(?:\|[^|]*\||$)`)
	ends      = regexp.MustCompile(`(?s)(?:^|[\s;])(?:end|\})[\s;]*$`)
	endsAlone = regexp.MustCompile(`(?s)^\s*(?:end\b|\})`)
	middles   = regexp.MustCompile(`(?s)^\s*(else|elsif|when|in|rescue|ensure)\b`)
)

// guess tells what code that is not understood does to the blocks around it.
func guess(code string) []statement {
	source := strings.TrimSpace(code)
	switch m := middles.FindStringSubmatch(source); {
	case source == "":
		return nil
	case endsAlone.MatchString(source):
		return []statement{{kind: closeStatement, source: source}}
	case m != nil:
		return []statement{{kind: middleStatement, text: m[1], source: source}}
	case opens.MatchString(source) && !ends.MatchString(source):
		return []statement{{kind: openStatement, text: "other", source: source}}
	}
	return []statement{{source: source}}
}

package ruby

// postfix is a value with the methods that are called on it, and their blocks.
func (p *parser) postfix() (*syntax, error) {
	at := p.at
	s, err := p.primary()
	for err == nil && p.opened == nil {
		switch {
		case p.is(".", "&."):
			s, err = p.method(at, s)
		case p.is("[") && !p.peek().spaced:
			p.next()
			call := syntax{kind: callSyntax, text: "[]", on: s}
			if call.args, err = p.list("]"); err == nil {
				s = p.from(at, call)
			}
		case p.is("{", "do") && (s.kind == callSyntax || s.kind == nameSyntax) && s.body == nil && s.text != "[]":
			s, err = p.block(at, s)
		default:
			return s, nil
		}
	}
	return s, err
}

func (p *parser) method(at int, on *syntax) (*syntax, error) {
	call := syntax{kind: callSyntax, on: on, safe: p.next().text == "&."}
	p.breaks()
	word := p.next()
	if word.kind != nameLexeme && word.kind != constantLexeme {
		return nil, errNotUnderstood
	}
	call.text = word.text
	switch {
	case p.is("(") && !p.peek().spaced:
		return p.arguments(at, call)
	case p.startsArgument():
		return p.bareArguments(at, call)
	}
	return p.from(at, call), nil
}

func (p *parser) arguments(at int, call syntax) (*syntax, error) {
	p.next()
	var err error
	if call.args, err = p.list(")"); err != nil {
		return nil, err
	}
	return p.from(at, call), nil
}

// startsArgument tells whether a name is followed by an argument without parentheses.
func (p *parser) startsArgument() bool {
	word := p.peek()
	switch word.kind {
	case stringLexeme, commandLexeme, symbolLexeme, labelLexeme, wordsLexeme, numberLexeme, constantLexeme:
		return word.spaced
	case nameLexeme:
		return word.spaced && (!keywords[word.text] || valueKeywords[word.text] && word.text != "end")
	}
	return false
}

func (p *parser) bareArguments(at int, call syntax) (*syntax, error) {
	for {
		arg, err := p.argument()
		if err != nil {
			return nil, err
		}
		call.args = append(call.args, arg...)
		if !p.take(",") {
			return p.from(at, call), nil
		}
		p.breaks()
	}
}

// list reads arguments or items up to a closing bracket.
func (p *parser) list(until string) ([]*syntax, error) {
	var items []*syntax
	for {
		p.breaks()
		if p.take(until) {
			return items, nil
		}
		item, err := p.argument()
		if err != nil {
			return nil, err
		}
		items = append(items, item...)
		p.breaks()
		if !p.take(",") && !p.is(until) {
			return nil, errNotUnderstood
		}
	}
}

// argument is an expression, &:name, or a named argument, which stands as a hash of one.
func (p *parser) argument() ([]*syntax, error) {
	at := p.at
	if p.take("&") {
		s, err := p.primary()
		if err != nil || s.kind != symbolSyntax {
			return nil, errNotUnderstood
		}
		return []*syntax{p.from(at, syntax{kind: passSyntax, text: s.fragments[0].text})}, nil
	}
	if p.peek().kind == labelLexeme {
		key := p.label(at)
		p.breaks()
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		return []*syntax{p.from(at, syntax{kind: hashSyntax, args: []*syntax{key, v}})}, nil
	}
	s, err := p.expression()
	if err != nil || !p.take("=>") {
		return []*syntax{s}, err
	}
	p.breaks()
	v, err := p.expression()
	if err != nil {
		return nil, err
	}
	return []*syntax{p.from(at, syntax{kind: hashSyntax, args: []*syntax{s, v}})}, nil
}

func (p *parser) label(at int) *syntax {
	return p.from(at, syntax{kind: symbolSyntax, fragments: []fragment{{text: p.next().text}}})
}

// enclosed reads what an opening bracket begins.
func (p *parser) enclosed(at int, word lexeme) (*syntax, error) {
	switch word.text {
	case "(":
		p.breaks()
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		p.breaks()
		if !p.take(")") {
			return nil, errNotUnderstood
		}
		return p.from(at, *s), nil
	case "[":
		items, err := p.list("]")
		if err != nil {
			return nil, err
		}
		return p.from(at, syntax{kind: arraySyntax, args: items}), nil
	case "{":
		return p.hash(at)
	}
	return nil, errNotUnderstood
}

func (p *parser) hash(at int) (*syntax, error) {
	hash := syntax{kind: hashSyntax}
	for {
		p.breaks()
		if p.take("}") {
			return p.from(at, hash), nil
		}
		key, err := p.hashKey()
		if err != nil {
			return nil, err
		}
		p.breaks()
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		hash.args = append(hash.args, key, v)
		p.breaks()
		if !p.take(",") && !p.is("}") {
			return nil, errNotUnderstood
		}
	}
}

func (p *parser) hashKey() (*syntax, error) {
	at := p.at
	if p.peek().kind == labelLexeme {
		return p.label(at), nil
	}
	key, err := p.binary(0)
	switch {
	case err != nil:
		return nil, err
	case p.take("=>"):
		return key, nil
	case key.kind == stringSyntax && p.is(":") && !p.peek().spaced:
		p.next()
		return p.from(at, syntax{kind: symbolSyntax, fragments: key.fragments}), nil
	}
	return nil, errNotUnderstood
}

// block reads the block of a call. Where the tag ends within it, the call is noted as opened.
func (p *parser) block(at int, s *syntax) (*syntax, error) {
	call := *s
	call.kind = callSyntax
	until := "end"
	if p.next().text == "{" {
		until = "}"
	}
	body := &lambda{}
	call.body = body
	p.breaks()
	if p.take("|") {
		for !p.take("|") {
			word := p.next()
			if word.kind == nameLexeme && !keywords[word.text] {
				body.params = append(body.params, word.text)
			} else if word.kind != operatorLexeme || word.text != "," {
				return nil, errNotUnderstood
			}
		}
	}
	for {
		p.lines()
		if p.peek().kind == endLexeme {
			body.open = true
			p.opened = p.from(at, call)
			return p.opened, nil
		}
		if p.take(until) {
			return p.from(at, call), nil
		}
		line, err := p.statement()
		if err != nil {
			return nil, err
		}
		body.body = append(body.body, line)
	}
}

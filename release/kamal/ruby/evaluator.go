package ruby

import (
	"slices"
	"strings"
)

// evaluator tells what Ruby comes to, as far as that can be told without running it.
type evaluator struct {
	variables map[string]value
	steps     int
	depth     int                    // of strings in strings
	tell      func(what, why string) // a problem
}

const undecided = "a condition that only a run could tell: none of its branches is taken"

// eval gives a value. What is not understood, needs a run, or is too large, is an expression with its source.
func (e *evaluator) eval(s *syntax) value {
	if e.steps++; e.steps > maxSteps {
		return unknown(s)
	}
	v := e.value(s)
	if v.size == 0 {
		v.size = v.weigh()
		e.steps += v.size / 64
	}
	if v.size > maxRendered {
		return unknown(s)
	}
	return v
}

func (e *evaluator) value(s *syntax) value {
	switch s.kind {
	case literalSyntax:
		return s.literal
	case stringSyntax, symbolSyntax:
		v := ofParts(e.fragments(s.fragments))
		if s.kind == symbolSyntax && v.kind == textValue {
			v.kind = symbolValue
		}
		return v
	case commandSyntax:
		if command, ok := ofParts(e.fragments(s.fragments)).literal(); ok {
			return asked(&Expr{Kind: Command, Name: command, Source: s.source})
		}
	case arraySyntax:
		list := value{kind: listValue}
		for _, arg := range s.args {
			list.items = append(list.items, e.eval(arg))
		}
		return list
	case hashSyntax:
		hash := value{kind: hashValue}
		for i := 0; i+1 < len(s.args); i += 2 {
			hash.pairs = append(hash.pairs, pair{e.eval(s.args[i]), e.eval(s.args[i+1])})
		}
		return hash
	case nameSyntax, constantSyntax:
		if v, there := e.variables[s.text]; there {
			return v
		}
	case rangeSyntax:
		return e.span(s)
	case callSyntax:
		return e.call(s)
	case binarySyntax:
		return e.binary(s)
	case assignSyntax:
		return e.assign(s)
	case notSyntax, ternarySyntax, modifierSyntax:
		return e.conditional(s)
	}
	return unknown(s)
}

func unknown(s *syntax) value { return asked(&Expr{Source: s.source}) }

// fragments are the parts of a string.
func (e *evaluator) fragments(fragments []fragment) []Part {
	var parts []Part
	for _, f := range fragments {
		if !f.ruby {
			parts = append(parts, Part{Text: f.text})
			continue
		}
		printed := e.output(f.code)
		e.steps += weight(printed) / 64
		parts = append(parts, printed...)
		if e.steps > maxSteps {
			break
		}
	}
	return parts
}

// output is what is printed of a piece of Ruby.
func (e *evaluator) output(code string) []Part {
	source := strings.TrimSpace(code)
	if e.depth++; e.depth > maxNesting {
		e.depth--
		return []Part{{Expr: &Expr{Source: source}}}
	}
	defer func() { e.depth-- }()
	s, err := parseExpression(code)
	if err != nil {
		if strings.Contains(code, "?") && strings.Contains(code, ":") || strings.Contains(code, " if ") {
			e.tell(source, undecided)
		}
		return []Part{{Expr: &Expr{Source: source}}}
	}
	if parts, ok := e.eval(s).print(); ok {
		return parts
	}
	return []Part{{Expr: &Expr{Source: source}}}
}

func (e *evaluator) span(s *syntax) value {
	v := value{kind: rangeValue, open: s.text == "..."}
	for i, end := range s.args {
		if end == nil {
			continue
		}
		n := e.eval(end)
		if n.kind != intValue {
			return unknown(s)
		}
		v.ends[i] = &n.number
	}
	return v
}

// conditional reads what takes one of two ways.
func (e *evaluator) conditional(s *syntax) value {
	truth, decided := e.truth(s.on)
	switch {
	case s.kind == notSyntax && decided:
		return value{kind: boolValue, truth: !truth}
	case s.kind == notSyntax:
		return unknown(s)
	case !decided:
		e.tell(s.source, undecided)
		e.forget(s)
		return unknown(s)
	case s.kind == ternarySyntax && truth:
		return e.eval(s.args[0])
	case s.kind == ternarySyntax:
		return e.eval(s.args[1])
	case truth == (s.text == "if"):
		return e.eval(s.args[0])
	}
	return value{kind: nilValue}
}

// truth tells whether a condition holds, if that is known.
func (e *evaluator) truth(s *syntax) (truth, decided bool) {
	switch v := e.eval(s); v.kind {
	case nilValue:
		return false, true
	case boolValue:
		return v.truth, true
	case askedValue:
		return false, false
	}
	return true, true
}

func (e *evaluator) binary(s *syntax) value {
	left := e.eval(s.on)
	switch s.text {
	case "||", "&&":
		return e.logical(s, left)
	}
	right := e.eval(s.args[0])
	if v, ok := operate(left, s.text, right); ok {
		if s.text == "<<" && s.on.kind == nameSyntax {
			e.variables[s.on.text] = v
		}
		return v
	}
	return unknown(s)
}

func (e *evaluator) logical(s *syntax, left value) value {
	if left.kind == askedValue {
		if s.text == "||" {
			return e.fallback(s, left.expr)
		}
		return unknown(s)
	}
	truthy := left.kind != nilValue && (left.kind != boolValue || left.truth)
	if truthy == (s.text == "||") {
		return left
	}
	return e.eval(s.args[0])
}

// fallback is "x || y" of an expression: y is the default of a variable, where what is called on the variable leaves y as it is.
func (e *evaluator) fallback(s *syntax, left *Expr) value {
	switch {
	case len(left.Source) >= maxSourceOfExpression:
		return unknown(s)
	case left.Kind == Command, left.Kind == File, left.Required:
		return asked(left)
	case len(left.Default) == 1 && left.Default[0].Expr != nil: // x || y || z: it is y that z stands in for
		rest := e.fallback(s, left.Default[0].Expr)
		extended := *left
		extended.goOn(s)
		if !extended.otherwise(rest) {
			return unknown(s)
		}
		return asked(&extended)
	case left.Default != nil:
		return asked(left)
	case left.Kind == Unknown:
		return unknown(s)
	}
	extended := *left
	extended.goOn(s)
	if raises(s.args[0]) {
		extended.Required = true
		return asked(&extended)
	}
	right := e.eval(s.args[0])
	for _, call := range left.Calls {
		same, ok := callText(right, call)
		if a, _ := same.literal(); !ok || a == "" || !equal(same, right) {
			return unknown(s)
		}
	}
	if !extended.otherwise(right) {
		return unknown(s)
	}
	return asked(&extended)
}

// goOn adds to an expression's source what a syntax does with it.
func (x *Expr) goOn(s *syntax) {
	if len(x.Source) < maxSourceOfExpression {
		x.Source += strings.TrimPrefix(s.source, s.on.source)
	}
}

// otherwise sets what a variable comes to where it is not set.
func (x *Expr) otherwise(v value) bool {
	parts, ok := v.print()
	if !ok {
		return false
	}
	x.Default = slices.Clone(parts)
	if v.kind != nilValue && len(x.Default) == 0 {
		x.Default = []Part{{}}
	}
	return true
}

// raises tells whether an expression ends the run.
func raises(s *syntax) bool {
	return (s.kind == callSyntax || s.kind == nameSyntax) && s.on == nil && slices.Contains([]string{"raise", "abort", "fail", "exit"}, s.text)
}

func (e *evaluator) assign(s *syntax) value {
	target := s.on
	if target.kind == callSyntax {
		if target.on.kind == constantSyntax && target.on.text == "ENV" {
			e.tell(s.source, "sets a variable of the environment: nothing here knows of it")
		} else {
			e.tell(s.source, "changes what a variable holds: nothing here knows of it")
			e.forgetName(target.on.text, s.source)
		}
		return unknown(s)
	}
	right := s.args[0]
	var v value
	switch s.text {
	case "=":
		v = e.eval(right)
	case "||=", "&&=":
		old, there := e.variables[target.text]
		if !there {
			old = value{kind: nilValue}
		}
		v = e.logical(&syntax{kind: binarySyntax, text: s.text[:2], on: target, args: s.args, source: s.source}, old)
	default:
		v = e.binary(&syntax{kind: binarySyntax, text: s.text[:1], on: target, args: s.args, source: s.source})
	}
	e.variables[target.text] = v
	return v
}

// forget makes unknown what an expression that was left out would have assigned.
func (e *evaluator) forget(s *syntax) {
	if s.kind == assignSyntax {
		e.forgetName(s.on.text, s.source)
	}
	for _, arg := range s.args {
		if arg != nil {
			e.forget(arg)
		}
	}
}

func (e *evaluator) forgetName(name, source string) {
	if name != "" {
		e.variables[name] = asked(&Expr{Source: source})
	}
}

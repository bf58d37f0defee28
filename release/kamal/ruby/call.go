package ruby

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// call is a method call. Of what is not known before a run, the methods are kept with the expression.
func (e *evaluator) call(s *syntax) value {
	if s.on == nil {
		return e.function(s)
	}
	if s.on.kind == constantSyntax && e.variables[s.on.text].kind == nilValue {
		return e.global(s)
	}
	on := e.eval(s.on)
	if s.safe && on.kind == nilValue {
		return on
	}
	if s.body != nil || len(s.args) == 1 && s.args[0].kind == passSyntax {
		return e.iterate(s, on)
	}
	args := make([]value, 0, len(s.args))
	for _, arg := range s.args {
		args = append(args, e.eval(arg))
	}
	if on.kind == askedValue {
		return e.extend(s, on.expr, args)
	}
	if v, ok := method(on, s.text, args); ok {
		if mutators[s.text] && s.on.kind == nameSyntax {
			e.variables[s.on.text] = v
		}
		return v
	}
	return unknown(s)
}

// extend calls a method on an expression.
func (e *evaluator) extend(s *syntax, on *Expr, args []value) value {
	extended := *on
	extended.goOn(s)
	if on.Kind == Unknown {
		return asked(&extended)
	}
	if len(args) == 0 && (s.text == "freeze" || s.text == "dup" || s.text == "itself" || s.text == "to_s" && len(on.Calls) == 0) {
		return asked(on)
	}
	if len(on.Calls) >= maxNesting {
		return asked(&Expr{Source: extended.Source})
	}
	call := Call{Method: s.text}
	for _, arg := range args {
		written, ok := argument(arg)
		if !ok {
			return asked(&Expr{Source: extended.Source})
		}
		call.Args = append(call.Args, written)
	}
	if strings.HasSuffix(s.text, "?") || s.text == "==" {
		return asked(&Expr{Source: extended.Source})
	}
	extended.Calls = append(slices.Clone(on.Calls), call)
	return asked(&extended)
}

// argument writes a literal argument.
func argument(v value) (string, bool) {
	switch v.kind {
	case textValue, symbolValue:
		return v.literal()
	case intValue:
		return strconv.FormatInt(v.number, 10), true
	case rangeValue:
		ends := [2]string{}
		for i, end := range v.ends {
			if end != nil {
				ends[i] = strconv.FormatInt(*end, 10)
			}
		}
		return ends[0] + dots(v.open) + ends[1], true
	case boolValue, nilValue:
		parts, _ := v.inspect()
		return parts[0].Text, true
	}
	return "", false
}

// function is a call on nothing.
func (e *evaluator) function(s *syntax) value {
	switch {
	case (s.text == "format" || s.text == "sprintf") && len(s.args) > 1 && s.body == nil:
		list := value{kind: listValue}
		for _, arg := range s.args[1:] {
			list.items = append(list.items, e.eval(arg))
		}
		if v, ok := operate(e.eval(s.args[0]), "%", list); ok {
			return v
		}
	case (s.text == "String" || s.text == "Integer") && len(s.args) == 1 && s.body == nil:
		method := map[string]string{"String": "to_s", "Integer": "to_i"}[s.text]
		return e.call(&syntax{kind: callSyntax, on: s.args[0], text: method, source: s.source})
	}
	return unknown(s)
}

// global is a call on a constant: ENV and File are known.
func (e *evaluator) global(s *syntax) value {
	switch {
	case s.on.text == "ENV":
		return e.environment(s)
	case (s.on.text == "File" || s.on.text == "IO") && s.text == "read" && len(s.args) == 1:
		if name, ok := e.eval(s.args[0]).literal(); ok {
			return asked(&Expr{Kind: File, Name: name, Source: s.source})
		}
	case s.on.text == "File" && s.text == "join" && s.body == nil:
		var elements []string
		for _, arg := range s.args {
			element, ok := e.eval(arg).literal()
			if !ok {
				return unknown(s)
			}
			elements = append(elements, element)
		}
		return text(path.Join(elements...))
	}
	return unknown(s)
}

// environment is ENV["X"] and ENV.fetch.
func (e *evaluator) environment(s *syntax) value {
	if len(s.args) == 0 || s.text != "[]" && s.text != "fetch" && s.text != "dig" {
		return unknown(s)
	}
	name, ok := e.eval(s.args[0]).literal()
	if !ok {
		return unknown(s)
	}
	x := &Expr{Kind: Env, Name: name, Source: s.source}
	if s.text != "fetch" {
		return asked(x)
	}
	switch {
	case s.body != nil && len(s.body.body) == 1 && !raises(s.body.body[0]):
		ok = x.otherwise(e.eval(s.body.body[0]))
	case s.body != nil && len(s.body.body) > 1:
		ok = false
	case len(s.args) == 2:
		ok = x.otherwise(e.eval(s.args[1]))
	case s.body != nil && len(s.body.body) == 0:
	default:
		x.Required = true
	}
	if !ok {
		return unknown(s)
	}
	return asked(x)
}

// iterate calls a block for each item of a list.
func (e *evaluator) iterate(s *syntax, on value) value {
	pass := s.body == nil
	if on.kind == askedValue && pass && on.expr.Kind != Unknown {
		return e.extend(s, on.expr, []value{text("&:" + s.args[0].text)})
	}
	items, ok := enumerate(on, s.text, nil)
	if !ok || s.body != nil && s.body.open {
		e.forgetBody(s)
		return unknown(s)
	}
	var results []value
	for _, item := range items {
		if e.steps++; e.steps > maxSteps {
			return unknown(s)
		}
		result, ok := value{kind: nilValue}, true
		if pass {
			result, ok = method(item[0], s.args[0].text, nil)
		} else {
			e.within(s.body.params, item, func() {
				for _, line := range s.body.body {
					result = e.eval(line)
				}
			})
		}
		if !ok {
			return unknown(s)
		}
		results = append(results, result)
	}
	return collect(s, on, results)
}

// collect is what a method with a block makes of the block's results.
func collect(s *syntax, on value, results []value) value {
	list := value{kind: listValue}
	switch s.text {
	case "map", "collect", "flat_map":
		for _, r := range results {
			if s.text == "flat_map" && r.kind == listValue {
				list.items = append(list.items, r.items...)
			} else {
				list.items = append(list.items, r)
			}
		}
		return list
	case "select", "filter", "reject":
		if on.kind != listValue {
			return unknown(s)
		}
		for i, r := range results {
			if r.kind == askedValue {
				return unknown(s)
			}
			if truthy := r.kind != nilValue && (r.kind != boolValue || r.truth); truthy == (s.text != "reject") {
				list.items = append(list.items, on.items[i])
			}
		}
		return list
	case "each", "each_with_index", "times", "upto":
		return on
	}
	return unknown(s)
}

// within runs with a block's parameters, which end with it.
func (e *evaluator) within(params []string, args []value, run func()) {
	if len(params) > 1 && len(args) == 1 && args[0].kind == listValue { // |a, b| takes a list apart
		args = args[0].items
	}
	before := map[string]value{}
	for i, p := range params {
		if old, there := e.variables[p]; there {
			before[p] = old
		}
		e.variables[p] = value{kind: nilValue}
		if i < len(args) {
			e.variables[p] = args[i]
		}
	}
	run()
	for _, p := range params {
		delete(e.variables, p)
		if old, there := before[p]; there {
			e.variables[p] = old
		}
	}
}

func (e *evaluator) forgetBody(s *syntax) {
	if s.body == nil {
		return
	}
	for _, line := range s.body.body {
		e.forget(line)
	}
}

// mutators change what they are called on.
var mutators = map[string]bool{"push": true, "append": true, "concat": true, "unshift": true, "prepend": true}

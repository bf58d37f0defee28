package ruby

import (
	"strconv"
	"strings"
)

// value is what an expression comes to.
type value struct {
	kind   valueKind
	truth  bool
	number int64
	float  float64
	parts  []Part // of a text
	items  []value
	pairs  []pair // of a hash
	ends   [2]*int64
	open   bool  // of a range: without its end (...)
	expr   *Expr // of what is not known before it runs
	size   int   // what it weighs; 0: it was not weighed
}

type pair struct{ key, value value }

type valueKind int

const (
	nilValue valueKind = iota
	boolValue
	intValue
	floatValue
	textValue
	symbolValue
	listValue
	hashValue
	rangeValue
	askedValue
)

func text(s string) value { return value{kind: textValue, parts: []Part{{Text: s}}} }

// asked is a value that only a run could tell.
func asked(e *Expr) value { return value{kind: askedValue, expr: e} }

// ofParts joins literal text, and makes a single expression itself the value.
func ofParts(parts []Part) value {
	var joined []Part
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			joined = append(joined, Part{Text: literal.String()})
			literal.Reset()
		}
	}
	for _, p := range parts {
		if p.Expr == nil {
			literal.WriteString(p.Text)
			continue
		}
		flush()
		joined = append(joined, p)
	}
	flush()
	switch {
	case len(joined) == 0:
		return text("")
	case len(joined) == 1 && joined[0].Expr != nil:
		return asked(joined[0].Expr)
	}
	return value{kind: textValue, parts: joined}
}

// weigh is about how many bytes the value would print.
func (v value) weigh() int {
	if v.size > 0 {
		return v.size
	}
	size := 1 + weight(v.parts)
	for _, item := range v.items {
		size += 16 + item.weigh()
	}
	for _, p := range v.pairs {
		size += 16 + p.key.weigh() + p.value.weigh()
	}
	return size
}

func weight(parts []Part) int {
	size := 16 * len(parts)
	for _, p := range parts {
		size += len(p.Text)
	}
	return size
}

// literal is a text or symbol of which all is known.
func (v value) literal() (string, bool) {
	if v.kind != textValue && v.kind != symbolValue || len(v.parts) != 1 || v.parts[0].Expr != nil {
		return "", false
	}
	return v.parts[0].Text, true
}

// known tells whether no run is needed to tell the value.
func (v value) known() bool {
	if v.kind == askedValue {
		return false
	}
	for _, p := range v.parts {
		if p.Expr != nil {
			return false
		}
	}
	for _, item := range v.items {
		if !item.known() {
			return false
		}
	}
	for _, p := range v.pairs {
		if !p.key.known() || !p.value.known() {
			return false
		}
	}
	return true
}

// print is to_s. False: how Ruby prints it is not known here.
func (v value) print() ([]Part, bool) {
	switch v.kind {
	case nilValue:
		return nil, true
	case boolValue:
		return []Part{{Text: strconv.FormatBool(v.truth)}}, true
	case intValue:
		return []Part{{Text: strconv.FormatInt(v.number, 10)}}, true
	case floatValue:
		return []Part{{Text: printFloat(v.float)}}, true
	case textValue, symbolValue:
		return v.parts, true
	case askedValue:
		return []Part{{Expr: v.expr}}, true
	case listValue:
		return v.inspect()
	case rangeValue:
		if v.ends[0] != nil && v.ends[1] != nil {
			return []Part{{Text: strconv.FormatInt(*v.ends[0], 10) + dots(v.open) + strconv.FormatInt(*v.ends[1], 10)}}, true
		}
	}
	return nil, false
}

func dots(open bool) string {
	if open {
		return "..."
	}
	return ".."
}

// inspect is how Ruby shows the value within a list.
func (v value) inspect() ([]Part, bool) {
	switch v.kind {
	case nilValue:
		return []Part{{Text: "nil"}}, true
	case textValue:
		return enquote(v.parts, inspected), true
	case symbolValue:
		return append([]Part{{Text: ":"}}, v.parts...), true
	case askedValue:
		return enquote([]Part{{Expr: v.expr}}, inspected), v.expr.Kind != Unknown && len(v.expr.Calls) == 0
	case listValue:
		return v.enlist(", ", value.inspect)
	}
	return v.print()
}

// json is to_json.
func (v value) json() ([]Part, bool) {
	switch v.kind {
	case nilValue:
		return []Part{{Text: "null"}}, true
	case textValue, symbolValue:
		return enquote(v.parts, jsonText), true
	case askedValue:
		return enquote([]Part{{Expr: v.expr}}, jsonText), v.expr.Kind != Unknown && len(v.expr.Calls) == 0
	case listValue:
		return v.enlist(",", value.json)
	case hashValue:
		parts := []Part{{Text: "{"}}
		for i, p := range v.pairs {
			key, ok := p.key.literal()
			shown, known := p.value.json()
			if !ok || !known {
				return nil, false
			}
			if i > 0 {
				parts = append(parts, Part{Text: ","})
			}
			parts = append(append(parts, Part{Text: `"` + jsonText.Replace(key) + `":`}), shown...)
		}
		return append(parts, Part{Text: "}"}), true
	case rangeValue:
		return nil, false
	}
	return v.print()
}

func (v value) enlist(separator string, show func(value) ([]Part, bool)) ([]Part, bool) {
	parts := []Part{{Text: "["}}
	for i, item := range v.items {
		if i > 0 {
			parts = append(parts, Part{Text: separator})
		}
		shown, ok := show(item)
		if !ok {
			return nil, false
		}
		parts = append(parts, shown...)
	}
	return append(parts, Part{Text: "]"}), true
}

var (
	jsonText  = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`)
	inspected = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "#{", `\#{`, "\x1b", `\e`)
)

func enquote(parts []Part, escaped *strings.Replacer) []Part {
	quoted := []Part{{Text: `"`}}
	for _, p := range parts {
		p.Text = escaped.Replace(p.Text)
		quoted = append(quoted, p)
	}
	return append(quoted, Part{Text: `"`})
}

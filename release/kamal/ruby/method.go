package ruby

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// method calls a method on a value that is known. False: it is none of those that are understood.
func method(on value, name string, args []value) (value, bool) {
	switch name {
	case "freeze", "dup", "itself", "clone":
		return on, len(args) == 0
	case "nil?":
		return value{kind: boolValue, truth: on.kind == nilValue}, on.kind != askedValue
	case "to_s":
		if parts, ok := on.print(); ok && len(args) == 0 {
			return ofParts(parts), true
		}
		return value{}, false
	case "to_json":
		if parts, ok := on.json(); ok && len(args) == 0 {
			return ofParts(parts), true
		}
		return value{}, false
	case "inspect":
		if parts, ok := on.inspect(); ok && len(args) == 0 {
			return ofParts(parts), true
		}
		return value{}, false
	}
	switch on.kind {
	case textValue, symbolValue:
		return textMethod(on, name, args)
	case intValue:
		return intMethod(on, name, args)
	case rangeValue:
		if items, ok := enumerate(on, "each", nil); ok {
			return listMethod(listOf(items), name, args)
		}
	case listValue:
		return listMethod(on, name, args)
	case hashValue:
		return hashMethod(on, name, args)
	case nilValue:
		if name == "to_a" {
			return value{kind: listValue}, true
		}
	}
	return value{}, false
}

func listOf(items [][]value) value {
	list := value{kind: listValue}
	for _, item := range items {
		list.items = append(list.items, item[0])
	}
	return list
}

func intMethod(on value, name string, args []value) (value, bool) {
	switch name {
	case "to_i":
		return on, true
	case "succ", "next":
		return operate(on, "+", value{kind: intValue, number: 1})
	case "times", "upto":
		items, ok := enumerate(on, name, args)
		return listOf(items), ok
	case "zero?", "even?", "odd?":
		truth := name == "zero?" && on.number == 0 || name == "even?" && on.number%2 == 0 || name == "odd?" && on.number%2 != 0
		return value{kind: boolValue, truth: truth}, true
	}
	return value{}, false
}

func hashMethod(on value, name string, args []value) (value, bool) {
	list := value{kind: listValue}
	switch {
	case (name == "[]" || name == "fetch" || name == "dig" || name == "key?") && len(args) == 1:
		for _, p := range on.pairs {
			if equal(p.key, args[0]) {
				if name == "key?" {
					return value{kind: boolValue, truth: true}, true
				}
				return p.value, true
			}
		}
		return value{kind: nilValue}, name != "fetch" && args[0].known()
	case name == "keys" || name == "values":
		for _, p := range on.pairs {
			if name == "keys" {
				list.items = append(list.items, p.key)
			} else {
				list.items = append(list.items, p.value)
			}
		}
		return list, true
	case name == "size" || name == "length" || name == "count":
		return value{kind: intValue, number: int64(len(on.pairs))}, len(args) == 0
	}
	return value{}, false
}

// plain are the methods of a text without arguments that give a text.
var plain = map[string]func(string) string{
	"strip":  func(s string) string { return strings.TrimFunc(s, blank) },
	"lstrip": func(s string) string { return strings.TrimLeftFunc(s, blank) },
	"rstrip": func(s string) string { return strings.TrimRightFunc(s, blank) },
	"chomp":  func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") },
	"squish": func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"upcase": strings.ToUpper, "downcase": strings.ToLower,
	"to_str": func(s string) string { return s }, "presence": func(s string) string { return s },
	"capitalize": func(s string) string {
		first, size := utf8.DecodeRuneInString(s)
		if size == 0 {
			return ""
		}
		return string(unicode.ToUpper(first)) + strings.ToLower(s[size:])
	},
	"reverse": func(s string) string {
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes)
	},
}

func blank(c rune) bool { return c == 0 || c == ' ' || c >= '\t' && c <= '\r' }

// callText applies a call that was kept with an expression to a value.
func callText(v value, call Call) (value, bool) {
	var args []value
	for _, a := range call.Args {
		args = append(args, text(a))
	}
	return method(v, call.Method, args)
}

func textMethod(on value, name string, args []value) (value, bool) {
	s, ok := on.literal()
	if !ok {
		return value{}, false
	}
	if f := plain[name]; f != nil && len(args) == 0 {
		return text(f(s)), true
	}
	var literals []string
	for _, a := range args {
		if l, ok := a.literal(); ok && a.kind == textValue {
			literals = append(literals, l)
		}
	}
	switch {
	case len(args) == 0:
		return textProperty(s, name)
	case name == "[]" || name == "slice":
		runes := []rune(s)
		from, to, single, ok := bounds(len(runes), args)
		if !ok || single && from >= len(runes) {
			return value{kind: nilValue}, ok
		}
		return text(string(runes[from:to])), true
	case len(literals) != len(args):
		return justify(s, name, args)
	}
	return textCompared(s, name, literals)
}

func textProperty(s, name string) (value, bool) {
	switch name {
	case "to_i":
		digits := strings.TrimLeftFunc(strings.ReplaceAll(s, "_", ""), blank)
		end := 0
		for end < len(digits) && (digits[end] >= '0' && digits[end] <= '9' || end == 0 && (digits[0] == '-' || digits[0] == '+')) {
			end++
		}
		n, err := strconv.ParseInt(digits[:end], 10, 64)
		return value{kind: intValue, number: n}, err == nil || end < 2
	case "to_sym":
		v := text(s)
		v.kind = symbolValue
		return v, true
	case "size", "length":
		return value{kind: intValue, number: int64(utf8.RuneCountInString(s))}, true
	case "empty?":
		return value{kind: boolValue, truth: s == ""}, true
	case "present?", "blank?":
		return value{kind: boolValue, truth: (strings.TrimSpace(s) != "") == (name == "present?")}, true
	case "split":
		return texts(strings.Fields(s)), true
	case "lines":
		return texts(slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return l == "" })), true
	}
	return value{}, false
}

func texts(all []string) value {
	list := value{kind: listValue}
	for _, s := range all {
		list.items = append(list.items, text(s))
	}
	return list
}

// textCompared are the methods of a text whose arguments are texts.
func textCompared(s, name string, args []string) (value, bool) {
	truth := func(f func(string, string) bool) (value, bool) {
		return value{kind: boolValue, truth: slices.ContainsFunc(args, func(a string) bool { return f(s, a) })}, true
	}
	switch {
	case name == "start_with?":
		return truth(strings.HasPrefix)
	case name == "end_with?":
		return truth(strings.HasSuffix)
	case name == "include?" && len(args) == 1:
		return truth(strings.Contains)
	case name == "split" && len(args) == 1 && args[0] == " ":
		return texts(strings.Fields(s)), true
	case name == "split" && len(args) == 1:
		pieces := strings.Split(s, args[0])
		for len(pieces) > 0 && pieces[len(pieces)-1] == "" { // Ruby drops empty ones at the end
			pieces = pieces[:len(pieces)-1]
		}
		return texts(pieces), true
	case name == "chomp" && len(args) == 1 || name == "delete_suffix" && len(args) == 1:
		return text(strings.TrimSuffix(s, args[0])), true
	case name == "delete_prefix" && len(args) == 1:
		return text(strings.TrimPrefix(s, args[0])), true
	case (name == "gsub" || name == "sub") && len(args) == 2 && !strings.Contains(args[1], `\`) && (len(s)+1)*len(args[1]) < maxRendered:
		n := map[string]int{"gsub": -1, "sub": 1}[name]
		return text(strings.Replace(s, args[0], args[1], n)), true
	case name == "tr" && len(args) == 2 && utf8.RuneCountInString(args[0]) == 1 && utf8.RuneCountInString(args[1]) == 1 && args[0] != "^" && args[0] != `\`:
		return text(strings.ReplaceAll(s, args[0], args[1])), true
	}
	return value{}, false
}

// justify is rjust and ljust.
func justify(s, name string, args []value) (value, bool) {
	if len(args) > 2 || args[0].kind != intValue || args[0].number > 1000 || name != "rjust" && name != "ljust" {
		return value{}, false
	}
	fill := " "
	if len(args) == 2 {
		fill, _ = args[1].literal()
	}
	missing := int(args[0].number) - utf8.RuneCountInString(s)
	if utf8.RuneCountInString(fill) != 1 {
		return value{}, false
	}
	padding := strings.Repeat(fill, max(missing, 0))
	if name == "rjust" {
		return text(padding + s), true
	}
	return text(s + padding), true
}

// bounds reads the arguments of []: an index, a start and a length, or a range. False: they are none of these, or out of bounds.
func bounds(length int, args []value) (from, to int, single, ok bool) {
	switch {
	case len(args) == 1 && args[0].kind == intValue:
		from = clamp(args[0].number, length)
		return from, min(from+1, length), true, from >= 0
	case len(args) == 2 && args[0].kind == intValue && args[1].kind == intValue && args[1].number >= 0:
		from = clamp(args[0].number, length)
		return from, int(min(int64(from)+min(args[1].number, int64(length)), int64(length))), false, from >= 0 && from <= length
	case len(args) == 1 && args[0].kind == rangeValue:
		to = length
		if start := args[0].ends[0]; start != nil {
			from = clamp(*start, length)
		}
		if end := args[0].ends[1]; end != nil {
			to = clamp(*end, length)
			if !args[0].open && to < length {
				to++
			}
		}
		return from, max(min(to, length), from), false, from >= 0 && from <= length
	}
	return 0, 0, false, false
}

// clamp counts a negative index from the end; what is beyond the end is just beyond it, before the beginning -1.
func clamp(index int64, length int) int {
	if index < 0 {
		index += int64(length)
	}
	return int(max(min(index, int64(length)+1), -1))
}

package ruby

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// enumerate gives what a block is called with, once for each item. False: what is to be gone through is not known.
func enumerate(on value, name string, args []value) ([][]value, bool) {
	var all [][]value
	number := func(n int64) value { return value{kind: intValue, number: n} }
	count := func(from, to int64) ([][]value, bool) {
		if to-from > maxNodes || to-from < -maxNodes || from > to+1 && from-to > maxNodes {
			return nil, false
		}
		for n := from; n <= to; n++ {
			all = append(all, []value{number(n)})
		}
		return all, true
	}
	switch {
	case on.kind == intValue && name == "times":
		return count(0, min(on.number, maxNodes+2)-1)
	case on.kind == intValue && name == "upto" && len(args) == 1 && args[0].kind == intValue:
		return count(on.number, args[0].number)
	case on.kind == rangeValue && on.ends[0] != nil && on.ends[1] != nil:
		to := *on.ends[1]
		if on.open {
			to--
		}
		if *on.ends[0] < -maxNodes*10 || to > maxNodes*10 {
			return nil, false
		}
		numbers, ok := count(*on.ends[0], to)
		return indexed(numbers, name), ok
	case on.kind == hashValue:
		for _, p := range on.pairs {
			all = append(all, []value{p.key, p.value})
		}
		return all, name == "each" || name == "each_pair" || name == "map"
	case on.kind == listValue:
		for _, item := range on.items {
			all = append(all, []value{item})
		}
		return indexed(all, name), true
	}
	return nil, false
}

func indexed(all [][]value, name string) [][]value {
	if name == "each_with_index" {
		for i := range all {
			all[i] = append(all[i][:1:1], value{kind: intValue, number: int64(i)})
		}
	}
	return all
}

func listMethod(on value, name string, args []value) (value, bool) {
	if v, ok := listQuery(on, name, args); ok {
		return v, true
	}
	list := value{kind: listValue, items: slices.Clone(on.items)}
	switch {
	case name == "push" || name == "append":
		list.items = append(list.items, args...)
	case name == "concat" && len(args) == 1 && args[0].kind == listValue:
		list.items = append(list.items, args[0].items...)
	case name == "unshift" || name == "prepend":
		list.items = slices.Concat(args, list.items)
	case len(args) > 0:
		return value{}, false
	case name == "to_a" || name == "entries":
	case name == "reverse":
		slices.Reverse(list.items)
	case name == "compact":
		list.items = slices.DeleteFunc(list.items, func(v value) bool { return v.kind == nilValue })
		return list, !slices.ContainsFunc(list.items, func(v value) bool { return v.kind == askedValue })
	case name == "flatten":
		list.items = flatten(on.items, 0)
	case name == "uniq" && on.known():
		list.items = nil
		for _, item := range on.items {
			if !slices.ContainsFunc(list.items, func(v value) bool { return equal(v, item) }) {
				list.items = append(list.items, item)
			}
		}
	case name == "sort":
		return sorted(list)
	default:
		return value{}, false
	}
	return list, true
}

func listQuery(on value, name string, args []value) (value, bool) {
	n := len(on.items)
	switch {
	case (name == "first" || name == "last") && len(args) == 0:
		switch {
		case n == 0:
			return value{kind: nilValue}, true
		case name == "first":
			return on.items[0], true
		}
		return on.items[n-1], true
	case (name == "first" || name == "take" || name == "last" || name == "drop") && len(args) == 1 && args[0].kind == intValue && args[0].number >= 0:
		k := int(min(args[0].number, int64(n)))
		from, to := 0, k
		switch name {
		case "last":
			from, to = n-k, n
		case "drop":
			from, to = k, n
		}
		return value{kind: listValue, items: on.items[from:to:to]}, true
	case name == "[]" || name == "slice":
		from, to, single, ok := bounds(n, args)
		if single && ok && from < n {
			return on.items[from], true
		}
		if single || !ok {
			return value{kind: nilValue}, single || ok
		}
		return value{kind: listValue, items: on.items[from:to:to]}, true
	case name == "join" && len(args) < 2:
		return join(on, args)
	case (name == "size" || name == "length" || name == "count") && len(args) == 0:
		return value{kind: intValue, number: int64(n)}, true
	case name == "empty?" || name == "any?" && len(args) == 0:
		return value{kind: boolValue, truth: (n == 0) == (name == "empty?")}, name == "empty?" || on.known()
	case name == "include?" && len(args) == 1 && on.known() && args[0].known():
		return value{kind: boolValue, truth: slices.ContainsFunc(on.items, func(v value) bool { return equal(v, args[0]) })}, true
	}
	return value{}, false
}

func join(on value, args []value) (value, bool) {
	separator := ""
	if len(args) == 1 {
		var ok bool
		if separator, ok = args[0].literal(); !ok {
			return value{}, false
		}
	}
	var parts []Part
	for i, item := range flatten(on.items, 0) {
		if i > 0 {
			parts = append(parts, Part{Text: separator})
		}
		shown, ok := item.print()
		if !ok {
			return value{}, false
		}
		parts = append(parts, shown...)
	}
	return ofParts(parts), true
}

func flatten(items []value, depth int) []value {
	var flat []value
	for _, item := range items {
		if item.kind == listValue && depth < maxNesting {
			flat = append(flat, flatten(item.items, depth+1)...)
		} else {
			flat = append(flat, item)
		}
	}
	return flat
}

func sorted(list value) (value, bool) {
	for _, item := range list.items {
		if _, ok := item.literal(); !ok && item.kind != intValue || item.kind != list.items[0].kind {
			return value{}, false
		}
	}
	slices.SortStableFunc(list.items, func(a, b value) int {
		if a.kind == intValue {
			return cmp.Compare(a.number, b.number)
		}
		x, _ := a.literal()
		y, _ := b.literal()
		return strings.Compare(x, y)
	})
	return list, true
}

// operate is a binary operator on values. False: it needs a run, or is not understood.
func operate(left value, operator string, right value) (value, bool) {
	truth := func(t bool) (value, bool) { return value{kind: boolValue, truth: t}, true }
	switch {
	case operator == "==" && left.known() && right.known():
		return truth(equal(left, right))
	case operator == "!=" && left.known() && right.known():
		return truth(!equal(left, right))
	case left.kind == intValue && right.kind == intValue:
		return arithmetic(left.number, operator, right.number)
	case operator == "+" && left.kind == listValue && right.kind == listValue:
		return value{kind: listValue, items: slices.Concat(left.items, right.items)}, true
	case operator == "<<" && left.kind == listValue:
		return value{kind: listValue, items: append(slices.Clone(left.items), right)}, true
	case operator == "-" && left.kind == listValue && right.kind == listValue && left.known() && right.known():
		return value{kind: listValue, items: slices.DeleteFunc(slices.Clone(left.items), func(v value) bool {
			return slices.ContainsFunc(right.items, func(w value) bool { return equal(v, w) })
		})}, true
	case operator == "+" && printable(left) && printable(right):
		a, _ := left.print()
		b, _ := right.print()
		return ofParts(slices.Concat(a, b)), true
	case operator == "*" && left.kind == textValue && right.kind == intValue && right.number >= 0 && right.number <= int64(maxRendered/left.weigh()):
		return ofParts(slices.Repeat(left.parts, int(right.number))), true
	case operator == "%" && left.kind == textValue:
		return formatted(left, right)
	}
	return value{}, false
}

func printable(v value) bool {
	return v.kind == textValue || v.kind == askedValue && v.expr.Kind != Unknown
}

func arithmetic(a int64, operator string, b int64) (value, bool) {
	const large = 1 << 31
	truth := func(t bool) (value, bool) { return value{kind: boolValue, truth: t}, true }
	number := func(n int64) (value, bool) { return value{kind: intValue, number: n}, true }
	switch {
	case operator == "<":
		return truth(a < b)
	case operator == "<=":
		return truth(a <= b)
	case operator == ">":
		return truth(a > b)
	case operator == ">=":
		return truth(a >= b)
	case a > large || a < -large || b > large || b < -large:
		return value{}, false
	case operator == "+":
		return number(a + b)
	case operator == "-":
		return number(a - b)
	case operator == "*":
		return number(a * b)
	case (operator == "/" || operator == "%") && a >= 0 && b > 0: // below zero Ruby rounds the other way than Go
		if operator == "/" {
			return number(a / b)
		}
		return number(a % b)
	}
	return value{}, false
}

// equal compares values that are known.
func equal(a, b value) bool {
	if a.kind != b.kind || !a.known() || !b.known() {
		return false
	}
	x, ok := a.inspect()
	y, _ := b.inspect()
	return ok && slices.Equal(x, y)
}

var directive = regexp.MustCompile(`%(%|(0?)(\d{0,2})([ds]))`)

// formatted is "…%02d…" % values.
func formatted(left, right value) (value, bool) {
	pattern, ok := left.literal()
	args := []value{right}
	if right.kind == listValue {
		args = right.items
	}
	var parts []Part
	for ok && pattern != "" {
		m := directive.FindStringSubmatchIndex(pattern)
		if m == nil {
			ok = !strings.Contains(pattern, "%")
			parts = append(parts, Part{Text: pattern})
			break
		}
		ok = !strings.Contains(pattern[:m[0]], "%")
		parts = append(parts, Part{Text: pattern[:m[0]]})
		spec := pattern[m[0]:m[1]]
		switch {
		case spec == "%%":
			parts = append(parts, Part{Text: "%"})
		case len(args) == 0 || strings.HasSuffix(spec, "d") && args[0].kind != intValue:
			return value{}, false
		default:
			shown, known := args[0].print()
			width, _ := strconv.Atoi(pattern[m[6]:m[7]])
			if ok = ok && known && (width == 0 || args[0].kind == intValue && args[0].number >= 0); ok && width > 0 {
				fill := " "
				if m[5] > m[4] && strings.HasSuffix(spec, "d") {
					fill = "0"
				}
				shown = []Part{{Text: strings.Repeat(fill, max(width-len(shown[0].Text), 0)) + shown[0].Text}}
			}
			parts = append(parts, shown...)
			args = args[1:]
		}
		pattern = pattern[m[1]:]
	}
	return ofParts(parts), ok
}

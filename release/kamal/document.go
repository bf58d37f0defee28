package kamal

import "slices"

// origin is where in the source something comes from; the zero value is nowhere.
type origin struct {
	file string
	line int
}

// comment is what people wrote around a value, lines without their "#".
type comment struct {
	head   []string
	behind string
	foot   []string
}

// with adds what else people wrote.
func (c *comment) with(other comment) {
	c.head, c.foot = append(c.head, other.head...), append(c.foot, other.foot...)
	if c.behind != "" && other.behind != "" {
		c.behind += "; "
	}
	c.behind += other.behind
}

func (c comment) empty() bool { return len(c.head) == 0 && c.behind == "" && len(c.foot) == 0 }

// field is one thing in a block, a map or a list: an attribute, a block, an entry, an element, or a note, which is a comment
// by itself.
type field struct {
	origin
	comment
	name  string
	value *value
	block *block
	note  []string

	key         string // the source's, of a block
	path        string // what a refusal of it is known by, in every document that has it
	first, last int    // the lines where it was written last, from 1
}

// block is a block of deploy.hcl that is being made; the file itself is one without a name.
type block struct {
	name, label string
	path        string
	fields      []*field
}

// value is an attribute's value.
type value struct {
	source string   // a scalar or an expression, as deploy.hcl has it
	list   []*field // a list's elements, without names
	dict   []*field // a map's entries
	kind   valueKind
}

type valueKind int

const (
	scalarValue valueKind = iota
	listValue
	dictValue
)

var nothing = &value{source: "null"}

func raw(source string) *value { return &value{source: source} }

// find finds an attribute by name, or a block by name and label; nil when it is not there.
func (b *block) find(name, label string) *field {
	i := slices.IndexFunc(b.fields, func(f *field) bool {
		return f.name == name && (f.block == nil && label == "" || f.block != nil && f.block.label == label)
	})
	if i < 0 {
		return nil
	}
	return b.fields[i]
}

// child gives the block of a name and label, a new one where there is none.
func (b *block) child(name, label string) *block {
	if f := b.find(name, label); f != nil {
		return f.block
	}
	made := &block{name: name, label: label, path: join(b.path, title(name, label))}
	b.fields = append(b.fields, &field{name: name, block: made, path: made.path})
	return made
}

// set puts an attribute in; one of the same name is replaced.
func (b *block) set(name string, v *value) *field {
	f := b.find(name, "")
	if f == nil {
		f = &field{name: name, path: join(b.path, name)}
		b.fields = append(b.fields, f)
	}
	f.value = v
	name2path(f)
	return f
}

// remove takes a field away.
func (b *block) remove(f *field) {
	b.fields = slices.DeleteFunc(b.fields, func(o *field) bool { return o == f })
}

// name2path lets entries and elements be known by where they stand.
func name2path(f *field) {
	for _, e := range slices.Concat(f.value.dict, f.value.list) {
		e.path = join(f.path, e.name)
		if e.name == "" {
			e.path = f.path + "[" + e.value.source + "]"
		}
		name2path(e)
	}
}

// comes tells where a block was written in the source.
func (b *block) comes(parent *block, o origin, c comment) {
	f := parent.find(b.name, b.label)
	if f.origin == (origin{}) {
		f.origin = o
	}
	f.with(c)
}

// prune takes away blocks in which nothing is said, but for those whose presence alone says something.
func (b *block) prune() {
	b.fields = slices.DeleteFunc(b.fields, func(f *field) bool {
		if f.block == nil {
			return false
		}
		f.block.prune()
		return len(f.block.fields) == 0 && f.comment.empty() && !slices.Contains([]string{"role", "destination"}, f.name)
	})
}

// order puts attributes before blocks, as people write them; the root's fields are in their order already.
func (b *block) order() {
	for _, f := range b.fields {
		if f.block != nil {
			f.block.order()
			slices.SortStableFunc(f.block.fields, func(a, b *field) int {
				return rank(a.block != nil) - rank(b.block != nil)
			})
		}
	}
}

func rank(later bool) int {
	if later {
		return 1
	}
	return 0
}

// equal tells whether two values say the same, whatever is written around them.
func (v *value) equal(o *value) bool {
	if v.kind != o.kind || v.source != o.source || len(v.list) != len(o.list) || len(v.dict) != len(o.dict) {
		return false
	}
	for i, e := range v.list {
		if !e.value.equal(o.list[i].value) {
			return false
		}
	}
	for _, e := range v.dict {
		other := o.entry(e.name)
		if other == nil || !e.value.equal(other.value) {
			return false
		}
	}
	return true
}

func (v *value) entry(name string) *field {
	i := slices.IndexFunc(v.dict, func(e *field) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return v.dict[i]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func title(name, label string) string {
	if label == "" {
		return name
	}
	return name + ` "` + label + `"`
}

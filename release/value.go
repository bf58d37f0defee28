package release

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// text is one scalar of the file.
type text struct {
	s       string
	secret  bool     // s is the name of a secret
	host    HostText // says it in place of s, with variables of the host's own environment; "": s does
	unknown bool
	rng     hcl.Range
}

// value is one attribute, decoded by its kind. Every method is safe on nil, which is an attribute that does not stand there.
type value struct {
	name     string
	rng      hcl.Range // the expression's
	null     bool      // written as null: back to the default
	derived  bool      // not written: it follows from the rest of the file
	unknown  bool      // all or part of it is not known to whoever reads the file
	one      text
	list     []text
	dict     map[string][]text // an entry that is null in the file is nil
	listed   bool              // a list was written where a scalar is taken too
	flag     bool
	number   int64
	duration time.Duration
}

// set tells whether the attribute stands there with a value.
func (v *value) set() bool { return v != nil && !v.null }

// isKnown tells whether all of the value is known. What does not stand there is known: it has its default.
func (v *value) isKnown() bool { return v == nil || !v.unknown }

func (v *value) text() string { return v.textOr("") }

func (v *value) textOr(otherwise string) string {
	if !v.set() || v.unknown {
		return otherwise
	}
	return v.one.s
}

func (v *value) boolOr(otherwise bool) bool {
	if !v.set() || v.unknown {
		return otherwise
	}
	return v.flag
}

func (v *value) intOr(otherwise int) int {
	if !v.set() || v.unknown {
		return otherwise
	}
	return int(v.number)
}

func (v *value) durationOr(otherwise time.Duration) time.Duration {
	if !v.set() || v.unknown {
		return otherwise
	}
	return v.duration
}

// items are the list's known elements.
func (v *value) items() []text {
	if !v.set() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(v.list), func(t text) bool { return t.unknown })
}

// strings is the list as text; nil when it is empty or does not stand there.
func (v *value) strings() []string {
	var all []string
	for _, t := range v.items() {
		all = append(all, t.s)
	}
	return all
}

// keys are the map's names, sorted, without those that are null.
func (v *value) keys() []string {
	if !v.set() {
		return nil
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(v.dict)) {
		if v.dict[key] != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// stringMap is a map of scalars; nil when it is empty or does not stand there.
func (v *value) stringMap() map[string]string {
	var all map[string]string
	for _, key := range v.keys() {
		if all == nil {
			all = map[string]string{}
		}
		all[key] = v.dict[key][0].s
	}
	return all
}

// rangeOf is where a map's entry stands.
func (v *value) rangeOf(key string) hcl.Range {
	if entry := v.dict[key]; len(entry) > 0 {
		return entry[0].rng
	}
	return v.rng
}

// zero tells whether the value says nothing: false, zero, or empty.
func (v *value) zero() bool {
	return !v.set() || !v.unknown && !v.flag && v.number == 0 && v.duration == 0 && v.one.s == "" && len(v.list) == 0 && len(v.dict) == 0
}

// block is one decoded block. Every method is safe on nil, which is a block that does not stand there.
type block struct {
	spec   *blockSpec
	label  string
	rng    hcl.Range // the header's
	attrs  map[string]*value
	blocks []*block
	meant  []string // names that unknown ones there probably mean: nobody needs to be told that those are missing
}

// get finds an attribute; nil when it does not stand there.
func (b *block) get(name string) *value {
	if b == nil {
		return nil
	}
	return b.attrs[name]
}

// child finds a block without a label.
func (b *block) child(name string) *block { return b.find(name, "") }

// find finds a block by its label.
func (b *block) find(name, label string) *block {
	if b == nil {
		return nil
	}
	i := slices.IndexFunc(b.blocks, func(c *block) bool { return c.spec.name == name && c.label == label })
	if i < 0 {
		return nil
	}
	return b.blocks[i]
}

// children are all blocks of a name, in the file's order.
func (b *block) children(name string) []*block {
	if b == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.blocks), func(c *block) bool { return c.spec.name != name })
}

// labels are the labels of all blocks of a name, in the file's order.
func (b *block) labels(name string) []string {
	var labels []string
	for _, c := range b.children(name) {
		labels = append(labels, c.label)
	}
	return labels
}

// title is how messages call the block.
func (b *block) title() string {
	if b.label == "" {
		return b.spec.name
	}
	return b.spec.name + ` "` + b.label + `"`
}

// entry finds one entry of a map.
func (v *value) entry(key string) ([]text, bool) {
	if !v.set() || v.dict[key] == nil {
		return nil, false
	}
	return v.dict[key], true
}

package release

import "slices"

// kind is what an attribute's value must be.
type kind int

const (
	kindString         kind = iota // a scalar; numbers and booleans are taken as they are written
	kindSecret                     // secret("NAME") only
	kindStringOrSecret             // a string, or secret("NAME")
	kindStrings                    // a list of scalars
	kindSecrets                    // a list of secret("NAME")
	kindCommand                    // a list run as it is, or a string split as a shell would
	kindStringMap                  // names to scalars
	kindEnvMap                     // names to scalars or host_env("NAME")
	kindOptions                    // names to scalars or lists of scalars
	kindBool
	kindInt
	kindDuration  // "30s"
	kindSize      // "512m"
	kindShare     // "25%"
	kindLimit     // 3 or "25%"
	kindSSHConfig // true, false, a file or a list of files
	kindAny
)

// expected says what a kind takes, for messages.
func (k kind) expected() string {
	switch k {
	case kindString:
		return `a string`
	case kindSecret:
		return `secret("NAME")`
	case kindStringOrSecret:
		return `a string or secret("NAME")`
	case kindStrings:
		return `a list of strings, such as ["a", "b"]`
	case kindSecrets:
		return `a list of secrets, such as [secret("NAME")]`
	case kindCommand:
		return `a list of words, such as ["bin/jobs", "--all"], or one string`
	case kindStringMap, kindEnvMap:
		return `names and values, such as { NAME = "value" }`
	case kindOptions:
		return `docker run options, such as { memory = "2g", cap-add = ["SYS_NICE"] }`
	case kindBool:
		return `true or false`
	case kindInt:
		return `a whole number`
	case kindDuration:
		return `a duration in a string, such as "30s"`
	case kindSize:
		return `a size in a string, such as "512m"`
	case kindShare:
		return `a share in a string, such as "25%"`
	case kindLimit:
		return `a number such as 3, or a share such as "25%"`
	case kindSSHConfig:
		return `true, false, a file or a list of files`
	case kindAny:
		return `any value`
	}
	return "a value"
}

// text tells whether the kind keeps scalars as text, so that a number's spelling matters.
func (k kind) text() bool {
	return slices.Contains([]kind{kindString, kindStringOrSecret, kindStrings, kindCommand, kindStringMap, kindEnvMap, kindOptions}, k)
}

// attrSpec is one attribute of the vocabulary.
type attrSpec struct {
	name     string
	kind     kind
	required bool
	enum     []string // the values it may have; nil: any
	min, max int64    // for whole numbers; max 0: no upper bound
}

// blockSpec is one block of the vocabulary.
type blockSpec struct {
	name    string
	label   string   // what its label is; "": it has none
	known   []string // the labels it may have; nil: any
	repeats bool     // the same label may stand twice
	attrs   []attrSpec
	blocks  []*blockSpec
}

func (s *blockSpec) attr(name string) (attrSpec, bool) {
	i := slices.IndexFunc(s.attrs, func(a attrSpec) bool { return a.name == name })
	if i < 0 {
		return attrSpec{}, false
	}
	return s.attrs[i], true
}

func (s *blockSpec) block(name string) *blockSpec {
	i := slices.IndexFunc(s.blocks, func(b *blockSpec) bool { return b.name == name })
	if i < 0 {
		return nil
	}
	return s.blocks[i]
}

// names is everything that may stand in the block: attributes, then blocks.
func (s *blockSpec) names() []string {
	var names []string
	for _, a := range s.attrs {
		names = append(names, a.name)
	}
	for _, b := range s.blocks {
		names = append(names, b.name)
	}
	return names
}

// of builds attributes that share a kind; a name ending in "!" is required.
func of(k kind, names ...string) []attrSpec {
	var attrs []attrSpec
	for _, name := range names {
		required := name[len(name)-1] == '!'
		if required {
			name = name[:len(name)-1]
		}
		attrs = append(attrs, attrSpec{name: name, kind: k, required: required})
	}
	return attrs
}

// oneOf builds a string attribute with a closed set of values.
func oneOf(name string, values ...string) []attrSpec {
	return []attrSpec{{name: name, kind: kindString, enum: values}}
}

// someOf builds a list attribute whose elements come from a closed set.
func someOf(name string, values ...string) []attrSpec {
	return []attrSpec{{name: name, kind: kindStrings, enum: values}}
}

// between builds a whole-number attribute with bounds; high 0 is no bound.
func between(name string, low, high int64) []attrSpec {
	return []attrSpec{{name: name, kind: kindInt, min: low, max: high}}
}

// single is a block without a label, at most once.
func single(name string, blocks []*blockSpec, attrs ...[]attrSpec) *blockSpec {
	return &blockSpec{name: name, attrs: slices.Concat(attrs...), blocks: blocks}
}

// labelled is a block that a destination may take away by its label.
func labelled(name, label string, blocks []*blockSpec, attrs ...[]attrSpec) *blockSpec {
	all := append(slices.Concat(attrs...), attrSpec{name: "remove", kind: kindBool})
	return &blockSpec{name: name, label: label, attrs: all, blocks: blocks}
}

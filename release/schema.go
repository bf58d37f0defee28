package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
	kindByName    // a scalar for all, or names to scalars
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
	case kindByName:
		return `a string, or names and strings, such as { NAME = "value" }`
	}
	return "a value"
}

// brief is what a kind takes, without an example.
func (k kind) brief() string {
	switch k {
	case kindCommand:
		return "a list of words, or one string"
	case kindLimit:
		return "a number, or a share in a string"
	case kindSecrets:
		return "a list of secret(…)"
	case kindSecret, kindStringOrSecret:
		return strings.ReplaceAll(k.expected(), `"NAME"`, "…")
	}
	text, _, _ := strings.Cut(k.expected(), ", such as")
	return text
}

// text tells whether the kind keeps scalars as text, so that a number's spelling matters.
func (k kind) text() bool {
	return slices.Contains([]kind{kindString, kindStringOrSecret, kindStrings, kindCommand, kindStringMap, kindEnvMap, kindOptions, kindByName}, k)
}

// attrSpec is one attribute of the vocabulary, with what its reference says.
type attrSpec struct {
	name     string
	kind     kind
	required bool
	enum     []string // the values it may have; nil: any
	min, max int64    // for whole numbers; max 0: no upper bound

	meaning   string // in a line
	byDefault string // what holds without it, as the file would write it; "": nothing
	rule      string // what holds without it, where that is no value, in words
	example   string // as the file writes it
}

// attr builds an attribute; its meaning is a line of the reference.
func attr(name string, k kind, meaning string) attrSpec {
	return attrSpec{name: name, kind: k, meaning: meaning}
}

// needed makes the attribute one that must be there.
func (a attrSpec) needed() attrSpec { a.required = true; return a }

// among closes the set of values.
func (a attrSpec) among(values ...string) attrSpec { a.enum = values; return a }

// within bounds a whole number; high 0 is no bound.
func (a attrSpec) within(low, high int64) attrSpec { a.min, a.max = low, high; return a }

// positive makes a duration one that passes: longer than nothing.
func (a attrSpec) positive() attrSpec { a.min = 1; return a }

// atLeast bounds a duration from below.
func (a attrSpec) atLeast(least time.Duration) attrSpec { a.min = int64(least); return a }

// otherwise says what holds without the attribute: the constant that the compiler takes.
func (a attrSpec) otherwise(value any) attrSpec { a.byDefault = written(a.kind, value); return a }

// ruled says in words what holds without the attribute.
func (a attrSpec) ruled(rule string) attrSpec { a.rule = rule; return a }

// like gives an example, as the file writes it.
func (a attrSpec) like(example string) attrSpec { a.example = example; return a }

// wanted says what the attribute takes, for messages.
func (a attrSpec) wanted() string {
	switch {
	case a.enum != nil:
		return "one of " + quoted(a.enum)
	case a.example != "":
		return a.kind.brief() + ", such as " + a.name + " = " + a.example
	}
	return a.kind.expected()
}

// written is a value as the file writes it.
func written(k kind, value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case []string:
		return "[" + quoted(v) + "]"
	case time.Duration:
		return strconv.Quote(shortDuration(v))
	case int:
		switch k {
		case kindSize:
			return strconv.Quote(sizeText(int64(v)))
		case kindShare:
			return fmt.Sprintf(`"%d%%"`, v)
		}
	}
	return fmt.Sprint(value)
}

// blockSpec is one block of the vocabulary.
type blockSpec struct {
	name    string
	label   string   // what its label is; "": it has none
	meaning string   // in a line
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

// removal is the attribute with which a destination takes a block of the base away.
var removal = attr("remove", kindBool, "true, within a destination: the base's block is taken away").otherwise(false)

// single is a block without a label, at most once.
func single(name, meaning string, attrs []attrSpec, blocks ...*blockSpec) *blockSpec {
	return &blockSpec{name: name, meaning: meaning, attrs: append(slices.Clone(attrs), removal), blocks: blocks}
}

// labelled is a block of which there is one a label.
func labelled(name, label, meaning string, attrs []attrSpec, blocks ...*blockSpec) *blockSpec {
	b := single(name, meaning, attrs, blocks...)
	b.label = label
	return b
}

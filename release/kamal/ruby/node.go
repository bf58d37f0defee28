// Package ruby reads what Kamal's configuration is written in, ERB and YAML, as Ruby reads it: the rules of YAML 1.1 as Psych
// has them, merge keys and aliases, and of ERB what such files use. It runs no Ruby and no command and reads no environment: what
// only a run could tell stays in the tree as an expression.
package ruby

// Kind is what a value is to Ruby.
type Kind int

const (
	Null Kind = iota
	Bool
	Int
	Float
	String // also symbols, dates and times: Kamal prints them
	Sequence
	Mapping
)

// Node is one value. An alias is resolved: the node stands at every place that names it, as a copy with the place's own position.
type Node struct {
	Kind Kind
	// Text is what Ruby prints of a scalar (to_s): "false" for OFF, "45045" for 12:30:45, "1.1" for 1.10, "" for null. Where Parts
	// is set it is their literal text alone.
	Text    string
	Written string // a scalar as it stands in the file, without its quotes; it differs from Text where Ruby reads something else
	Quoted  bool   // a scalar in quotes or in a block (| and >)
	Symbol  bool   // :name
	Parts   []Part // of a String that ERB has a hand in, in their order; nil: Text is all of it

	Items   []*Node // of a Sequence
	Entries []Entry // of a Mapping, in the file's order, merge keys (<<) laid in; a key that is written twice is there once, the last

	Merged bool   // it came by a merge key or an alias; what is below an alias keeps the position where it is written
	Alias  string // the name of the anchor that it came from

	File         string
	Line, Column int
	Comment      Comment
}

// Entry is a key and its value. The comments above a key stand at the key, those behind a value at the value.
type Entry struct{ Key, Value *Node }

// Comment is what people wrote around a value, lines without their "#" and the blank behind it. Head is at the key or the item that
// it stands above, Line and Foot are at the value. A block of comments stands above what follows it; it is the Foot of what is before
// it where it is indented as that is and what follows is not, where nothing follows, and where it is right below that with a blank
// line after it. An empty line parts blocks that had one between them. A file of comments alone has them as the root's Head.
type Comment struct {
	Head []string
	Line string
	Foot []string
}

// Part is literal text, or an expression.
type Part struct {
	Text string
	Expr *Expr // nil: Text
}

// ExprKind is what an expression asks for.
type ExprKind int

const (
	Unknown ExprKind = iota // Ruby that is not understood: Source has it
	Env                     // a variable of the environment: Name, Default
	Command                 // a command's output (%x, backticks): Name is the command line
	File                    // a file's content: Name is its path
)

// Expr is an ERB expression that is not known before it runs.
type Expr struct {
	Kind   ExprKind
	Name   string
	Source string // as it is written, without the <%= %>

	// Default is what Env comes to where the variable is not set; nil: nothing. Required tells that Ruby fails then (ENV.fetch
	// without a default), where ENV["X"] gives an empty text.
	Default  []Part
	Required bool

	// Calls are the methods called on it, in their order: strip, chomp, upcase, downcase, split(","), [0..6], to_i, …
	Calls []Call

	Line int
}

// Call is one method and its literal arguments: x[0..6] is "[]" with "0..6", x[0, 7] is "[]" with "0" and "7", map(&:strip) is "map"
// with "&:strip".
type Call struct {
	Method string
	Args   []string
}

// Problem is something that could not be read as Ruby would read it, and was not left out in silence.
type Problem struct {
	File string
	Line int
	Last int    // the last line, where it is of several; else 0
	What string // the source, shortened: the first line's
	Why  string
}

// Get finds a mapping's value by its key's text; nil when it is not there, or n is no mapping.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Mapping {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key.Text == key {
			return e.Value
		}
	}
	return nil
}

// Known tells whether no expression has a hand in the value or anything below it.
func (n *Node) Known() bool {
	if n == nil {
		return true
	}
	for _, p := range n.Parts {
		if p.Expr != nil {
			return false
		}
	}
	for _, item := range n.Items {
		if !item.Known() {
			return false
		}
	}
	for _, e := range n.Entries {
		if !e.Key.Known() || !e.Value.Known() {
			return false
		}
	}
	return true
}

package kamal

import (
	"slices"

	"github.com/kamald/kamald/release/kamal/ruby"
)

// translation makes one document of one tree: the base's, or that of a destination laid over it.
type translation struct {
	opts        *Options
	ledger      *ledger
	destination string // "" for the base
	problems    []ruby.Problem
	source      place // the root
	root        *block

	lines  []Line
	done   map[*ruby.Node]bool // what became of it is in lines
	opened map[*ruby.Node]bool // mappings of which single keys are looked at
	taken  map[*ruby.Node]bool // whose comments stand in the document

	imageServer  string // the server that stood before the image's name
	secretsPath  string
	secretsBlock *block
	oldRun       *block          // what Kamal 1 said to Traefik of its ports
	runs         []place         // what is said of the proxy's own container
	clears       map[string]bool // variables that the root's env gives in clear
}

func newTranslation(opts *Options, ledger *ledger, destination string, tree *ruby.Node) *translation {
	return &translation{opts: opts, ledger: ledger, destination: destination, source: place{node: tree}, root: &block{},
		done: map[*ruby.Node]bool{}, opened: map[*ruby.Node]bool{}, taken: map[*ruby.Node]bool{}, clears: map[string]bool{}}
}

// report says what became of a key and everything below it.
func (t *translation) report(p place, s Severity, what, why string) {
	t.mark(p.node)
	t.say(p, s, what, why)
}

// say adds a line, and leaves open what becomes of the key.
func (t *translation) say(p place, s Severity, what, why string) {
	o := p.origin()
	t.lines = append(t.lines, Line{File: o.file, Line: o.line, Key: p.path, What: what, Why: why, Severity: s})
	if other := elsewhere(p.node, o.file); other != nil {
		t.lines = append(t.lines, Line{File: other.File, Line: other.Line, Key: p.path, What: what, Why: why, Severity: s})
	}
}

// sayOfAll adds a line that is of no one key.
func (t *translation) sayOfAll(s Severity, what, why string) {
	t.lines = append(t.lines, Line{File: t.source.node.File, What: what, Why: why, Severity: s})
}

// elsewhere is the first value below a node that another file says: a destination's, where the key is the base's.
func elsewhere(n *ruby.Node, file string) *ruby.Node {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key.File != file {
			return e.Key
		}
		if found := elsewhere(e.Value, file); found != nil {
			return found
		}
	}
	return nil
}

func (t *translation) mark(n *ruby.Node) {
	if n == nil || t.done[n] {
		return
	}
	t.done[n] = true
	for _, item := range n.Items {
		t.mark(item)
	}
	for _, e := range n.Entries {
		t.mark(e.Value)
	}
}

// lost tells whether a key says nothing because what stood under it is among the problems: a loop or a condition that only a run
// could tell.
func (t *translation) lost(p place) bool {
	if p.key == nil || !p.null() && len(p.items()) > 0 || p.scalar() {
		return false
	}
	next := 0
	var walk func(n *ruby.Node)
	walk = func(n *ruby.Node) {
		if n.File == p.key.File && n.Line > p.key.Line && (next == 0 || n.Line < next) {
			next = n.Line
		}
		for _, item := range n.Items {
			walk(item)
		}
		for _, e := range n.Entries {
			walk(e.Key)
			walk(e.Value)
		}
	}
	walk(t.source.node)
	return slices.ContainsFunc(t.problems, func(problem ruby.Problem) bool {
		return problem.File == p.key.File && problem.Line >= p.key.Line && (next == 0 || problem.Line < next)
	})
}

// onlyRuby says why a key that is lost is for a person.
const onlyRuby = "only a run of Ruby could tell what stands here, and its lines are in this report"

// nothing reports a key that says nothing. What Ruby alone would put there is not nothing.
func (t *translation) nothing(p place) {
	if t.lost(p) {
		t.report(p, Todo, leftOut, onlyRuby)
		return
	}
	t.translated(p, "nothing is said")
}

func (t *translation) translated(p place, where string) {
	for _, line := range t.lines {
		if line.Key == p.path && line.Severity == Todo && line.File == p.origin().file {
			t.mark(p.node)
			return // for a person to do, and not done
		}
	}
	t.report(p, Translated, where, "")
}

// changed marks nothing: it is said beside what became of the key.
func (t *translation) changed(p place, what, why string) { t.say(p, Changed, what, why) }

func (t *translation) drop(p place, why string) {
	if p.there() {
		t.report(p, Dropped, leftOut, why)
	}
}

// dropRest drops those of a mapping's keys that nothing has been said of.
func (t *translation) dropRest(p place, why string) {
	for _, e := range p.entries() {
		if !t.done[e.node] {
			t.drop(e, why)
		}
	}
}

// todo leaves a note in the document at the place where the key's attribute would stand.
func (t *translation) todo(b *block, p place, why string) {
	if !p.there() {
		return
	}
	t.report(p, Todo, leftOut, why)
	t.note(b, p, sentence(p.path+": "+why))
}

func (t *translation) note(b *block, p place, text string) {
	if b == nil {
		b = t.root
	}
	b.fields = append(b.fields, &field{origin: p.origin(), comment: t.comment(p), note: []string{text}})
}

// says tells whether something stands at a place. A key that says nothing has been reported then.
func (t *translation) says(p place) bool {
	if p.null() {
		t.nothing(p)
		return false
	}
	return p.there()
}

// open begins to look at a mapping's keys; false when there is none. What no one takes of it is reported in the end.
func (t *translation) open(p place) bool {
	switch {
	case !t.says(p):
		return false
	case !p.mapping():
		t.drop(p, "Kamal takes a hash here, not "+kindName(p.node))
		return false
	}
	t.opened[p.node] = true
	if len(p.node.Entries) == 0 {
		t.nothing(p)
	}
	return true
}

// rest reports what nobody has taken: keys that Kamal does not know.
func (t *translation) rest(p place) {
	switch {
	case p.node == nil || t.done[p.node]:
	case t.opened[p.node]:
		for _, e := range p.entries() {
			t.rest(e)
		}
	default:
		t.report(p, Dropped, leftOut, "neither Kamal nor kamald knows this key here")
	}
}

// comment takes the comments around a value, once. Those of another file than the document's are that document's.
func (t *translation) comment(p place) comment {
	var c comment
	for _, n := range []*ruby.Node{p.key, p.node} {
		if n == nil || t.taken[n] {
			continue
		}
		t.taken[n] = true
		c.with(comment{n.Comment.Head, n.Comment.Line, n.Comment.Foot})
	}
	return c
}

// untake leaves the comments of a list's element, which is not to stand in the document, to be laid before what comes next.
func (t *translation) untake(p place, element *field) {
	for _, item := range p.items() {
		if item.origin() == element.origin {
			delete(t.taken, item.node)
		}
	}
}

// comments takes those of a block that a mapping became.
func (t *translation) comments(parent *block, b *block, p place) {
	b.comes(parent, p.origin(), t.comment(p))
	parent.find(b.name, b.label).key = p.path
}

// put sets an attribute, with the comments of what it came from, and reports it as translated.
func (t *translation) put(b *block, name string, v *value, p place) *field {
	f := b.set(name, v)
	t.translated(p, f.path)
	f.origin = p.origin()
	f.with(t.comment(p))
	return f
}

// putSome is put of a value that may not be there; false says so.
func (t *translation) putSome(b *block, name string, v *value, p place) bool {
	if v != nil {
		t.put(b, name, v, p)
	}
	return v != nil
}

// leftComments lays comments that nothing took, such as those of keys that were left out, before what came next in the source.
func (t *translation) leftComments() {
	var all []note
	var walk func(n *ruby.Node)
	walk = func(n *ruby.Node) {
		for _, item := range n.Items {
			all = append(all, t.left(item))
			walk(item)
		}
		for _, e := range n.Entries {
			all = append(all, t.left(e.Key, e.Value))
			walk(e.Value)
		}
	}
	all = append(all, t.left(t.source.node))
	walk(t.source.node)
	for _, n := range slices.Backward(all) { // each comes ahead of those that are there
		if len(n.lines) > 0 {
			t.attach(n.origin, n.lines)
		}
	}
}

// note is lines of comment and where they stood.
type note struct {
	origin
	lines []string
}

// left are the comments of one value, or of a key and its value, that nothing took.
func (t *translation) left(nodes ...*ruby.Node) note {
	var head, behind, foot []string
	for _, n := range nodes {
		if t.taken[n] || n.Merged {
			continue
		}
		head, foot = append(head, n.Comment.Head...), append(foot, n.Comment.Foot...)
		if n.Comment.Line != "" {
			behind = append(behind, n.Comment.Line)
		}
	}
	return note{origin{nodes[0].File, nodes[0].Line}, slices.Concat(head, behind, foot)}
}

func (t *translation) attach(o origin, lines []string) {
	var next *field
	each(t.root, func(f *field) {
		if f.file == o.file && f.line >= o.line && (next == nil || f.line < next.line) {
			next = f
		}
	})
	if next != nil {
		next.head = append(slices.Clone(lines), next.head...)
		return
	}
	t.root.fields = append(t.root.fields, &field{origin: o, note: lines})
}

// each visits every field of a document, entries and elements too.
func each(b *block, visit func(*field)) {
	var within func(v *value)
	within = func(v *value) {
		for _, part := range slices.Concat(v.list, v.dict) {
			visit(part)
			within(part.value)
		}
	}
	for _, f := range b.fields {
		visit(f)
		switch {
		case f.block != nil:
			each(f.block, visit)
		case f.value != nil:
			within(f.value)
		}
	}
}

package ruby

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// document makes a tree of a rendered text.
type document struct {
	file         string
	text         string
	lines        []int // the offset of each line of text, as YAML counts lines
	ruler        ruler
	origin       *origin
	placeholders *placeholders
	problems     []Problem

	count    int
	anchors  map[*yaml.Node]*Node // what an alias may name; nil while it is being made
	places   []*place
	inside   *place // the item or entry whose value is a flow collection that is being made
	literals []span
	stray    []*mark // placeholders that run on from the line before
}

// place is where an entry or an item begins, for the comments around it.
type place struct {
	at     int // offset
	column int // of the key or the dash
	owner  *Node
	value  *Node  // of an entry; of an item the item
	within *place // what holds the flow collection that this stands in
}

const block = yaml.LiteralStyle | yaml.FoldedStyle
const quotes = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle

// compose makes the node of a YAML node. parent is the column of the collection around it, 0 for none: a block's indentation
// counts from there.
func (d *document) compose(y *yaml.Node, parent, level int) (*Node, error) {
	if d.count++; d.count > maxNodes {
		return nil, d.tooLarge(y)
	}
	if level > maxDepth {
		return nil, fmt.Errorf("%s:%d: more than %d mappings and sequences in one another", d.file, d.line(y), maxDepth)
	}
	if y.Kind == yaml.AliasNode {
		return d.alias(y)
	}
	n := &Node{File: d.file}
	n.Line, n.Column = d.origin.position(d.origin.offset(d.offset(y)))
	if y.Anchor != "" {
		if d.anchors == nil {
			d.anchors = map[*yaml.Node]*Node{}
		}
		d.anchors[y] = nil
		defer func() { d.anchors[y] = n }()
	}
	var err error
	switch y.Kind {
	case yaml.SequenceNode:
		err = d.sequence(n, y, level)
	case yaml.MappingNode:
		err = d.mapping(n, y, level)
	default:
		d.scalar(n, y, parent)
	}
	return n, err
}

func (d *document) sequence(n *Node, y *yaml.Node, level int) error {
	n.Kind = Sequence
	d.objectTag(y, "!!seq")
	for _, child := range y.Content {
		here := d.begin(y, child)
		item, err := d.below(here, child, y.Column, level)
		if err != nil {
			return err
		}
		here.owner, here.value = item, item
		n.Items = append(n.Items, item)
	}
	return nil
}

func (d *document) mapping(n *Node, y *yaml.Node, level int) error {
	n.Kind = Mapping
	d.objectTag(y, "!!map")
	entries := entryList{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		here := d.begin(y, y.Content[i])
		key, err := d.below(here, y.Content[i], y.Column, level)
		if err != nil {
			return err
		}
		value, err := d.below(here, y.Content[i+1], y.Column, level)
		if err != nil {
			return err
		}
		if key.Kind == Sequence || key.Kind == Mapping {
			d.problem(d.offset(y.Content[i]), "?", "a key that is no text")
		}
		if merges(key, y.Content[i]) {
			merged, ok, err := d.merge(&entries, value, y.Content[i+1])
			if err != nil {
				return err
			}
			if ok {
				here.owner, here.value = merged, merged
				continue
			}
		}
		if previous := entries.put(Entry{Key: key, Value: value}); previous > 0 {
			d.problem(d.offset(y.Content[i]), key.Written+":",
				"the key is written twice, first in line "+strconv.Itoa(previous)+": the last counts")
		}
		here.owner, here.value = key, value
	}
	n.Entries = entries.entries
	return nil
}

// begin notes where an entry or an item begins.
func (d *document) begin(collection, y *yaml.Node) *place {
	p := &place{at: d.offset(y), column: collection.Column}
	if collection.Style&yaml.FlowStyle != 0 { // a block's entries stand in one column, a sequence's at their dashes
		p.column, p.within = y.Column, d.inside
	}
	d.places = append(d.places, p)
	return p
}

// below makes what stands at a place.
func (d *document) below(here *place, y *yaml.Node, column, level int) (*Node, error) {
	outer := d.inside
	defer func() { d.inside = outer }()
	d.inside = here
	return d.compose(y, column, level+1)
}

func (d *document) scalar(n *Node, y *yaml.Node, parent int) {
	n.Quoted = y.Style&(quotes|block) != 0
	n.Kind, n.Text, n.Written = String, y.Value, y.Value
	d.literal(y, parent)
	if d.placeholders.has(y.Value) {
		d.parts(n, y)
		return
	}
	tagged := y.Style&yaml.TaggedStyle != 0
	switch {
	case tagged && y.Tag == "!!str" || !tagged && n.Quoted:
	case tagged && d.tagged(n, y):
	default:
		s := scan(y.Value)
		n.Kind, n.Text, n.Symbol = s.kind, s.text, s.symbol
	}
}

// parts sets a scalar in which placeholders stand.
func (d *document) parts(n *Node, y *yaml.Node) {
	n.Text, n.Written = "", d.placeholders.restore(y.Value)
	for _, piece := range d.placeholders.split(y.Value) {
		if piece.mark == nil {
			n.Text += piece.text
			n.Parts = append(n.Parts, Part{Text: piece.text})
			continue
		}
		piece.mark.used = true
		if !n.Quoted && piece.mark.alone(d.text) && d.offset(y) < d.lineOf(piece.mark.at) {
			d.stray = append(d.stray, piece.mark)
		}
		n.Parts = append(n.Parts, Part{Expr: piece.mark.expr})
	}
}

// alias copies what the anchor names to the alias's place.
func (d *document) alias(y *yaml.Node) (*Node, error) {
	original, known := d.anchors[y.Alias]
	if original == nil {
		if known {
			d.problem(d.offset(y), "*"+y.Value, "the alias stands within what it names, which has no end: it is left out")
		}
		line, column := d.origin.position(d.origin.offset(d.offset(y)))
		return &Node{Kind: Null, File: d.file, Line: line, Column: column, Merged: true, Alias: y.Value}, nil
	}
	n, err := d.copy(original, y)
	if err != nil {
		return nil, err
	}
	n.Line, n.Column = d.origin.position(d.origin.offset(d.offset(y)))
	return n, nil
}

// copy copies all below a node, marked as come by the alias, within the bound.
func (d *document) copy(n *Node, y *yaml.Node) (*Node, error) {
	if d.count++; d.count > maxNodes {
		return nil, d.tooLarge(y)
	}
	c := *n
	c.Merged, c.Comment = true, Comment{}
	if c.Alias == "" {
		c.Alias = y.Value
	}
	c.Items, c.Entries = nil, nil
	for _, item := range n.Items {
		i, err := d.copy(item, y)
		if err != nil {
			return nil, err
		}
		c.Items = append(c.Items, i)
	}
	for _, e := range n.Entries {
		key, err := d.copy(e.Key, y)
		if err != nil {
			return nil, err
		}
		value, err := d.copy(e.Value, y)
		if err != nil {
			return nil, err
		}
		c.Entries = append(c.Entries, Entry{Key: key, Value: value})
	}
	return &c, nil
}

func (d *document) tooLarge(y *yaml.Node) error {
	return fmt.Errorf("%s:%d: more than %d values, aliases written out: is one alias in another?", d.file, d.line(y), maxNodes)
}

func (d *document) line(y *yaml.Node) int {
	line, _ := d.origin.position(d.origin.offset(d.offset(y)))
	return line
}

// offset is where a node stands in the rendered text.
func (d *document) offset(y *yaml.Node) int { return d.at(y.Line, y.Column) }

// lineOf is where the line begins in which a place stands.
func (d *document) lineOf(at int) int { return strings.LastIndexByte(d.text[:at], '\n') + 1 }

func (d *document) at(line, column int) int {
	if line < 1 || line > len(d.lines) {
		return len(d.text)
	}
	end := len(d.text)
	if line < len(d.lines) {
		end = d.lines[line]
	}
	d.ruler.lay(d.lines[line-1], end)
	return d.ruler.offset(column)
}

// breaks gives the offsets of the lines, as YAML breaks them.
func breaks(text string) []int {
	lines := []int{0}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n', text[i] == '\r' && !strings.HasPrefix(text[i+1:], "\n"):
			lines = append(lines, i+1)
		case strings.HasPrefix(text[i:], "\u0085"):
			lines = append(lines, i+2)
		case strings.HasPrefix(text[i:], "\u2028"), strings.HasPrefix(text[i:], "\u2029"):
			lines = append(lines, i+3)
		}
	}
	return lines
}

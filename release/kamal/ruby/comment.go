package ruby

import (
	"cmp"
	"slices"
	"strings"
)

// remark is a comment of one line.
type remark struct {
	line   int // index
	at     int // offset of the #
	column int
	own    bool // it has the line for itself
	text   string
}

// comment gives every comment to the value that it belongs to.
func (d *document) comment(root *Node) {
	slices.SortStableFunc(d.places, func(a, b *place) int { return a.at - b.at })
	d.places = slices.DeleteFunc(d.places, func(p *place) bool { return p.owner == nil })
	remarks := d.remarks()
	for len(remarks) > 0 {
		if !remarks[0].own {
			d.behind(root, remarks[0])
			remarks = remarks[1:]
			continue
		}
		n := 1
		for n < len(remarks) && d.continues(remarks[n-1], remarks[n]) {
			n++
		}
		d.group(root, remarks[:n])
		remarks = remarks[n:]
	}
}

// behind takes the comment that follows something on its line.
func (d *document) behind(root *Node, r remark) {
	before := strings.TrimSpace(d.text[d.lines[r.line]:r.at])
	i := d.next(r.at) - 1
	if i < 0 || before == "---" || strings.Trim(before, "- ") == "" {
		d.group(root, []remark{r})
		return
	}
	p := d.places[i]
	for rest := before; p.within != nil && p.within.value != nil; p = p.within { // it is behind what the brackets close
		rest = strings.TrimRight(rest, ", ")
		if !strings.HasSuffix(rest, "]") && !strings.HasSuffix(rest, "}") {
			break
		}
		rest = rest[:len(rest)-1]
	}
	line := &p.value.Comment.Line
	if *line != "" {
		*line += "; "
	}
	*line += strings.TrimSpace(r.text)
}

// group takes comments that stand in one block of lines. They belong to what follows; but to what is before them where that is
// indented as they are and what follows is not, and where they stand right below it with a blank line after them.
func (d *document) group(root *Node, block []remark) {
	first, last := block[0], block[len(block)-1]
	next := d.next(last.at)
	above := next - 1
	for above >= 0 && d.places[above].column > first.column {
		above--
	}
	lines := make([]string, 0, len(block))
	for _, r := range block {
		lines = append(lines, r.text)
	}
	switch {
	case next == len(d.places) && above < 0:
		root.Comment.Head = paragraph(root.Comment.Head, lines)
	case next == len(d.places),
		above >= 0 && first.own && first.column > d.places[next].column,
		above >= 0 && d.places[above].column == first.column && d.adjacent(first.line, -1) && !d.adjacent(last.line, 1):
		foot := &d.places[above].value.Comment.Foot
		*foot = paragraph(*foot, lines)
	default:
		head := &d.places[next].owner.Comment.Head
		*head = paragraph(*head, lines)
	}
}

// paragraph adds lines behind a blank one.
func paragraph(lines, more []string) []string {
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	return append(lines, more...)
}

// next is the index of the first place behind an offset.
func (d *document) next(at int) int {
	i, _ := slices.BinarySearchFunc(d.places, at, func(p *place, at int) int { return cmp.Compare(p.at, at) })
	return i
}

// continues tells whether a comment goes on with the one before it.
func (d *document) continues(before, r remark) bool {
	if !r.own || r.column != before.column {
		return false
	}
	for line := before.line + 1; line < r.line; line++ {
		if !d.rendered(line) {
			return false
		}
	}
	return true
}

// adjacent tells whether the nearest line in a direction that ERB did not leave blank has something.
func (d *document) adjacent(line, step int) bool {
	for line += step; line >= 0 && line < len(d.lines); line += step {
		if d.content(line) != "" {
			return true
		}
		if !d.rendered(line) {
			return false
		}
	}
	return false
}

// rendered tells whether a line is blank because ERB made it so: such a line parts nothing.
func (d *document) rendered(line int) bool {
	return d.content(line) == "" && d.lines[line] < len(d.text) && !d.origin.blank(d.lineEnd(line))
}

func (d *document) content(line int) string {
	return strings.TrimSpace(d.text[d.lines[line]:d.lineEnd(line)])
}

// lineEnd is the offset of a line's break.
func (d *document) lineEnd(line int) int {
	end := len(d.text)
	if line+1 < len(d.lines) {
		end = d.lines[line+1]
	}
	return max(d.lines[line], end-1)
}

// remarks finds the comments: "#" at a line's beginning or behind a blank, outside of quotes and blocks.
func (d *document) remarks() []remark {
	slices.SortFunc(d.literals, func(a, b span) int { return a.from - b.from })
	var found []remark
	hidden := d.literals
	for i, from := range d.lines {
		end := len(d.text)
		if i+1 < len(d.lines) {
			end = d.lines[i+1]
		}
		for at := from; at < end; at++ {
			for len(hidden) > 0 && hidden[0].to <= at {
				hidden = hidden[1:]
			}
			if len(hidden) > 0 && hidden[0].from <= at {
				at = hidden[0].to - 1
				continue
			}
			if d.text[at] != '#' || at > from && d.text[at-1] != ' ' && d.text[at-1] != '\t' {
				continue
			}
			before := d.text[from:at]
			found = append(found, remark{line: i, at: at, column: len([]rune(before)) + 1, own: strings.TrimSpace(before) == "",
				text: d.remark(d.text[at+1 : end])})
			break
		}
	}
	return found
}

// remark makes a comment's text readable: tags stand in it as they are written.
func (d *document) remark(text string) string {
	for _, piece := range d.placeholders.split(text) {
		if piece.mark != nil {
			piece.mark.used, piece.mark.problems = true, nil
		}
	}
	return strings.TrimRight(strings.TrimPrefix(d.placeholders.restore(text), " "), " \t\r\n")
}

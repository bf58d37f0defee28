package ruby

import (
	"slices"
	"sort"
	"strings"
)

// origin knows of every byte of a rendered text where it comes from in the file.
type origin struct {
	source   string
	lines    []int // the offset of each line of the file
	segments []segment
	ruler    ruler
}

// segment is a stretch of rendered text. A copied one goes along with the file byte by byte, any other comes from one place.
type segment struct {
	rendered, source int
	copied           bool
}

func newOrigin(source string) *origin {
	o := &origin{source: source, lines: []int{0}, ruler: ruler{text: source}}
	for i := range len(source) {
		if source[i] == '\n' {
			o.lines = append(o.lines, i+1)
		}
	}
	return o
}

// offset is the place in the file of a place in the rendered text.
func (o *origin) offset(rendered int) int {
	i := sort.Search(len(o.segments), func(i int) bool { return o.segments[i].rendered > rendered }) - 1
	if i < 0 {
		return 0
	}
	s := o.segments[i]
	if s.copied {
		return min(s.source+rendered-s.rendered, len(o.source))
	}
	return s.source
}

// line and column count from 1, columns in characters.
func (o *origin) position(offset int) (line, column int) {
	line, found := slices.BinarySearch(o.lines, offset)
	if !found {
		line--
	}
	o.ruler.lay(o.lines[line], o.lineEnd(line))
	return line + 1, o.ruler.column(offset)
}

// blank tells whether the file has nothing in the line that the rendered place comes from.
func (o *origin) blank(rendered int) bool {
	line, _ := o.position(o.offset(rendered))
	return strings.TrimSpace(o.source[o.lines[line-1]:o.lineEnd(line-1)]) == ""
}

// lineEnd is where a line, counted from 0, ends: behind its break.
func (o *origin) lineEnd(line int) int {
	if line+1 < len(o.lines) {
		return o.lines[line+1]
	}
	return len(o.source)
}

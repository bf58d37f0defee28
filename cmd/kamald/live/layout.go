package live

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// choose picks what is shown in so many lines: every section while there is room, then of their rows the most important.
func (t *Tree) choose(sections []section, loose []row, room int, now time.Time, styles Styles) []entry {
	sections = slices.Clone(sections)
	undo := t.undoing(styles)
	room -= len(undo)
	for over := len(sections) + min(lively(sections, loose), rowsAtLeast) - room; over > 0; over-- {
		drop := dispensable(sections)
		if drop < 0 {
			break
		}
		sections = slices.Delete(sections, drop, drop+1)
	}
	shown := distribute(append(rowsOf(sections), loose), room-titled(sections))
	var entries []entry
	waits := false
	for i, s := range sections {
		line := t.section(s, now, styles)
		if !waits && s.status() == waiting && !t.broken() { // the first only: the others wait for it
			waits, line.text = true, t.waitsFor(s.steps[0], "")
		}
		if s.label != "" {
			entries = append(entries, line)
		}
		entries = append(entries, rowEntries(s.rows, shown[i], styles)...)
	}
	entries = append(entries, undo...)
	entries = append(entries, rowEntries(loose, shown[len(sections)], styles)...)
	return entries[:min(len(entries), max(0, room+len(undo)))]
}

// rowsAtLeast are shown of what is under way, before a line is spent on what is through or still to come.
const rowsAtLeast = 4

// waitingAtMost are shown of a section's rows that wait: they wait for the same.
const waitingAtMost = 3

// lively counts the rows of what is under way or has failed.
func lively(sections []section, loose []row) int {
	n := len(loose)
	for _, s := range sections {
		for _, r := range s.rows {
			if r.status != waiting {
				n++
			}
		}
	}
	return n
}

// dispensable is the section that is missed least: what is through, then what is to come last; -1: none.
func dispensable(sections []section) int {
	if i := slices.IndexFunc(sections, func(s section) bool { return s.status() == done }); i >= 0 {
		return i
	}
	for i, s := range slices.Backward(sections) {
		if s.status() == waiting {
			return i
		}
	}
	return -1
}

func rowsOf(sections []section) (rows [][]row) {
	for _, s := range sections {
		rows = append(rows, s.rows)
	}
	return rows
}

// titled counts the sections that have a line of their own.
func titled(sections []section) (n int) {
	for _, s := range sections {
		if s.label != "" {
			n++
		}
	}
	return n
}

// distribute gives the room to what is under way or has failed first, then to what waits.
func distribute(parts [][]row, room int) []int {
	urgent, rest := make([]int, len(parts)), make([]int, len(parts))
	for i, rows := range parts {
		for _, r := range rows {
			if r.status == waiting {
				rest[i]++
			} else {
				urgent[i]++
			}
		}
	}
	for i := range rest {
		rest[i] = min(rest[i], waitingAtMost+1) // the last is the count of the others
	}
	given := share(urgent, room)
	for _, n := range given {
		room -= n
	}
	for i, n := range share(rest, room) {
		given[i] += n
	}
	return given
}

// share gives each as many lines as it wants where there is room for all, else the same part of the room, and what one leaves to others.
func share(wanted []int, room int) []int {
	given := make([]int, len(wanted))
	for progress := true; progress && room > 0; {
		progress = false
		for i := range wanted {
			if given[i] < wanted[i] && room > 0 {
				given[i]++
				room--
				progress = true
			}
		}
	}
	return given
}

// rowEntries are the first rows; where not all of them have room the last line counts the others.
func rowEntries(rows []row, room int, styles Styles) (entries []entry) {
	if room <= 0 {
		return nil
	}
	first := rows
	if len(rows) > room {
		first = rows[:max(1, room-1)]
	}
	for i := range first {
		entries = append(entries, first[i].entry(styles))
	}
	if rest := rows[len(first):]; len(rest) > 0 && len(first) < room {
		n := map[status]int{}
		for _, r := range rest {
			n[r.status]++
		}
		var parts []string
		for _, one := range []struct {
			status status
			text   string
		}{{failed, "failed"}, {running, "under way"}, {waiting, "waiting"}} {
			if n[one.status] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n[one.status], one.text))
			}
		}
		more := &row{status: waiting, text: "and " + strings.Join(parts, ", ")}
		entries = append(entries, entry{glyph: "…", text: more.text, row: more, style: styles.Waiting})
	}
	return entries
}

// columns are the widths that all lines share.
type columns struct{ label, host, role, total int }

// lay sets entries out in a width.
func (t *Tree) lay(entries []entry, width int, styles Styles) (lines []string, total int) {
	c := columns{label: 8}
	natural := 0
	for _, e := range entries {
		if e.row == nil {
			c.label = max(c.label, ansi.StringWidth(e.label))
			continue
		}
		c.host, c.role = max(c.host, ansi.StringWidth(e.row.host)), max(c.role, ansi.StringWidth(e.row.role))
	}
	for _, e := range entries {
		if e.row != nil {
			natural = max(natural, 4+c.host+2+c.role+2+ansi.StringWidth(e.text+e.row.call)+timeColumn)
		}
	}
	c.total = min(width, max(comfortable, natural))
	if natural > c.total {
		c.host, c.role = min(c.host, c.total/3), min(c.role, c.total/5)
	}
	c.label = min(c.label, c.total/3)
	for _, e := range entries {
		line := e.line(c, width, styles)
		if ansi.StringWidth(line) > width { // what stands alone may be wider beside something else
			line = Shorten(ansi.Strip(line), width)
		}
		lines = append(lines, line)
	}
	return lines, c.total
}

// line is an entry in its columns.
func (e entry) line(c columns, width int, styles Styles) string {
	lead, name := "", fit(e.label, c.label)+"  "
	if e.row != nil {
		lead, name = "  ", ""
		if e.row.host != "" {
			name = fit(e.row.host, c.host) + "  "
			if c.role > 0 {
				name += fit(e.row.role, c.role) + "  "
			}
		}
	}
	took := ""
	if e.took > 0 {
		took = fmt.Sprintf("%*s", timeColumn, Short(e.took))
	}
	left := c.total - ansi.StringWidth(lead+e.glyph+" "+name)
	room := left - timeColumn
	if took == "" {
		room = left
	}
	if room < 4 { // no columns in so little room
		return Shorten(strings.TrimRight(lead+e.glyph+" "+name+e.text, " "), width)
	}
	text := Shorten(e.text, room)
	if e.row != nil && e.row.call != "" {
		call := Shorten(e.row.call, room)
		text = Shorten(e.text, room-ansi.StringWidth(call)) + call
	}
	pad := ""
	if took != "" {
		pad = strings.Repeat(" ", max(0, room-ansi.StringWidth(text)))
	}
	if !e.plain {
		name, text = in(e.style, name), in(e.style, text)
	}
	return strings.TrimRight(lead+in(e.style, e.glyph)+" "+name+text+pad+in(styles.Time, took), " ")
}

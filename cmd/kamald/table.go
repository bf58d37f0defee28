package main

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/kamald/kamald/cmd/kamald/live"
)

// table lays rows out in columns; the last column may be of any width.
type table struct {
	rows  [][]string
	whole map[int]bool // columns that say nothing when they are shortened, such as times
}

func newTable(head ...string) *table { return &table{rows: [][]string{head}, whole: map[int]bool{}} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// String implements fmt.Stringer: one line a row, without a newline at the end.
func (t *table) String() string { return t.fit(0) }

// cellAtLeast is as short as a cell gets.
const cellAtLeast = 8

// fit is the table in so many columns; 0: as many as it takes. Where it is too wide the last cell of a row stands below it, when its
// column has no name, and then the longest cells are shortened in their middle.
func (t *table) fit(columns int) string {
	widths := t.widths()
	below := false
	if columns > 0 && sum(widths) > columns {
		if last := len(t.rows[0]) - 1; t.rows[0][last] == "" {
			below, widths = true, widths[:last]
		}
		t.shrink(widths, columns)
	}
	var lines []string
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row[:min(len(row), len(widths))] {
			if columns > 0 {
				cell = live.Shorten(cell, widths[i])
			}
			line.WriteString(cell + strings.Repeat(" ", widths[i]-ansi.StringWidth(cell)+2))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
		if below && len(row) > len(widths) && row[len(row)-1] != "" {
			var text strings.Builder
			_, _ = live.Fold(&text, columns).Write([]byte("     " + row[len(row)-1]))
			lines = append(lines, text.String())
		}
	}
	return strings.Join(lines, "\n")
}

func (t *table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	return widths
}

// sum is how wide a table is, with two spaces between its columns.
func sum(widths []int) int {
	total := -2
	for _, width := range widths {
		total += width + 2
	}
	return total
}

// shrink takes from the widest until all have room.
func (t *table) shrink(widths []int, columns int) {
	for sum(widths) > columns {
		widest := -1
		for i, width := range widths {
			if !t.whole[i] && width > cellAtLeast && (widest < 0 || width > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// showTable writes a table as wide as the terminal; elsewhere one line a row.
func (p *program) showTable(t *table) {
	columns := 0
	if p.out.file != nil {
		columns = p.out.width()
	}
	p.printf("%s\n", t.fit(columns))
}

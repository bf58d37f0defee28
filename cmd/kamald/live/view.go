package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

const (
	// Stuck is from when on a step or a call is shown with what it is in.
	Stuck = 5 * time.Second
	// CallShown is from when on a call is worth showing: a step that asks again and again is in none for long, and says more itself.
	CallShown = 2 * time.Second
	// comfortable is as wide as the tree gets, unless a name or a message needs more: what belongs together stands together.
	comfortable = 100
	timeColumn  = 8 // with the space before it
	summaryWide = 40
)

// glyphs stand before what they say.
var glyphs = map[status]string{waiting: "○", running: "●", done: "✓", failed: "✗", skipped: "-"}

// row is a line about a host, a role and what happens there.
type row struct {
	status     status
	stuck      bool
	host, role string
	text       string
	call       string        // that it is in, when that is worth saying: it is never shortened away
	took       time.Duration // 0: none is shown
}

// entry is a line that is not laid out yet.
type entry struct {
	glyph, text string
	label       string // of a section
	row         *row   // else
	took        time.Duration
	style       lipgloss.Style
	plain       bool // the text has no style
}

// Lines is the tree in a terminal of so many columns and lines, at a time. No line is wider, and there are no more of them.
func (t *Tree) Lines(width, height int, now time.Time, styles Styles) []string {
	if t.Empty() || width < 1 || height < 1 {
		return nil
	}
	sections := t.sections()
	for i := range sections {
		sections[i].rows = t.rows(sections[i], now)
	}
	loose := t.loose(now)
	lines, total := t.lay(t.choose(sections, loose, height-1, now, styles), width, styles)
	return append([]string{t.header(width, total, now, styles)}, lines...)
}

// Summary is what stays of the tree when the run is over: how each phase ended. It is empty for what was no plan.
func (t *Tree) Summary(width int, now time.Time, styles Styles) []string {
	if !t.planned {
		return nil
	}
	var entries []entry
	for _, s := range t.sections() {
		e := t.section(s, now, styles)
		switch s.status() { // nothing goes on any more
		case waiting:
			e.glyph, e.text = glyphs[skipped], "not begun"
		case running:
			e.glyph, e.style = glyphs[skipped], styles.Waiting
		}
		entries = append(entries, e)
	}
	entries = append(entries, t.undoing(styles)...)
	needed := 0
	for _, e := range entries {
		needed = max(needed, 2+max(8, ansi.StringWidth(e.label))+2+ansi.StringWidth(e.text)+timeColumn)
	}
	lines, _ := t.lay(entries, min(width, max(summaryWide, needed)), styles)
	return lines
}

func (t *Tree) header(width, total int, now time.Time, styles Styles) string {
	title, all, through := t.title, 0, 0
	for _, s := range counted(t.steps) {
		all++
		if s.status == done {
			through++
		}
	}
	right := Short(max(0, now.Sub(t.Began)))
	switch {
	case t.planned:
		right = fmt.Sprintf("%d of %d steps  %s", through, all, right)
	case all > 0:
		title = t.Name
		right = fmt.Sprintf("%d done  %s", through, right)
	default:
		title = t.Name + ": looking at the servers"
	}
	switch {
	case t.broken():
		title += " (failed)"
	case t.Stopped:
		title += " (stopping)"
	}
	used := ansi.StringWidth(title) + 2 + ansi.StringWidth(right)
	if used > width {
		return in(styles.Title, Shorten(title, width))
	}
	return in(styles.Title, title) + strings.Repeat(" ", max(2, min(width, total)-used+2)) + in(styles.Time, right)
}

// rows are what is worth a line in a section: what failed, what is under way with the longest first, what waits.
func (t *Tree) rows(s section, now time.Time) (rows []row) {
	st := s.status()
	if st == done || st == waiting || st == skipped {
		return nil
	}
	type slot struct{ host, role string }
	busy := map[slot]bool{}
	for _, one := range s.steps {
		switch one.status {
		case running:
			r := row{status: running, host: one.host, role: one.role, text: one.message, took: now.Sub(one.began)}
			if call := t.call(one); call != nil && r.took >= Stuck && now.Sub(call.Since) >= CallShown {
				r.call = fmt.Sprintf(" (%s for %s)", call.Method, Short(now.Sub(call.Since)))
				r.stuck = now.Sub(call.Since) >= Stuck
			}
			rows = append(rows, r)
		case failed:
			rows = append(rows, row{status: failed, host: one.host, role: one.role, text: one.message, took: one.took})
		default:
			continue
		}
		busy[slot{one.host, one.role}] = true
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.status, a.status), cmp.Compare(b.took, a.took))
	})
	if t.broken() {
		return rows // nothing further begins: nobody waits any more
	}
	for _, one := range s.steps {
		if here := (slot{one.host, one.role}); one.status == waiting && one.host != "" && !busy[here] {
			busy[here] = true
			rows = append(rows, row{status: waiting, host: one.host, role: one.role, text: t.waitsFor(one, one.host)})
		}
	}
	return rows
}

// broken tells whether a step has failed, so that no other begins.
func (t *Tree) broken() bool {
	return slices.ContainsFunc(t.steps, func(s *step) bool { return s.status == failed })
}

// waitsFor says what a step waits for. The host is named unless the line stands at it already: here is the line's, "" for a section's.
func (t *Tree) waitsFor(s *step, here string) string {
	behind := t.behind(s)
	switch {
	case behind == nil:
		return "waits for its turn"
	case behind.host == here || behind.host == "":
		return "waits: " + behind.message
	}
	return fmt.Sprintf("waits for %s: %s", behind.host, behind.message)
}

// loose are the calls of no step that last: of looks and locks, and of ways back.
func (t *Tree) loose(now time.Time) (rows []row) {
	for _, call := range t.Calls {
		since := now.Sub(call.Since)
		if s := t.byID[call.Step]; s != nil && s.status == running && s.host == call.Host || since < CallShown {
			continue
		}
		rows = append(rows, row{status: running, stuck: since >= Stuck, host: call.Host, text: call.Method, took: since})
	}
	return rows
}

// section is a section's own line.
func (t *Tree) section(s section, now time.Time, styles Styles) entry {
	st := s.status()
	e := entry{glyph: glyphs[st], label: s.label, text: s.text(), took: s.elapsed(now), plain: st == done || st == running, style: styles.of(st)}
	if st == waiting && t.broken() {
		e.glyph, e.text = glyphs[skipped], "not begun"
	}
	return e
}

func (t *Tree) undoing(styles Styles) []entry {
	if t.undone == 0 {
		return nil
	}
	return []entry{{glyph: "↶", label: "undo", text: fmt.Sprintf("%d taken back", t.undone), style: styles.Undone, plain: true}}
}

func (r *row) entry(styles Styles) entry {
	e := entry{glyph: glyphs[r.status], row: r, text: r.text, took: r.took, style: styles.of(r.status), plain: r.status == running}
	if r.stuck {
		e.style, e.plain = styles.Undone, false
	}
	return e
}

func (s Styles) of(st status) lipgloss.Style {
	switch st {
	case done:
		return s.Done
	case running:
		return s.Running
	case failed:
		return s.Failed
	}
	return s.Waiting
}

package live

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Shorten makes a text fit into a number of columns by leaving out its middle: of a name, both ends say which it is.
func Shorten(text string, columns int) string {
	switch {
	case columns <= 0:
		return ""
	case ansi.StringWidth(text) <= columns:
		return text
	case columns == 1:
		return "…"
	}
	width := ansi.StringWidth(text)
	for end := (columns - 1) / 2; end > 0; end-- { // a mark that loses its letter may take a column of its own
		short := ansi.Truncate(text, columns-1-end, "") + "…" + ansi.TruncateLeft(text, width-end, "")
		if ansi.StringWidth(short) <= columns {
			return short
		}
	}
	return "…"
}

// fit is a text in exactly so many columns.
func fit(text string, columns int) string {
	text = Shorten(text, columns)
	return text + strings.Repeat(" ", max(0, columns-ansi.StringWidth(text)))
}

// Short is a duration as a person reads it: 0.3s, 1m5s.
func Short(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// Styles are how things look. The zero value has no colour.
type Styles struct {
	Title, Done, Running, Failed, Undone, Waiting, Time lipgloss.Style
}

// Coloured uses the sixteen colours that a terminal's theme sets, so that they can be read on light and on dark.
func Coloured() Styles {
	plain := lipgloss.NewStyle()
	return Styles{
		Title:   plain.Bold(true),
		Done:    plain.Foreground(lipgloss.Green),
		Running: plain.Foreground(lipgloss.Cyan),
		Failed:  plain.Foreground(lipgloss.Red),
		Undone:  plain.Foreground(lipgloss.Yellow),
		Waiting: plain.Faint(true),
		Time:    plain.Faint(true),
	}
}

// in colours a text that is not blank.
func in(style lipgloss.Style, text string) string {
	if strings.TrimSpace(text) == "" {
		return text
	}
	return style.Render(text)
}

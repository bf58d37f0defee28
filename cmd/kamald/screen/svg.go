package screen

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Theme is the colours of a picture.
type Theme struct {
	Name                              string
	Background, Frame, Text, Faint    string
	Red, Green, Yellow, Blue, Magenta string
	Cyan                              string
}

// The themes that pictures are made in.
var (
	Light = Theme{Name: "light", Background: "#ffffff", Frame: "#d0d7de", Text: "#1f2328", Faint: "#59636e", Red: "#c9202b", Green: "#1a7f37",
		Yellow: "#8a5a00", Blue: "#0969da", Magenta: "#8250df", Cyan: "#0b6e7f"}
	Dark = Theme{Name: "dark", Background: "#0d1117", Frame: "#30363d", Text: "#e6edf3", Faint: "#9198a1", Red: "#ff7b72", Green: "#3fb950",
		Yellow: "#d29922", Blue: "#58a6ff", Magenta: "#bc8cff", Cyan: "#39c5cf"}
)

func (t Theme) color(s Style) string {
	switch s.Color {
	case 31:
		return t.Red
	case 32:
		return t.Green
	case 33:
		return t.Yellow
	case 34:
		return t.Blue
	case 35:
		return t.Magenta
	case 36:
		return t.Cyan
	}
	if s.Faint {
		return t.Faint
	}
	return t.Text
}

// The measures of a picture.
const (
	fontSize   = 14.0
	columnWide = 8.4
	lineHigh   = 19.0
	margin     = 16.0
	ends       = 3 * time.Second // how long a recording's last frame stands
)

// Frame is what stood on the screen from a time on.
type Frame struct {
	At     time.Duration
	Screen *Screen
}

// Clone is the screen as it is now.
func (s *Screen) Clone() *Screen {
	copied := New(s.Width)
	copied.Lines, copied.row, copied.column, copied.hidden = make([][]cell, len(s.Lines)), s.row, s.column, s.hidden
	for i, line := range s.Lines {
		copied.Lines[i] = append([]cell(nil), line...)
	}
	return copied
}

// SVG writes a picture of the screen.
func (s *Screen) SVG(w io.Writer, theme Theme, title string) error {
	return Recording(w, theme, title, []Frame{{Screen: s}})
}

// Recording writes a picture that moves: each frame for as long as it stood, again and again. Who asks for no motion sees the last.
func Recording(w io.Writer, theme Theme, title string, frames []Frame) error {
	rows, columns := 1, 1
	for _, f := range frames {
		rows, columns = max(rows, len(f.Screen.Lines)), max(columns, f.Screen.Width)
	}
	width, height := float64(columns)*columnWide+2*margin, float64(rows)*lineHigh+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`+"\n", width, height, width, height, escape(title))
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n", escape(title))
	fmt.Fprintf(&b, "text{font:%.0fpx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;white-space:pre;fill:%s}\n.b{font-weight:700}\n", fontSize, theme.Text)
	if len(frames) > 1 {
		motion(&b, frames, height)
	}
	b.WriteString("</style>\n")
	fmt.Fprintf(&b, `<rect x="0.5" y="0.5" width="%.0f" height="%.0f" rx="8" fill="%s" stroke="%s"/>`+"\n", width-1, height-1, theme.Background, theme.Frame)
	b.WriteString(`<svg x="0" y="0" width="100%" height="100%"><g class="strip">` + "\n")
	for i, f := range frames {
		fmt.Fprintf(&b, `<g transform="translate(0 %.0f)">`+"\n", float64(i)*height)
		f.Screen.lines(&b, theme)
		b.WriteString("</g>\n")
	}
	b.WriteString("</g></svg>\n</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// motion has the strip of frames jump from one to the next.
func motion(b *strings.Builder, frames []Frame, height float64) {
	first, last := frames[0].At, frames[len(frames)-1].At
	total := last - first + ends
	fmt.Fprintf(b, ".strip{animation:play %.1fs step-end infinite}\n@keyframes play{", total.Seconds())
	for i, f := range frames {
		fmt.Fprintf(b, "%.3f%%{transform:translateY(%.0fpx)}", 100*float64(f.At-first)/float64(total), -float64(i)*height)
	}
	fmt.Fprintf(b, "}\n@media (prefers-reduced-motion:reduce){.strip{animation:none;transform:translateY(%.0fpx)}}\n", -float64(len(frames)-1)*height)
}

// lines writes the screen's lines, each run of one style as a text of its own, as wide as its columns whatever the font.
func (s *Screen) lines(b *strings.Builder, theme Theme) {
	for row, line := range s.Lines {
		for from := 0; from < len(line); {
			to, text := from, ""
			for to < len(line) && line[to].style == line[from].style {
				text += line[to].text
				to++
			}
			s.run(b, theme, row, from, text, line[from].style)
			from = to
		}
	}
}

// run writes the words of a run; spaces between words far apart need no text.
func (s *Screen) run(b *strings.Builder, theme Theme, row, column int, text string, style Style) {
	const gap = "   "
	for text != "" {
		trimmed := strings.TrimLeft(text, " ")
		column += len(text) - len(trimmed)
		word, rest := trimmed, ""
		if i := strings.Index(trimmed, gap); i >= 0 {
			word, rest = trimmed[:i], trimmed[i:]
		}
		word = strings.TrimRight(word, " ")
		if word == "" {
			return
		}
		columns := utf8.RuneCountInString(word)
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, margin+float64(column)*columnWide, margin+float64(row+1)*lineHigh-5, float64(columns)*columnWide)
		if style.Bold {
			b.WriteString(` class="b"`)
		}
		if color := theme.color(style); color != theme.Text {
			fmt.Fprintf(b, ` fill="%s" style="fill:%s"`, color, color)
		}
		fmt.Fprintf(b, ">%s</text>\n", escape(word))
		column += columns
		text = rest
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(text string) string { return escaper.Replace(text) }

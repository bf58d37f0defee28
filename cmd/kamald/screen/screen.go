// Package screen is a terminal's screen as a value, for tests and for the pictures in the documentation: it understands what kamald
// writes to a terminal, and nothing else, so that whatever else is written there is noticed.
package screen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Style is how a cell looks: one of the colours 30 to 37, or 0 for the terminal's own.
type Style struct {
	Color       int
	Bold, Faint bool
}

type cell struct {
	text  string // a grapheme; "" for what belongs to the one before, or for nothing
	style Style
}

// Screen is what stands on a terminal. It is as high as it needs to be: nothing scrolls away.
type Screen struct {
	Width int
	Lines [][]cell
	Marks map[string]bool // what was said by an operating system command, for whoever waits for it

	row, column int
	style       Style
	hidden      bool // the cursor
	pending     []byte
	unknown     []string
}

// New makes an empty screen.
func New(width int) *Screen {
	return &Screen{Width: width, Marks: map[string]bool{}}
}

// CursorAt gives the place of the cursor, and whether it can be seen.
func (s *Screen) CursorAt() (row, column int, visible bool) { return s.row, s.column, !s.hidden }

// Unknown are the sequences that were not understood.
func (s *Screen) Unknown() []string { return s.unknown }

// Write implements io.Writer.
func (s *Screen) Write(data []byte) (int, error) {
	s.pending = append(s.pending, data...)
	for len(s.pending) > 0 {
		n := s.next(s.pending)
		if n == 0 {
			break // the rest of it is still to come
		}
		s.pending = s.pending[n:]
	}
	return len(data), nil
}

// next carries out what the data begins with, and gives its length; 0: it is not whole yet.
func (s *Screen) next(data []byte) int {
	switch data[0] {
	case '\r':
		s.column = 0
		return 1
	case '\n':
		s.row++
		return 1
	case 0x1b:
		return s.escape(data)
	}
	if data[0] < ' ' {
		s.unknown = append(s.unknown, fmt.Sprintf("%q", data[0]))
		return 1
	}
	if !utf8.FullRune(data) {
		return 0
	}
	grapheme, width := ansi.FirstGraphemeCluster(data, ansi.GraphemeWidth)
	s.put(string(grapheme), width)
	return len(grapheme)
}

// put writes a grapheme at the cursor. A line that is full goes on in the next.
func (s *Screen) put(text string, width int) {
	if width == 0 {
		return
	}
	if s.column+width > s.Width {
		s.row, s.column = s.row+1, 0
	}
	for len(s.Lines) <= s.row {
		s.Lines = append(s.Lines, nil)
	}
	line := s.Lines[s.row]
	for len(line) < s.column+width {
		line = append(line, cell{text: " "})
	}
	line[s.column] = cell{text: text, style: s.style}
	for i := 1; i < width; i++ {
		line[s.column+i] = cell{style: s.style}
	}
	s.Lines[s.row] = line
	s.column += width
}

// escape carries out an escape sequence.
func (s *Screen) escape(data []byte) int {
	switch {
	case len(data) < 2:
		return 0
	case data[1] == ']': // an operating system command, which a terminal that does not know it leaves out
		end := slices.Index(data, 0x07)
		if end < 0 {
			return 0
		}
		s.Marks[string(data[2:end])] = true
		return end + 1
	case data[1] != '[':
		s.unknown = append(s.unknown, fmt.Sprintf("%q", data[:2]))
		return 2
	}
	end := slices.IndexFunc(data[2:], func(b byte) bool { return b >= 0x40 && b <= 0x7e })
	if end < 0 {
		return 0
	}
	end += 2
	s.control(string(data[2:end]), data[end])
	return end + 1
}

// control carries out a control sequence.
func (s *Screen) control(parameters string, final byte) {
	n, err := strconv.Atoi(parameters)
	if err != nil {
		n = 1
	}
	switch {
	case final == 'm':
		s.dress(parameters)
	case final == 'A':
		s.row = max(0, s.row-n)
	case final == 'J' && parameters == "":
		s.cut(s.row, s.column)
		s.Lines = s.Lines[:min(len(s.Lines), s.row+1)]
	case final == 'K' && parameters == "2":
		s.cut(s.row, 0)
	case parameters == "?25" && (final == 'l' || final == 'h'):
		s.hidden = final == 'l'
	case parameters == "?2026" && (final == 'l' || final == 'h'): // a drawing is shown whole
	default:
		s.unknown = append(s.unknown, fmt.Sprintf("CSI %s %c", parameters, final))
	}
}

// cut takes the end of a line away.
func (s *Screen) cut(row, column int) {
	if row < len(s.Lines) {
		s.Lines[row] = s.Lines[row][:min(len(s.Lines[row]), column)]
	}
}

// dress sets the style of what comes.
func (s *Screen) dress(parameters string) {
	for parameter := range strings.SplitSeq(parameters, ";") {
		switch n, err := strconv.Atoi(parameter); {
		case parameter == "" || n == 0 && err == nil:
			s.style = Style{}
		case n == 1:
			s.style.Bold = true
		case n == 2:
			s.style.Faint = true
		case n >= 30 && n <= 37:
			s.style.Color = n
		case n == 90: // bright black, which is grey
			s.style.Faint = true
		default:
			s.unknown = append(s.unknown, "colour "+parameter)
		}
	}
}

// Text is what can be read there, without spaces at the ends of lines.
func (s *Screen) Text() string {
	var b strings.Builder
	for _, line := range s.Lines {
		var text strings.Builder
		for _, c := range line {
			text.WriteString(c.text)
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// Resize makes the screen narrower or wider, as terminals do it that break lines anew: what is too wide goes on below.
func (s *Screen) Resize(width int) {
	var lines [][]cell
	for i, line := range s.Lines {
		if i == s.row {
			s.row = len(lines)
		}
		for len(line) > width {
			lines, line = append(lines, line[:width:width]), line[width:]
		}
		lines = append(lines, line)
	}
	if s.row >= len(s.Lines) {
		s.row += len(lines) - len(s.Lines)
	}
	s.Width, s.Lines = width, lines
}

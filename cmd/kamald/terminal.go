package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/kamald/kamald/cmd/kamald/live"
)

// The colours that are used.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

const (
	// plainWidth is where text is wrapped that goes to no terminal.
	plainWidth = 100
	// plainHeight is that of a terminal that does not say how many lines it has.
	plainHeight = 24
)

// terminal is where output goes, and what it can do there.
type terminal struct {
	io.Writer
	file  *os.File // of a terminal that lines may be written over on; nil: it is none
	pane  *live.Pane
	color bool
}

// detect finds out what the output can do. NO_COLOR and TERM=dumb are honoured.
func (t *terminal) detect(noColor bool) {
	file, ok := t.Writer.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return
	}
	t.file, t.color = file, !noColor && os.Getenv("NO_COLOR") == ""
	t.pane = live.NewPane(file, t.size)
	t.Writer = t.pane
}

// above has what is written to this terminal stand above the lines that another draws over, where both are terminals.
func (t *terminal) above(other terminal) {
	if t.file != nil && other.pane != nil {
		t.Writer = other.pane.Beside(t.file)
	}
}

func (t terminal) width() int {
	width, _ := t.size()
	return width
}

// size is that of the terminal now: somebody may change it at any time.
func (t terminal) size() (width, height int) {
	if t.file != nil {
		if width, height, err := term.GetSize(int(t.file.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return plainWidth, plainHeight
}

func (t terminal) in(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// freshLine takes away what stands on a terminal's last line: the ^C that was typed.
func (t terminal) freshLine() string {
	if t.file == nil {
		return ""
	}
	return "\r\x1b[2K"
}

package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// The colours that are used.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

// plainWidth is where text is wrapped that goes to no terminal.
const plainWidth = 100

// terminal is where output goes, and what it can do there.
type terminal struct {
	io.Writer
	live  bool // a terminal: lines may be written over
	color bool
}

// detect finds out what the output can do. NO_COLOR and TERM=dumb are honoured.
func (t *terminal) detect(noColor bool) {
	file, ok := t.Writer.(*os.File)
	t.live = ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
	t.color = t.live && !noColor && os.Getenv("NO_COLOR") == ""
}

func (t terminal) width() int {
	if file, ok := t.Writer.(*os.File); ok && t.live {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return plainWidth
}

func (t terminal) in(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// freshLine takes away what stands on a terminal's last line.
func (t terminal) freshLine() string {
	if !t.live {
		return ""
	}
	return "\r\x1b[2K"
}

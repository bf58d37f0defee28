package live

import (
	"bytes"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Fold gives a writer that breaks lines which are wider than so many columns at spaces. What goes on is indented by two more than its line.
// A word that is wider alone stays whole, so that it can be copied.
func Fold(w io.Writer, columns int) io.Writer { return &fold{w: w, columns: columns} }

type fold struct {
	w       io.Writer
	columns int

	column int    // that is reached
	indent int    // of the line
	spaces string // that wait for the next word
	words  bool   // the line has one
}

// Write implements io.Writer.
func (f *fold) Write(data []byte) (int, error) {
	var b bytes.Buffer
	for part := range strings.SplitAfterSeq(string(data), "\n") {
		line, ended := strings.CutSuffix(part, "\n")
		f.line(&b, line)
		if ended {
			b.WriteByte('\n')
			f.column, f.indent, f.spaces, f.words = 0, 0, "", false
		}
	}
	if _, err := f.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(data), nil
}

// line writes a line, or a part of it.
func (f *fold) line(b *bytes.Buffer, text string) {
	for text != "" {
		word := strings.TrimLeft(text, " ")
		f.spaces += text[:len(text)-len(word)]
		if word == "" {
			break
		}
		text = ""
		if end := strings.IndexByte(word, ' '); end >= 0 {
			word, text = word[:end], word[end:]
		}
		f.word(b, word)
	}
}

func (f *fold) word(b *bytes.Buffer, word string) {
	width := ansi.StringWidth(word)
	switch {
	case !f.words:
		f.indent = len(f.spaces)
	case f.spaces != "" && f.column+len(f.spaces)+width > f.columns && f.column > f.indent+2:
		b.WriteByte('\n')
		f.column, f.spaces = 0, strings.Repeat(" ", min(f.indent+2, f.columns/2))
	}
	b.WriteString(f.spaces + word)
	f.column += len(f.spaces) + width
	f.spaces, f.words = "", f.words || width > 0
}

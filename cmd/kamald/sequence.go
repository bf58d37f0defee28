package main

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// colorSequence is what a terminal takes for a colour, or for bold and the like, at the beginning of a text.
var colorSequence = regexp.MustCompile(`^\x1b\[[0-9;:]*m`)

// harmless is a line of somebody else's, as it may stand on a terminal behind our own words. Of what a terminal obeys only colours come
// through, which end with the line, and tabs; the rest stands there to be read, as ^[ and ^M.
func harmless(line string) string {
	var b strings.Builder
	colored := false
	for len(line) > 0 {
		r, size := utf8.DecodeRuneInString(line)
		sequence := ""
		if r == '\x1b' {
			sequence = colorSequence.FindString(line)
		}
		switch {
		case sequence != "":
			b.WriteString(sequence)
			size, colored = len(sequence), true
		case r < ' ' && r != '\t', r == 0x7f:
			b.WriteString("^" + string(r^0x40))
		case r >= 0x80 && r < 0xa0, r == utf8.RuneError:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteString(line[:size])
		}
		line = line[size:]
	}
	if colored {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

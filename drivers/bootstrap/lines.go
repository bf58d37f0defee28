package bootstrap

import (
	"bytes"
	"regexp"
	"strings"
)

// lines gives what is written to it line by line.
type lines struct {
	say  func(string)
	rest []byte
}

// lineLimit is how long a line may grow before it counts as one, in bytes.
const lineLimit = 4096

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		at := bytes.IndexByte(l.rest, '\n')
		if at < 0 && len(l.rest) < lineLimit {
			return len(b), nil
		}
		if at < 0 {
			at = len(l.rest) - 1
		}
		l.tell(string(l.rest[:at]))
		l.rest = l.rest[at+1:]
	}
}

// end gives what has no line end.
func (l *lines) end() {
	l.tell(string(l.rest))
	l.rest = nil
}

func (l *lines) tell(line string) {
	if line = clean(line); line != "" && l.say != nil {
		l.say(line)
	}
}

// lastLines are the last lines of a text, for an error.
func lastLines(text string) []string {
	var kept []string
	for line := range strings.Lines(text) {
		if line = clean(line); line != "" {
			kept = append(kept, line)
		}
	}
	return kept[max(0, len(kept)-maxLines):]
}

const maxLines = 20

// escapes are sequences that would command a terminal.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_])`)

// clean is a line without what would disturb a terminal; of one that writes over itself, what it came to.
func clean(line string) string {
	line = escapes.ReplaceAllString(line, "")
	line = strings.TrimRight(line, "\r\n")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, line))
}

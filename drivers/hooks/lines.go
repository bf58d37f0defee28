package hooks

import (
	"bytes"
	"strings"
	"sync"
)

// lineLimit is from how many bytes on a line is cut: nobody reads a longer one, and it may be no text at all.
const lineLimit = 4096

// lines gives what is written to it on, a line at a time.
type lines struct {
	say func(string)

	mu     sync.Mutex
	begun  []byte
	closed bool
}

// Write implements io.Writer.
func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(data), nil
	}
	l.begun = append(l.begun, data...)
	for {
		i := bytes.IndexByte(l.begun, '\n')
		if i < 0 && len(l.begun) <= lineLimit {
			return len(data), nil
		}
		var line []byte
		if i >= 0 {
			line, l.begun = l.begun[:i], l.begun[i+1:]
		} else {
			line, l.begun = l.begun[:lineLimit], l.begun[lineLimit:]
		}
		l.tell(line)
	}
}

// rest gives the last line, which has no end, and closes: what comes later is nobody's.
func (l *lines) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.begun) > 0 {
		l.tell(l.begun)
	}
	l.begun, l.closed = nil, true
}

func (l *lines) tell(line []byte) {
	l.say(strings.ToValidUTF8(strings.TrimRight(string(line), "\r"), "\uFFFD"))
}

package reconcile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kamald/kamald/state"
)

// fenceMark is what the fence's file says: the counter, what the run that wrote it was to bring, and which revision of which
// record lies beside it. The latter two are for whoever looks: a run of ours that was killed is told from a hand's move, and a
// record that is known is read again only when its hold was set or lifted since.
type fenceMark struct {
	number   int
	version  string
	record   int
	revision int
}

func (m fenceMark) text() []byte {
	text := fmt.Sprintf("%d\n", m.number)
	if m.version != "" {
		text += "version " + m.version + "\n"
	}
	if m.revision > 0 {
		text += fmt.Sprintf("record %d revision %d\n", m.record, m.revision)
	}
	return []byte(text)
}

// parseFence reads the text. The error is for a counter that is no number; other lines that are not known are left alone.
func parseFence(data []byte) (fenceMark, error) {
	first, rest, _ := strings.Cut(string(data), "\n")
	number, err := strconv.Atoi(strings.TrimSpace(first))
	m := fenceMark{number: number}
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if version, ok := strings.CutPrefix(line, "version "); ok {
			m.version = version
		}
		_, _ = fmt.Sscanf(line, "record %d revision %d", &m.record, &m.revision)
	}
	return m, err
}

// covers tells whether a record that is known is the newest revision of it.
func (m fenceMark) covers(known state.Record) bool {
	return m.record != known.Number || known.Revision >= m.revision
}

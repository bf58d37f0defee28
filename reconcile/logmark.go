package reconcile

import (
	"maps"
	"time"

	"github.com/kamald/kamald/state"
)

// logOverlap is how far the lines of one log may stand out of the order of their times: an engine dates a line before it
// writes it, and the two streams of a container wait for each other in between.
const logOverlap = 50 * time.Millisecond

// logMark is how far a log has been read. What is asked for next begins a little earlier, so that nothing is missed that was
// dated earlier and written later, and what came of that is passed over.
type logMark struct {
	at    time.Time // of the latest line that came, by the engine's clock; before any, when the reading began
	from  time.Time // nothing before it is asked for
	tail  bool      // only the last lines were asked for, and nothing before the first that came of them is
	came  map[logStamp]int
	prune int // how many came are too many
}

// logStamp is what a line is known by when it comes again.
type logStamp struct {
	at     int64 // nanoseconds since 1970
	stderr bool
}

// markBefore is the mark of a log that is read from a query's first line on. Where none comes, it is read on from begun.
func markBefore(q state.LogQuery, begun time.Time) logMark {
	return logMark{at: begun, from: q.Since, tail: q.Tail > 0}
}

func stampOf(l state.LogLine) logStamp { return logStamp{at: l.At.UnixNano(), stderr: l.Stderr} }

// took notes a line that came.
func (m *logMark) took(l state.LogLine) {
	first := m.came == nil
	if first {
		m.came, m.prune = map[logStamp]int{}, 1024
	}
	if first || l.At.After(m.at) {
		m.at = l.At
	}
	if m.tail && (first || l.At.Before(m.from)) {
		m.from = l.At
	}
	m.came[stampOf(l)]++
	if len(m.came) >= m.prune {
		m.forget()
	}
}

// forget drops what is not asked for again.
func (m *logMark) forget() {
	since := m.since().UnixNano()
	maps.DeleteFunc(m.came, func(s logStamp, _ int) bool { return s.at < since })
	m.prune = max(1024, 2*len(m.came))
}

// since is the time from which on the log is read next.
func (m *logMark) since() time.Time {
	if m.came == nil {
		return m.at
	}
	if since := m.at.Add(-logOverlap); since.After(m.from) {
		return since
	}
	return m.from
}

// again gives a function for the lines of the next reading: true for each that has come before.
func (m *logMark) again() func(state.LogLine) bool {
	left := maps.Clone(m.came)
	return func(l state.LogLine) bool {
		stamp := stampOf(l)
		if left[stamp] == 0 {
			return false
		}
		left[stamp]--
		return true
	}
}

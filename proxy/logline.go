package proxy

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// heldLines is how many lines wait for a reader of the log that is slow.
const heldLines = 4096

// lineWriter hands lines on without waiting for who reads them: an engine that stands still reads no container's output, and a
// request would wait for its line. Lines that find no room are counted, and the count is written when there is room again.
type lineWriter struct {
	to    io.Writer
	lines chan []byte
	lost  atomic.Int64
	done  chan struct{}
}

func newLineWriter(to io.Writer) *lineWriter {
	w := &lineWriter{to: to, lines: make(chan []byte, heldLines), done: make(chan struct{})}
	go w.run()
	return w
}

// Write implements io.Writer; it never waits and never fails. It is not called after Close.
func (w *lineWriter) Write(line []byte) (int, error) {
	select {
	case w.lines <- append([]byte(nil), line...):
	default:
		w.lost.Add(1)
	}
	return len(line), nil
}

// Close waits until all lines are written, for as long as limit at most.
func (w *lineWriter) Close(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case w.lines <- nil: // the last
	case <-timer.C:
		return
	}
	select {
	case <-w.done:
	case <-timer.C:
	}
}

func (w *lineWriter) run() {
	defer close(w.done)
	for line := range w.lines {
		if lost := w.lost.Swap(0); lost > 0 {
			_, _ = fmt.Fprintf(w.to, "{\"time\":%q,\"level\":\"WARN\",\"msg\":\"nobody read the log\",\"lines_lost\":%d}\n", time.Now().UTC().Format(time.RFC3339Nano), lost)
		}
		if line == nil {
			return
		}
		_, _ = w.to.Write(line) // there is nowhere to say that a line could not be written
	}
}

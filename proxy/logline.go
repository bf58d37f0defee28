package proxy

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// heldLines is how many lines wait for a reader of the log that is slow.
	heldLines = 4096
	// gatherTime is the least time between two writes: under load one write has many lines. A line after a silence is written at once.
	gatherTime = 10 * time.Millisecond
	// atomicWrite is how much a pipe takes at once (PIPE_BUF), so that lines of two workers at an upgrade do not mix.
	atomicWrite = 4096
	// keptBuffer is the most memory that is kept for lines when there are few.
	keptBuffer = 1 << 20
)

// lineWriter hands lines on without waiting for who reads them: an engine that stands still reads no container's output, and a
// request would wait for its line. Lines that find no room are counted, and the count is written when there is room again.
type lineWriter struct {
	to    io.Writer
	total atomic.Int64  // of lost ones
	wake  chan struct{} // there is a line
	hurry chan struct{} // there are many, or the end has come
	done  chan struct{}

	mu      sync.Mutex
	held    []byte // whole lines
	lines   int    // in held
	lost    int64  // since the last line that told it
	writing bool
	closing bool
}

func newLineWriter(to io.Writer) *lineWriter {
	w := &lineWriter{to: to, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write implements io.Writer; it never waits and never fails. It is not called after Close.
func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	first, many := w.lines == 0, w.lines == heldLines/2
	if w.lines < heldLines {
		w.held = append(w.held, line...)
		w.lines++
	} else {
		w.lost++
		w.total.Add(1)
	}
	w.mu.Unlock()
	if first {
		nudge(w.wake)
	}
	if many {
		nudge(w.hurry)
	}
	return len(line), nil
}

// lostSoFar returns how many lines were lost since the start.
func (w *lineWriter) lostSoFar() int64 { return w.total.Load() }

// Close waits until all lines are written, for as long as limit at most.
func (w *lineWriter) Close(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	w.setClosing(true)
	nudge(w.wake)
	nudge(w.hurry)
	select {
	case <-w.done:
	case <-timer.C:
		w.setClosing(false)
	}
}

func (w *lineWriter) setClosing(is bool) {
	w.mu.Lock()
	w.closing = is
	w.mu.Unlock()
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what is held, whenever there is something.
func (w *lineWriter) run() {
	defer close(w.done)
	var batch []byte
	for range w.wake {
		for {
			var last bool
			if batch, last = w.take(batch); last {
				return
			}
			if len(batch) == 0 {
				break
			}
			w.writeLines(batch)
			w.gather()
		}
	}
}

// writeLines writes whole lines, as many at once as a pipe takes in one piece.
func (w *lineWriter) writeLines(batch []byte) {
	for len(batch) > 0 {
		n := 1 + bytes.LastIndexByte(batch[:min(len(batch), atomicWrite)], '\n')
		if n == 0 { // a longer one
			n = 1 + bytes.IndexByte(batch, '\n')
		}
		if n == 0 {
			n = len(batch)
		}
		_, _ = w.to.Write(batch[:n]) // there is nowhere to say that a line could not be written
		batch = batch[n:]
	}
}

// gather lets lines come together, for a moment or until there are many.
func (w *lineWriter) gather() {
	w.mu.Lock()
	now := w.closing || w.lines >= heldLines/2
	w.mu.Unlock()
	if now {
		return
	}
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-w.hurry:
	case <-timer.C:
	}
}

// take returns all that is held, and keeps the buffer that was written before for what comes. The last time is when there is
// nothing left at the end.
func (w *lineWriter) take(written []byte) (batch []byte, last bool) {
	if cap(written) > keptBuffer {
		written = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	batch = w.held
	if w.lost > 0 {
		batch = fmt.Appendf(batch, "{\"time\":%q,\"level\":\"WARN\",\"msg\":\"nobody read the log\",\"lines_lost\":%d}\n", time.Now().UTC().Format(time.RFC3339Nano), w.lost)
	}
	w.held, w.lines, w.lost = written[:0], 0, 0
	w.writing = len(batch) > 0
	return batch, w.closing && !w.writing
}

// flush waits until the lines so far are written, for a second at most. More may be written after it.
func (w *lineWriter) flush() {
	for range 100 {
		w.mu.Lock()
		idle := w.lines == 0 && !w.writing
		w.mu.Unlock()
		if idle {
			return
		}
		time.Sleep(gatherTime)
	}
}

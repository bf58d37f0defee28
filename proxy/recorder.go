package proxy

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// recorder remembers what was answered. With a stall it gives a write that takes longer up: over HTTP/2 and 3 a client
// that takes nothing is seen by no write to its connection.
type recorder struct {
	http.ResponseWriter
	status  int
	bytes   int64
	begun   atomic.Bool // the head of the answer was written
	failure error       // the first failed write
	pending bool        // something was written and not flushed
	stall   time.Duration
	timer   *time.Timer
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
		w.pending = true
		w.begun.Store(true)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
		w.begun.Store(true)
	}
	defer w.watch()()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	w.pending = true
	w.keep(err)
	return n, err
}

// FlushError lets http.ResponseController flush.
func (w *recorder) FlushError() error {
	defer w.watch()()
	w.pending = false
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.keep(err)
	return err
}

// Unwrap lets http.ResponseController hijack and set deadlines.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// complete writes out what is held, under the same watch, before the server would do so without one.
func (w *recorder) complete() {
	if w.pending && w.bytes > 0 && w.stall > 0 {
		_ = w.FlushError() // kept
	}
}

// watch begins the time in which the client must take what is written, and returns what ends it.
func (w *recorder) watch() (end func()) {
	if w.stall <= 0 {
		return func() {}
	}
	if w.timer == nil {
		control := http.NewResponseController(w.ResponseWriter)
		w.timer = time.AfterFunc(w.stall, func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	} else {
		w.timer.Reset(w.stall)
	}
	return func() { w.timer.Stop() }
}

func (w *recorder) keep(err error) {
	if err != nil && w.failure == nil && !errors.Is(err, http.ErrNotSupported) {
		w.failure = err
	}
}

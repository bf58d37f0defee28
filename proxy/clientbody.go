package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// errBodyStalled is why a request is given up whose client announced a body and does not send it.
var errBodyStalled = errors.New("the client sent too little of the request's body for too long")

// clientBody reads a client's body. A client may take as long as it needs for the whole, as long as it sends: in the
// time of the limit spent waiting for it, at least stallProgress bytes must come. Time in which nobody wants to read is
// the target's and does not count, nor does time after the answer has begun: app and client then talk, and may be silent.
type clientBody struct {
	from    io.ReadCloser
	control *http.ResponseController
	request *http.Request
	answer  *recorder
	stall   time.Duration

	begun atomic.Bool // something was wanted of it
	ended atomic.Bool // it was read to its end, or failed

	mu      sync.Mutex
	timer   *time.Timer
	waited  time.Duration
	got     int64 // bytes in that time
	stalled bool
	err     error
}

func newClientBody(w *recorder, r *http.Request, stall time.Duration) *clientBody {
	return &clientBody{from: r.Body, control: http.NewResponseController(w), request: r, answer: w, stall: stall}
}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	start := b.wait()
	n, err := b.from.Read(p)
	return n, b.came(start, n, err)
}

// failed returns why the body could not be read to its end, nil if it could so far.
func (b *clientBody) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// finish reads the rest that nobody wanted, not for long. It says false when where the body ends is not known.
func (b *clientBody) finish() (clean bool) {
	if b.failed() != nil || !b.begun.Load() && b.request.Header.Get("Expect") != "" {
		// Nothing more of it is of use, or the client waits to be asked for it. The server must not wait either.
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
		return false
	}
	if b.ended.Load() {
		return b.from.Close() == nil
	}
	_ = b.control.SetReadDeadline(time.Now().Add(lingerTimeout))
	if err := b.from.Close(); err != nil {
		return false
	}
	_ = b.control.SetReadDeadline(time.Time{})
	return true
}

// wait begins the time in which the client must send.
func (b *clientBody) wait() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := max(b.stall-b.waited, time.Millisecond)
	if b.timer == nil {
		b.timer = time.AfterFunc(left, b.giveUp)
	} else {
		b.timer.Reset(left)
	}
	return time.Now()
}

// came ends it.
func (b *clientBody) came(start time.Time, n int, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop()
	b.waited += time.Since(start)
	b.got += int64(n)
	switch {
	case b.stalled:
		err = errBodyStalled
	case err == nil && b.waited >= b.stall && b.got < stallProgress && !b.answer.begun.Load():
		err = errBodyStalled
	case b.waited >= b.stall || b.got >= stallProgress:
		b.waited, b.got = 0, 0
	}
	if err == nil {
		return nil
	}
	b.ended.Store(true)
	if err != io.EOF {
		b.err = fmt.Errorf("%w: %w", errBadBody, err)
		return b.err
	}
	dropForeignTrailers(b.request.Trailer)
	return err
}

// giveUp is called when nothing has come for the whole time. The read that waits then fails.
func (b *clientBody) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended.Load() || b.answer.begun.Load() || b.got >= stallProgress {
		return
	}
	b.stalled = true
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
}

package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// errResponseTooLarge is why an answer over max-response-body is not passed on.
var errResponseTooLarge = errors.New("the target's answer is larger than max-response-body")

// errBadBody is why a request whose body broke off is not answered by a target.
var errBadBody = errors.New("reading the request's body")

// requestBody is a request's body that can be given to more than one target, as long as none has had any of it.
type requestBody interface {
	attach(r *http.Request) // makes it r's body
	rewind() bool           // says whether it can be attached again
	failed() error          // why the client's body could not be read to its end, nil if it could so far
	// close ends the client's body; w is where the answer went. It says whether the next request can be found.
	close(w *recorder, upgraded bool) (clean bool)
}

// newRequestBody reads the body first when requests are buffered: a slow client then costs the target nothing.
func newRequestBody(w *recorder, r *http.Request, o TargetOptions, stall time.Duration, b *budget) (requestBody, error) {
	if empty, err := hasNoBody(w, r, stall); empty || err != nil {
		return noBody{}, err
	}
	from := newClientBody(w, r, stall)
	if !o.BufferRequests {
		// An app may answer while it still reads (an echo, an early refusal). Without this the server would first
		// take the rest of the body away from the target. HTTP/2 needs it not, and says so by an error.
		_ = http.NewResponseController(w).EnableFullDuplex()
		return &streamedBody{from: from}, nil
	}
	limit := o.MaxRequestBodySize
	if limit > 0 && r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if room := b.room(); r.ContentLength > room { // it would never find room
		return nil, &http.MaxBytesError{Limit: room}
	}
	s := newSpool(o.MaxMemoryBufferSize, b)
	n, err := s.fill(from, limit)
	switch {
	case errors.Is(err, errSpool):
	case err != nil:
		err = fmt.Errorf("%w: %w", errBadBody, err)
	case limit > 0 && n > limit:
		err = &http.MaxBytesError{Limit: limit}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return &bufferedBody{spool: s}, nil
}

// noBody is the body of a request without one.
type noBody struct{}

func (noBody) attach(*http.Request)       {}
func (noBody) rewind() bool               { return true }
func (noBody) failed() error              { return nil }
func (noBody) close(*recorder, bool) bool { return true }

// streamedBody passes the client's body on as it comes.
type streamedBody struct {
	from *clientBody
	last *bodyReader
}

func (b *streamedBody) attach(r *http.Request) {
	b.last = &bodyReader{from: b.from}
	r.Body = b.last
}

func (b *streamedBody) rewind() bool { return !b.from.begun.Load() }

func (b *streamedBody) failed() error { return b.from.failed() }

// close reads what is left of the body (up to the server's limit, and not for long) while the handler still runs: in
// full duplex the server would do it after the answer, and its look-out for a disconnected client would then meet the
// next request. An answer must not wait for that. What cannot be read to its end leaves nobody knowing where the next
// request begins.
func (b *streamedBody) close(w *recorder, upgraded bool) bool {
	if upgraded { // the connection is no longer the server's
		return true
	}
	if b.last != nil {
		_ = b.last.Close()
	}
	if !b.from.ended.Load() && w.status != 0 {
		_ = http.NewResponseController(w).Flush()
	}
	return b.from.finish()
}

// bodyReader keeps the transport's Close away from the client's body, which another target may still need.
type bodyReader struct {
	from   io.Reader
	closed atomic.Bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.from.Read(p)
}

func (b *bodyReader) Close() error {
	b.closed.Store(true)
	return nil
}

// bufferedBody is a body that was read to its end already.
type bufferedBody struct{ spool *spool }

func (b *bufferedBody) attach(r *http.Request) {
	r.Body = io.NopCloser(b.spool.reader())
	r.TransferEncoding = nil
	r.ContentLength = b.spool.size
	if len(r.Trailer) > 0 {
		r.ContentLength = -1 // trailers need the chunked form
	}
}

func (b *bufferedBody) rewind() bool { return true }

func (b *bufferedBody) failed() error { return nil }

func (b *bufferedBody) close(*recorder, bool) bool {
	b.spool.close()
	return true
}

// bufferResponse reads the whole answer before any of it is passed on, so that a slow client does not hold the
// target.
func bufferResponse(resp *http.Response, o TargetOptions, b *budget) error {
	if resp.Body == nil || resp.Body == http.NoBody || resp.Request.Method == http.MethodHead {
		return nil
	}
	limit := o.MaxResponseBodySize
	s := newSpool(o.MaxMemoryBufferSize, b)
	n, err := s.fill(resp.Body, limit)
	err = errors.Join(err, resp.Body.Close())
	if err == nil && limit > 0 && n > limit {
		err = errResponseTooLarge
	}
	if err != nil {
		s.close()
		return err
	}
	resp.Body = &spoolBody{s.reader(), s}
	if len(resp.Trailer) == 0 {
		resp.ContentLength = n
		resp.Header.Set("Content-Length", strconv.FormatInt(n, 10))
	}
	return nil
}

type spoolBody struct {
	io.Reader
	spool *spool
}

func (b *spoolBody) Close() error {
	b.spool.close()
	return nil
}

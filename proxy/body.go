package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
)

// errResponseTooLarge is why an answer over max-response-body is not passed on.
var errResponseTooLarge = errors.New("the target's answer is larger than max-response-body")

// errBadBody is why a request whose body broke off while it was buffered is not passed on.
var errBadBody = errors.New("reading the request's body")

// requestBody is a request's body that can be given to more than one target, as long as none has had any of it.
type requestBody interface {
	attach(r *http.Request) // makes it r's body
	rewind() bool           // says whether it can be attached again
	close(w *recorder)      // ends the client's body; w is where the answer went
}

// newRequestBody reads the body first when requests are buffered: a slow client then costs the target nothing.
func newRequestBody(w *recorder, r *http.Request, o TargetOptions) (requestBody, error) {
	if r.ContentLength == 0 {
		return &streamedBody{from: r.Body}, nil
	}
	if !o.BufferRequests {
		// An app may answer while it still reads (an echo, an early refusal). Without this the server would first
		// take the rest of the body away from the target. HTTP/2 needs it not, and says so by an error.
		_ = http.NewResponseController(w).EnableFullDuplex()
		return &streamedBody{from: r.Body}, nil
	}
	if o.MaxRequestBodySize > 0 && r.ContentLength > o.MaxRequestBodySize {
		return nil, &http.MaxBytesError{Limit: o.MaxRequestBodySize}
	}
	s := newSpool(o.MaxMemoryBufferSize)
	n, err := s.fill(r.Body, o.MaxRequestBodySize)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("%w: %w", errBadBody, err)
	}
	if o.MaxRequestBodySize > 0 && n > o.MaxRequestBodySize {
		s.close()
		return nil, &http.MaxBytesError{Limit: o.MaxRequestBodySize}
	}
	return &bufferedBody{spool: s}, nil
}

// streamedBody passes the client's body on as it comes.
type streamedBody struct {
	from io.ReadCloser
	last *bodyReader
}

func (b *streamedBody) attach(r *http.Request) {
	b.last = &bodyReader{from: b.from}
	r.Body = b.last
}

func (b *streamedBody) rewind() bool {
	return b.last == nil || !b.last.read.Load()
}

// close reads what is left of the body (up to the server's limit) while the handler still runs: in full duplex the
// server would do it after the answer, and its look-out for a disconnected client would then meet the next request.
// An answer must not wait for that.
func (b *streamedBody) close(w *recorder) {
	if b.last != nil && b.last.read.Load() && !b.last.ended.Load() && w.status != 0 {
		_ = http.NewResponseController(w).Flush()
	}
	_ = b.from.Close()
}

// bodyReader keeps the transport's Close away from the client's body, which another target may still need, and
// remembers whether anything was read.
type bodyReader struct {
	from   io.Reader
	read   atomic.Bool
	ended  atomic.Bool
	closed atomic.Bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.read.Store(true)
	n, err := b.from.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
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

func (b *bufferedBody) close(*recorder) { b.spool.close() }

// bufferResponse reads the whole answer before any of it is passed on, so that a slow client does not hold the
// target.
func bufferResponse(resp *http.Response, o TargetOptions) error {
	if resp.Body == nil || resp.Body == http.NoBody || resp.Request.Method == http.MethodHead {
		return nil
	}
	limit := o.MaxResponseBodySize
	s := newSpool(o.MaxMemoryBufferSize)
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

package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

// hasNoBody says that a request brings no body. HTTP/1 and HTTP/2 say so in the head. Over HTTP/3 the end of the stream does, and
// net/http would not send such a request again when its target has just closed an idle connection: a GET or HEAD is looked at.
func hasNoBody(w *recorder, r *http.Request, stall time.Duration) (bool, error) {
	if r.ContentLength == 0 {
		return true, nil
	}
	if r.ProtoMajor < 3 || r.ContentLength > 0 || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false, nil
	}
	first := make([]byte, 1)
	n, err := io.ReadFull(newClientBody(w, r, stall), first)
	switch {
	case errors.Is(err, io.EOF):
		r.ContentLength, r.Body = 0, http.NoBody
		return true, nil
	case err != nil:
		return false, err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return false, nil
}

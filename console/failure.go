package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Schema is the version of the API's JSON.
const Schema = 1

// Failure is the answer to what could not be done.
type Failure struct {
	Schema int    `json:"schema"`
	Error  string `json:"error"`
	Next   string `json:"next,omitempty"` // what to do about it
}

// failure is why a request is not answered as asked.
type failure struct {
	status int
	text   string
	next   string
	retry  int // seconds
	err    error
}

func (f failure) Error() string {
	if f.text == "" && f.err != nil {
		return f.err.Error()
	}
	return f.text
}

func (f failure) Unwrap() error { return f.err }

func bad(text, next string) failure {
	return failure{status: http.StatusBadRequest, text: text, next: next}
}

// refused is a failure of the daemon's: its words, and a status that says whose fault it is.
func refused(err error) error {
	if err == nil {
		return nil
	}
	f := failure{status: http.StatusConflict, err: err}
	var known failure
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, loop.ErrNoApp):
		f.status, f.next = http.StatusNotFound, "GET /v1/apps has those that there are; others belong in kamald.hcl"
	case errors.Is(err, state.ErrNotFound):
		f.status = http.StatusNotFound
	case errors.Is(err, loop.ErrNothingWaits):
		f.next = "look again at what waits: it may have changed since"
	case errors.Is(err, context.DeadlineExceeded):
		f.status, f.next = http.StatusGatewayTimeout, "try again"
	}
	var advised interface{ Next() string }
	if errors.As(err, &advised) {
		f.next = advised.Next()
	}
	return f
}

// broken is a failure of what the daemon keeps.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return failure{status: http.StatusInternalServerError, err: err, next: "see the daemon's log"}
}

// fail answers with why it is not done.
func (s *Server) fail(c *call, err error) {
	f := failure{status: http.StatusInternalServerError, err: err, next: "see the daemon's log"}
	var known failure
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		f = failure{status: http.StatusRequestEntityTooLarge, text: "the body is larger than " + strconv.FormatInt(large.Limit, 10) + " bytes"}
	case errors.As(err, &known):
		f = known
	}
	if f.retry > 0 {
		c.w.Header().Set("Retry-After", strconv.Itoa(f.retry))
	}
	if f.status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="kamald"`)
	}
	if c.page {
		s.failPage(c, f)
		return
	}
	_ = answer(c.w, f.status, Failure{Schema: Schema, Error: f.Error(), Next: f.next})
}

// unknown answers what is in no row of the table, with the status that the router gives it.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, h http.Handler) {
	said := statusOnly{header: w.Header(), status: http.StatusNotFound}
	h.ServeHTTP(&said, r)
	text := "there is nothing under " + r.URL.Path
	if said.status == http.StatusMethodNotAllowed {
		text = r.Method + " is not what " + r.URL.Path + " takes"
	}
	s.fail(&call{w: w, r: r, page: !isAPI(r)}, failure{status: said.status, text: text, next: "GET /v1/schema has what there is"})
}

// statusOnly takes the status of an answer, and not what it says.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header            { return s.header }
func (s *statusOnly) Write(text []byte) (int, error) { return len(text), nil }
func (s *statusOnly) WriteHeader(status int)         { s.status = status }

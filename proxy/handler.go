package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
)

// statusClientGone is what the log says of a request whose client did not wait for the answer.
const statusClientGone = 499

// handler answers requests by the router's table.
type handler struct {
	router *Router
	log    *slog.Logger
}

// exchange is what the parts of the way of one request tell each other; also the source of its log line.
type exchange struct {
	started  time.Time
	dep      *deployment
	service  string
	target   string
	prefix   string      // matched path prefix
	respHead http.Header // the target's answer
	upgraded bool
	failure  error // why the target gave no answer
	status   int   // what the log says instead of what was written
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

// ServeHTTP answers one request and logs it. A panic on the way is a 502 and a log line, or, once an answer has
// begun, the end of the connection.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{started: time.Now()}
	rec := &recorder{ResponseWriter: w}
	path := r.URL.Path
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			h.log.Error("Panic", "panic", fmt.Sprint(p), "path", path, "service", x.service, "stack", string(debug.Stack()))
			if rec.status == 0 && !x.upgraded {
				answer(rec, http.StatusBadGateway, "The proxy failed to handle this request.")
				p = nil
			}
		}
		h.logRequest(rec, r, x, path)
		if p != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	if r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", newRequestID())
	}
	h.route(rec, r, x)
}

func (h *handler) route(w *recorder, r *http.Request, x *exchange) {
	if r.Method == http.MethodConnect {
		answer(w, http.StatusMethodNotAllowed, "This is no forward proxy.")
		return
	}
	table := *h.router.table.Load()
	host := requestHost(r.Host)
	found, ok := table.find(host, r.URL)
	if !ok {
		answer(w, http.StatusNotFound, "No service answers for this host and path.")
		return
	}
	s := found.service
	x.service, x.prefix = s.name, found.prefix
	dep, broken := s.current()
	switch {
	case dep == nil:
		answer(w, http.StatusNotFound, "No service answers for this host and path.")
		return
	case broken != nil:
		answer(w, http.StatusBadGateway, "The service could not be restored.")
		return
	}
	if r.TLS == nil && wantsTLS(table.root(host), dep) {
		r.URL.Host, r.URL.Scheme = hostForTLS(r.Host), "https"
		http.Redirect(w, r, r.URL.String(), http.StatusMovedPermanently)
		return
	}
	body, err := newRequestBody(w, r, dep.targetOptions)
	if err != nil {
		h.fail(w, r, x, err)
		return
	}
	defer func() {
		if !x.upgraded {
			body.close(w)
		}
	}()
	h.forward(w, r, x, s, body)
}

// forward passes the request to a target. One that could not be connected has not seen the request; if there is
// another target by now (a switch came in between, or the pool has several) the request goes there, once.
func (h *handler) forward(w http.ResponseWriter, r *http.Request, x *exchange, s *service, body requestBody) {
	var dead *target
	for {
		a, err := h.admit(w, r, s, dead)
		if err != nil {
			h.fail(w, r, x, err)
			return
		}
		if a.lease == nil {
			if x.failure != nil {
				h.fail(w, r, x, x.failure)
			}
			return
		}
		h.ask(w, r, x, a, body)
		if x.failure == nil {
			return
		}
		if dead != nil || !isDialError(x.failure) || !body.rewind() || r.Context().Err() != nil {
			h.fail(w, r, x, x.failure)
			return
		}
		dead = a.lease.target
	}
}

// admit waits behind a paused gate and returns an admission. Without a lease and without an error the answer is
// already written, or no target is left but the dead one.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, s *service, dead *target) (admission, error) {
	for {
		a := s.admit(r.Context(), dead)
		if a.lease != nil {
			return a, nil
		}
		if a.dep == nil {
			answer(w, http.StatusNotFound, "The service was removed.")
			return a, nil
		}
		if a.gate.State != gateRunning && r.URL.Path == a.dep.targetOptions.HealthCheckConfig.Path {
			w.WriteHeader(http.StatusOK)
			return a, nil
		}
		switch a.gate.State {
		case gatePaused:
			if err := hold(r.Context(), a.gate); err != nil {
				return a, err
			}
		case gateStopped:
			message := a.gate.StopMessage
			if message == "" {
				message = "The service is stopped."
			}
			answer(w, http.StatusServiceUnavailable, message)
			return a, nil
		default:
			return a, nil
		}
	}
}

// ask sends the request to the leased target and copies the answer, or leaves the reason for none in x.failure.
func (h *handler) ask(w http.ResponseWriter, r *http.Request, x *exchange, a admission, body requestBody) {
	defer a.lease.release()
	x.failure, x.dep, x.target = nil, a.dep, a.lease.target.name
	out := r.WithContext(context.WithValue(a.ctx, exchangeKey{}, x))
	body.attach(out)
	a.lease.target.proxy.ServeHTTP(w, out)
	if x.failure != nil && errors.Is(context.Cause(a.ctx), errDrained) {
		x.failure = errDrained
	}
}

// fail turns the reason for no answer into one.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, x *exchange, err error) {
	if r.Context().Err() != nil {
		x.status = statusClientGone
		return
	}
	status, text := http.StatusBadGateway, "The service did not answer."
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		status, text = http.StatusRequestEntityTooLarge, "The request's body is too large."
	case errors.Is(err, errResponseTooLarge):
		status, text = http.StatusInternalServerError, "The service's answer is too large."
	case errors.Is(err, errBadBody):
		status, text = http.StatusBadRequest, "The request's body could not be read."
	case errors.Is(err, errDrained), errors.Is(err, errHeldTooLong):
		status, text = http.StatusGatewayTimeout, "The service did not answer in time."
	case !isDialError(err) && errors.As(err, &timeout) && timeout.Timeout():
		status, text = http.StatusGatewayTimeout, "The service did not answer in time."
	}
	h.log.Warn("No answer", "service", x.service, "target", x.target, "status", status, "error", err)
	answer(w, status, text)
}

// answer writes a small page of our own.
func answer(w http.ResponseWriter, status int, text string) {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n", title, title, html.EscapeString(text))
}

// wantsTLS says whether plain HTTP is redirected. The service at the host's root path decides for the whole host.
func wantsTLS(root *service, dep *deployment) bool {
	if root != nil {
		if d, _ := root.current(); d != nil && d.options.TLSEnabled {
			dep = d
		}
	}
	return dep.options.TLSEnabled && dep.options.TLSRedirect
}

func hostForTLS(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}

// newRequestID returns a random (version 4) UUID.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

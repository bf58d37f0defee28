package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"
)

// statusClientGone is what the log says of a request whose client did not wait for the answer.
const statusClientGone = 499

// handler answers requests by the router's table.
type handler struct {
	router  *Router
	log     *slog.Logger
	limits  Limits
	buffers *budget
	metrics *metrics
}

// ServeHTTP answers one request and logs it. A panic on the way is a 502 and a log line, or, once an answer has
// begun, the end of the connection.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := clientOf(r.Context())
	if client.isSpoiled() {
		panic(http.ErrAbortHandler)
	}
	x := &exchange{started: time.Now(), client: client, buffers: h.buffers, requestID: cleanRequestID(r.Header.Get("X-Request-Id"))}
	rec := &recorder{ResponseWriter: w}
	x.answer = rec
	if r.ProtoMajor > 1 {
		rec.stall = h.limits.Stall
	}
	path := r.URL.Path
	client.begin()
	defer client.end()
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			h.log.Error("Panic", "panic", fmt.Sprint(p), "path", shorten(path), "service", x.service, "stack", string(debug.Stack()))
			if rec.status == 0 && !x.upgraded {
				answer(rec, http.StatusBadGateway, "The proxy failed to handle this request.")
				p = nil
			}
			x.outcome = outcomePanic
		}
		h.finish(rec, r, x, path, p)
		if p != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	if x.requestID == "" {
		x.requestID = newRequestID()
	}
	r.Header["X-Request-Id"] = []string{x.requestID}
	h.route(rec, r, x)
	rec.complete()
	if x.status == statusClientGone && rec.status == 0 {
		panic(http.ErrAbortHandler) // else the server says 200, which a client that has only half closed would believe
	}
}

// finish tells the log and the metrics how the exchange ended.
func (h *handler) finish(w *recorder, r *http.Request, x *exchange, path string, aborted any) {
	if x.outcome == "" {
		x.outcome = h.outcome(w, r, x, aborted)
	}
	h.logRequest(w, r, x, path)
	h.metrics.ended(x, r.Method, path, w.logStatus(x))
	x.sides.ended(x.side, w.logStatus(x))
}

// outcome says why an exchange did not come to its own end; empty when it did.
func (h *handler) outcome(w *recorder, r *http.Request, x *exchange, aborted any) string {
	switch {
	case x.cut.Load() && (aborted != nil || x.upgraded), errors.Is(x.failure, errDrained):
		return outcomeCut
	case errors.Is(w.failure, errClientStalled), errors.Is(w.failure, os.ErrDeadlineExceeded):
		return outcomeClientStalled
	case w.failure != nil, x.status == statusClientGone, aborted != nil && r.Context().Err() != nil:
		return outcomeClientGone
	case aborted != nil:
		return outcomeBroken
	}
	return ""
}

func (h *handler) route(w *recorder, r *http.Request, x *exchange) {
	if no := examine(r); no != nil {
		h.answer(w, r, x, no.status, no.text)
		return
	}
	table := *h.router.table.Load()
	host := requestHost(r.Host)
	if h.misdirected(r, table, host) {
		h.answer(w, r, x, http.StatusMisdirectedRequest, "This connection is not for this host.")
		return
	}
	found, ok := table.find(host, r.URL)
	if !ok {
		h.answer(w, r, x, http.StatusNotFound, "No service answers for this host and path.")
		return
	}
	s := found.service
	x.service, x.prefix = s.name, found.prefix
	h.metrics.began(x.service)
	dep, broken := s.current()
	x.dep = dep
	switch {
	case dep == nil:
		h.answer(w, r, x, http.StatusNotFound, "No service answers for this host and path.")
		return
	case broken != nil:
		h.answer(w, r, x, http.StatusBadGateway, "The service could not be restored.")
		return
	case table.strays(host, r.URL, found):
		h.answer(w, r, x, http.StatusBadRequest, "The path leads out of itself.")
		return
	}
	if !isChallengeRequest(r) && h.redirect(w, r, host, h.needsTLS(r, table, host, dep), dep.options.CanonicalHost) {
		return
	}
	body, err := newRequestBody(w, r, dep.targetOptions, h.limits.Stall, h.buffers)
	if err != nil {
		h.fail(w, r, x, err)
		return
	}
	defer func() {
		if clean := body.close(w, x.upgraded); !clean && r.ProtoMajor == 1 {
			x.client.spoil()
		}
	}()
	h.forward(w, r, x, s, body)
}

// forward passes the request to a target. One that could not be connected has not seen the request; if there is
// another target by now (a switch came in between, or the pool has several) the request goes there, until none is left.
func (h *handler) forward(w http.ResponseWriter, r *http.Request, x *exchange, s *service, body requestBody) {
	x.choice.request = r
	for {
		a, err := h.admit(w, r, x, s)
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
		if err := body.failed(); err != nil { // the target is not to blame
			x.failure = err
		}
		if !isDialError(x.failure) || !body.rewind() || r.Context().Err() != nil {
			h.fail(w, r, x, x.failure)
			return
		}
		h.metrics.retried(x.service)
		x.choice.tried = append(x.choice.tried, a.lease.target)
	}
}

// admit waits behind a paused gate and returns an admission. Without a lease and without an error the answer is
// already written, or no target is left that was not tried.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, x *exchange, s *service) (admission, error) {
	for {
		a := s.admit(r.Context(), &x.choice)
		if a.lease != nil {
			return a, nil
		}
		if a.dep == nil {
			h.answer(w, r, x, http.StatusNotFound, "The service was removed.")
			return a, nil
		}
		if a.gate.State != gateRunning && asksHealth(r, a.dep.targetOptions.HealthCheckConfig) {
			w.WriteHeader(http.StatusOK)
			return a, nil
		}
		switch a.gate.State {
		case gatePaused:
			if err := hold(r.Context(), a.gate); err != nil {
				return a, err
			}
		case gateStopped:
			text := a.gate.StopMessage
			if text == "" {
				text = "The service is stopped."
			}
			h.answerWith(w, r, x, http.StatusServiceUnavailable, text, a.gate.StopMessage)
			return a, nil
		default:
			return a, nil
		}
	}
}

// ask sends the request to the leased target and copies the answer, or leaves the reason for none in x.failure.
func (h *handler) ask(w http.ResponseWriter, r *http.Request, x *exchange, a admission, body requestBody) {
	defer a.lease.release()
	x.failure, x.dep, x.target, x.side, x.sides = nil, a.dep, a.lease.target.name, a.side, a.sides
	out := r.WithContext(x.attach(a.ctx))
	body.attach(out)
	defer func() {
		if errors.Is(context.Cause(a.ctx), errDrained) {
			x.cut.Store(true)
			if x.failure != nil {
				x.failure = errDrained
			}
		}
	}()
	defer func() {
		if x.tunnel != nil {
			x.tunnel.shut()
		}
	}()
	a.lease.target.proxy.ServeHTTP(w, out)
	a.lease.target.observe(out, x.failure)
}

// fail turns the reason for no answer into one.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, x *exchange, err error) {
	// A read that fails, the one of a stalled body among them, ends the request's context as well.
	if r.Context().Err() != nil && !errors.Is(err, errBodyStalled) {
		x.status = statusClientGone
		return
	}
	status, text := explain(err)
	if status == http.StatusRequestTimeout {
		x.outcome = outcomeClientStalled
	}
	h.log.Warn("No answer", "service", x.service, "target", x.target, "status", status, "error", err)
	if errors.Is(err, errBadBody) && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
		x.client.spoil()
	}
	h.answer(w, r, x, status, text)
}

// explain gives the status and the text for the reason of no answer.
func explain(err error) (status int, text string) {
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "The request's body is too large."
	case errors.Is(err, errSpool):
		return http.StatusServiceUnavailable, "The proxy has no room for this at the moment."
	case errors.Is(err, errResponseTooLarge):
		return http.StatusInternalServerError, "The service's answer is too large."
	case errors.Is(err, errBodyStalled):
		return http.StatusRequestTimeout, "The request's body did not come in time."
	case errors.Is(err, errBadBody):
		return http.StatusBadRequest, "The request's body could not be read."
	case errors.Is(err, errDrained), errors.Is(err, errHeldTooLong):
		return http.StatusGatewayTimeout, "The service did not answer in time."
	case !isDialError(err) && errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "The service did not answer in time."
	}
	return http.StatusBadGateway, "The service did not answer."
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
	text := make([]byte, 0, 36)
	for i, part := range [][]byte{b[0:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, part)
	}
	return string(text)
}

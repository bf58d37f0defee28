package proxy

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if status >= 200 && w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// logRequest writes the access log's line, with kamal-proxy's field names.
func (h *handler) logRequest(w *recorder, r *http.Request, x *exchange, path string) {
	status := w.status
	switch {
	case x.upgraded:
		status = http.StatusSwitchingProtocols
	case x.status != 0:
		status = x.status
	}
	scheme, port := "http", 0
	if r.TLS != nil {
		scheme = "https"
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		port = local.Port
	}
	clientAddr, clientPort, _ := net.SplitHostPort(r.RemoteAddr)
	remote := clientAddr
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); first != "" {
		remote = strings.TrimSpace(first)
	}
	fields := []any{
		"host", r.Host, "port", port, "path", path, "request_id", r.Header.Get("X-Request-Id"), "status", status,
		"service", x.service, "target", x.target, "duration", time.Since(x.started).Nanoseconds(), "method", r.Method,
		"req_content_length", r.ContentLength, "req_content_type", r.Header.Get("Content-Type"),
		"resp_content_length", w.bytes, "resp_content_type", w.Header().Get("Content-Type"),
		"client_addr", clientAddr, "client_port", clientPort, "remote_addr", remote,
		"user_agent", r.UserAgent(), "proto", r.Proto, "scheme", scheme, "query", r.URL.RawQuery,
	}
	if x.dep != nil {
		for _, name := range x.dep.targetOptions.LogRequestHeaders {
			fields = append(fields, logName("req_", name), r.Header.Get(name))
		}
		for _, name := range x.dep.targetOptions.LogResponseHeaders {
			fields = append(fields, logName("resp_", name), x.respHead.Get(name))
		}
	}
	h.log.Info("Request", fields...)
}

func logName(side, header string) string {
	return side + strings.ReplaceAll(strings.ToLower(header), "-", "_")
}

// listenPort returns the port of an address, 0 when there is none.
func listenPort(a net.Addr) int {
	if a == nil {
		return 0
	}
	_, port, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(port)
	return n
}

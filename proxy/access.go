package proxy

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// loggedBytes bounds each text of a client in the log.
const loggedBytes = 2048

// logStatus is the status that log and metrics have of the exchange.
func (w *recorder) logStatus(x *exchange) int {
	switch {
	case x.upgraded:
		return http.StatusSwitchingProtocols
	case x.status != 0:
		return x.status
	}
	return w.status
}

// logRequest writes the access log's line, with kamal-proxy's field names; side and outcome are ours.
func (h *handler) logRequest(w *recorder, r *http.Request, x *exchange, path string) {
	if !h.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	scheme, port := "http", 0
	if r.TLS != nil {
		scheme = "https"
	}
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		port = local.Port
	case *net.UDPAddr: // HTTP/3
		port = local.Port
	}
	clientAddr, clientPort, _ := net.SplitHostPort(r.RemoteAddr)
	remote := clientAddr
	if x.remote != "" {
		remote = x.remote
	}
	now := time.Now()
	// A record made by hand has no caller to be found, and its fields need no boxes.
	line := slog.NewRecord(now, slog.LevelInfo, "Request", 0)
	line.AddAttrs(
		slog.String("host", shorten(r.Host)), slog.Int("port", port), slog.String("path", shorten(path)),
		slog.String("request_id", x.requestID), slog.Int("status", w.logStatus(x)), slog.String("service", x.service),
		slog.String("target", x.target), slog.Int64("duration", now.Sub(x.started).Nanoseconds()), slog.String("method", shorten(r.Method)),
		slog.Int64("req_content_length", r.ContentLength), slog.String("req_content_type", shorten(r.Header.Get("Content-Type"))),
		slog.Int64("resp_content_length", w.bytes), slog.String("resp_content_type", shorten(w.Header().Get("Content-Type"))),
		slog.String("client_addr", clientAddr), slog.String("client_port", clientPort), slog.String("remote_addr", shorten(remote)),
		slog.String("user_agent", shorten(r.UserAgent())), slog.String("proto", r.Proto), slog.String("scheme", scheme),
		slog.String("query", shorten(r.URL.RawQuery)),
	)
	if x.side != "" {
		line.AddAttrs(slog.String("side", x.side))
	}
	if x.outcome != "" {
		line.AddAttrs(slog.String("outcome", x.outcome))
	}
	if x.dep != nil {
		for _, name := range x.dep.targetOptions.LogRequestHeaders {
			line.AddAttrs(slog.String(logName("req_", name), shorten(r.Header.Get(name))))
		}
		for _, name := range x.dep.targetOptions.LogResponseHeaders {
			line.AddAttrs(slog.String(logName("resp_", name), shorten(x.respHead.Get(name))))
		}
	}
	_ = h.log.Handler().Handle(r.Context(), line) // the writer of lines never fails
}

// shorten keeps a client from filling the log's disk by one request.
func shorten(text string) string {
	if len(text) <= loggedBytes {
		return text
	}
	return strings.ToValidUTF8(text[:loggedBytes], "") + "…"
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

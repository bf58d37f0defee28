package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// endingPoll is how often a server that ends looks whether its connections have ended too.
const endingPoll = 20 * time.Millisecond

// connections are a server's client connections. When the server ends, it asks clients to go by `Connection: close` on
// an answer (for HTTP/2 that sends GOAWAY), for a connection that is closed while a client is about to use it is a
// failed request.
type connections struct {
	ending   atomic.Bool
	inflight atomic.Int64 // requests, upgraded ones too

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
}

func newConnections() *connections {
	return &connections{open: map[net.Conn]http.ConnState{}}
}

// track is an http.Server's ConnState. A connection that was upgraded is the business of its request's lease.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.open, conn)
		return
	}
	c.open[conn] = state
}

// politely makes the answers of a handler say that the connection ends, once it does.
func (c *connections) politely(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 3 {
			w = &endingWriter{ResponseWriter: w, ending: &c.ending}
		}
		c.inflight.Add(1)
		defer c.inflight.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// finish waits until no request is in flight, or ctx ends.
func (c *connections) finish(ctx context.Context) {
	for c.inflight.Load() > 0 && ctx.Err() == nil {
		time.Sleep(endingPoll)
	}
}

// endingWriter looks when the answer begins, so that a request that was in flight when the end began says it too.
type endingWriter struct {
	http.ResponseWriter
	ending *atomic.Bool
	begun  bool
}

func (w *endingWriter) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *endingWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *endingWriter) begin(status int) {
	if status < 200 || w.begun { // 101 has a Connection header of its own
		return
	}
	w.begun = true
	if w.ending.Load() {
		w.Header().Set("Connection", "close")
	}
}

// Unwrap lets http.ResponseController flush and hijack.
func (w *endingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end waits until every client has gone by itself, for as long as grace at most, and then closes the connections that
// had no request in all that time. Those with a request in flight stay.
func (c *connections) end(grace time.Duration) {
	c.ending.Store(true)
	deadline := time.Now().Add(grace)
	for time.Now().Before(deadline) {
		time.Sleep(endingPoll)
		if c.count() == 0 {
			return
		}
	}
	for _, conn := range c.idle() {
		if isQuiet(conn) {
			_ = conn.Close()
		}
	}
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// idle gives the connections of HTTP/1 that wait for a request. HTTP/2 is told by GOAWAY.
func (c *connections) idle() []net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle []net.Conn
	for conn, state := range c.open {
		if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
			continue
		}
		if state == http.StateIdle {
			idle = append(idle, conn)
		}
	}
	return idle
}

// isQuiet says that the kernel holds nothing from the client: no request is on its way that it could still tell of.
func isQuiet(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	quiet := true
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err != nil || n == 0
	})
	return quiet
}

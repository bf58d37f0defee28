package proxy

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// evictionSample is how many open connections are looked at for the one that is idle longest.
	evictionSample = 64
	// refusalsAtOnce bounds the connections that are being refused politely; the others are just closed.
	refusalsAtOnce = 64
	refusalTimeout = time.Second
	// refusalWarning is the time between two log lines about refused connections.
	refusalWarning = 10 * time.Second
)

const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 28\r\n" +
	"Retry-After: 1\r\nConnection: close\r\n\r\nToo many open connections.\r\n"

// connectionLimit knows the open connections of all listeners and bounds their number.
type connectionLimit struct {
	limits Limits
	log    *slog.Logger

	mu   sync.Mutex
	open map[*clientConn]struct{}

	refusing chan struct{}
	refused  atomic.Int64
	evicted  atomic.Int64
	warned   atomic.Int64 // Unix nanoseconds
}

func newConnectionLimit(l Limits, log *slog.Logger) *connectionLimit {
	return &connectionLimit{limits: l, log: log, open: map[*clientConn]struct{}{}, refusing: make(chan struct{}, refusalsAtOnce)}
}

// listen returns ln with its connections counted. At the limit the connection that is idle longest, of some, makes way;
// when none is idle the new one is refused: with 503 where the listener speaks plain HTTP, else by closing it.
func (c *connectionLimit) listen(ln net.Listener, plain bool) net.Listener {
	return &clientListener{ln, c, plain}
}

// count returns the number of open connections.
func (c *connectionLimit) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

type clientListener struct {
	net.Listener
	limiter *connectionLimit
	plain   bool
}

// Accept implements net.Listener.
func (l *clientListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if own := l.limiter.admit(conn); own != nil {
			return own, nil
		}
		l.limiter.refuse(conn, l.plain)
	}
}

func (c *connectionLimit) admit(conn net.Conn) *clientConn {
	own := &clientConn{Conn: conn, limiter: c}
	own.since.Store(time.Now().UnixNano())
	c.mu.Lock()
	var idle *clientConn
	if len(c.open) >= c.limits.Connections {
		if idle = c.longestIdle(); idle == nil {
			c.mu.Unlock()
			return nil
		}
		delete(c.open, idle)
	}
	c.open[own] = struct{}{}
	c.mu.Unlock()
	if idle != nil {
		c.evicted.Add(1)
		_ = idle.Conn.Close()
	}
	return own
}

// longestIdle looks at some connections, which Go's maps give in random order: under a flood this must cost the same
// however many there are. The lock is held.
func (c *connectionLimit) longestIdle() (found *clientConn) {
	looked, oldest := 0, int64(0)
	for conn := range c.open {
		if since := conn.since.Load(); conn.active.Load() == 0 && (found == nil || since < oldest) {
			found, oldest = conn, since
		}
		if looked++; looked == evictionSample {
			break
		}
	}
	return found
}

func (c *connectionLimit) forget(conn *clientConn) {
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
}

func (c *connectionLimit) refuse(conn net.Conn, plain bool) {
	refused := c.refused.Add(1)
	now := time.Now()
	if last := c.warned.Load(); now.UnixNano()-last > int64(refusalWarning) && c.warned.CompareAndSwap(last, now.UnixNano()) {
		c.log.Warn("Connections refused: too many are open", "limit", c.limits.Connections, "refused_so_far", refused)
	}
	if plain {
		select {
		case c.refusing <- struct{}{}:
			go func() {
				politelyRefuse(conn)
				<-c.refusing
			}()
			return
		default:
		}
	}
	_ = conn.Close()
}

// politelyRefuse reads on for a moment: a connection closed with unread bytes is reset, and the answer with it.
func politelyRefuse(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(refusalTimeout))
	if _, err := io.WriteString(conn, refusal); err != nil {
		return
	}
	_ = closeWrite(conn)
	_, _ = io.CopyN(io.Discard, conn, maxHeaderBytes)
}

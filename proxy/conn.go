package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// errClientStalled is why a connection is cut whose client takes nothing of its answer.
var errClientStalled = errors.New("the client took nothing of the answer for too long")

// clientConn is a connection of a client. It ends an answer that nobody reads, and knows whether a request is on it.
type clientConn struct {
	net.Conn
	limiter *connectionLimit
	active  atomic.Int32 // requests whose handler runs
	since   atomic.Int64 // when the last one ended, or the connection came: Unix nanoseconds
	spoiled atomic.Bool
	closing sync.Once

	until atomic.Int64 // write deadline somebody else has set, 0 for none: Unix nanoseconds
	armed atomic.Int64 // when our own was set
}

type clientKey struct{}

// withClient is an http.Server's ConnContext: requests find their connection by clientOf.
func withClient(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if own, ok := c.(*clientConn); ok {
		return context.WithValue(ctx, clientKey{}, own)
	}
	return ctx
}

// clientOf returns the connection of a request, nil when it came by no listener of ours.
func clientOf(ctx context.Context) *clientConn {
	c, _ := ctx.Value(clientKey{}).(*clientConn)
	return c
}

// begin and end count a request on the connection.
func (c *clientConn) begin() {
	if c != nil {
		c.active.Add(1)
	}
}

func (c *clientConn) end() {
	if c != nil && c.active.Add(-1) == 0 {
		c.since.Store(time.Now().UnixNano())
	}
}

// spoil says that what comes next on this HTTP/1 connection can no longer be told from the body of the request before:
// nothing more is read as a request.
func (c *clientConn) spoil() {
	if c != nil {
		c.spoiled.Store(true)
	}
}

func (c *clientConn) isSpoiled() bool { return c != nil && c.spoiled.Load() }

// Read implements net.Conn. A spoiled connection ends after the answer that is under way.
func (c *clientConn) Read(p []byte) (int, error) {
	if c.spoiled.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

// Write gives a client as long as it needs, as long as it takes something: each time the limit passes, the kernel is
// asked whether the other side has acknowledged any byte meanwhile.
func (c *clientConn) Write(p []byte) (done int, err error) {
	acked, asked := uint64(0), false
	for {
		c.arm()
		n, err := c.Conn.Write(p[done:])
		done += n
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.overdue() {
			return done, err
		}
		c.armed.Store(0)
		now, known := ackedBytes(c.Conn)
		if n == 0 && (!known || (asked && now == acked)) {
			return done, fmt.Errorf("%w: %w", errClientStalled, err)
		}
		acked, asked = now, true
	}
}

// arm sets the write deadline, not for every one of many small writes.
func (c *clientConn) arm() {
	now, stall := time.Now(), c.limiter.limits.Stall
	if until := c.until.Load(); until != 0 {
		_ = c.Conn.SetWriteDeadline(time.Unix(0, min(until, now.Add(stall).UnixNano())))
		c.armed.Store(0)
		return
	}
	if now.UnixNano()-c.armed.Load() > int64(stall/4) {
		_ = c.Conn.SetWriteDeadline(now.Add(stall)) // fails on a closed connection, and so will the write
		c.armed.Store(now.UnixNano())
	}
}

func (c *clientConn) overdue() bool {
	until := c.until.Load()
	return until != 0 && time.Now().UnixNano() >= until
}

// SetWriteDeadline implements net.Conn.
func (c *clientConn) SetWriteDeadline(t time.Time) error {
	c.keepDeadline(t)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *clientConn) SetDeadline(t time.Time) error {
	c.keepDeadline(t)
	return c.Conn.SetDeadline(t)
}

func (c *clientConn) keepDeadline(t time.Time) {
	nanos := int64(0)
	if !t.IsZero() {
		nanos = max(1, t.UnixNano())
	}
	c.until.Store(nanos)
	c.armed.Store(0)
}

// CloseWrite tells the client that no more comes.
func (c *clientConn) CloseWrite() error {
	err := closeWrite(c.Conn)
	if errors.Is(err, errors.ErrUnsupported) {
		return c.Close()
	}
	return err
}

// closeWrite ends what is sent on a connection. The error is errors.ErrUnsupported where it has no half to close.
func closeWrite(c net.Conn) error {
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// Close implements net.Conn.
func (c *clientConn) Close() error {
	c.closing.Do(func() { c.limiter.forget(c) })
	return c.Conn.Close()
}

// SyscallConn implements syscall.Conn.
func (c *clientConn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

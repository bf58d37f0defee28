package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// largeWrite is from how many bytes on the server writes at once what it is given.
const largeWrite = 16 << 10

// targetConn is a connection to a target. It knows the body that is read from it, and tells it before a read that has
// to wait.
type targetConn struct {
	*net.TCPConn
	raw  syscall.RawConn
	body atomic.Pointer[promptBody]

	attempt func(fd uintptr) bool // reads into, without waiting; these belong to the reader
	into    []byte
	got     int
	failed  error
}

// dialTarget returns a transport's DialContext.
func dialTarget(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		tcp, ok := conn.(*net.TCPConn)
		if err != nil || !ok {
			return conn, err
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		c := &targetConn{TCPConn: tcp, raw: raw}
		c.attempt = c.readNow
		return c, nil
	}
}

// Read implements net.Conn.
func (c *targetConn) Read(p []byte) (int, error) {
	if body := c.body.Load(); body != nil && len(p) > 0 {
		if n, err, ready := c.tryRead(p); ready {
			return n, err
		}
		body.flush() // here and not in the attempt, during which nobody could close the connection
	}
	return c.TCPConn.Read(p)
}

// promptBody is an answer's body of a known length. What has come of the answer so far is sent to the client when the
// target has nothing more to give at the moment, and not before: an answer that comes as a whole is one write.
type promptBody struct {
	io.ReadCloser
	conn *targetConn
	to   *recorder

	failed error // how it broke off; told after what came before it

	got     int // by the last read
	ended   bool
	mu      sync.Mutex // keeps flush off the writer whenever the handler may be writing
	reading bool
}

// promptly makes the answer's body one that is passed on as it comes.
func promptly(body io.ReadCloser, x *exchange) io.ReadCloser {
	conn, ok := x.conn.(*targetConn)
	if !ok {
		return &eagerBody{body, x.answer}
	}
	return &promptBody{ReadCloser: body, conn: conn, to: x.answer}
}

// Read implements io.Reader.
func (b *promptBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.breakOff(b.failed)
	}
	n, err := b.read(p)
	b.got, b.ended = n, err != nil
	if err == nil || err == io.EOF {
		return n, err
	}
	if b.failed = err; n > 0 {
		return n, nil
	}
	return 0, b.breakOff(err)
}

// read is told by the connection when it has to wait, if anything is held by then.
func (b *promptBody) read(p []byte) (int, error) {
	if b.ended {
		return b.ReadCloser.Read(p)
	}
	if b.to.pending && b.got >= largeWrite {
		_ = b.to.FlushError() // kept; the server holds nothing of it, most likely, and then this is no write
	}
	if !b.to.pending {
		return b.ReadCloser.Read(p)
	}
	b.setReading(true)
	b.conn.body.Store(b)
	n, err := b.ReadCloser.Read(p)
	b.conn.body.CompareAndSwap(b, nil) // another request may have the connection by now
	b.setReading(false)
	return n, err
}

// breakOff gives the client what has come, so that it can tell an answer that broke off from none.
func (b *promptBody) breakOff(err error) error {
	if b.to.pending {
		_ = b.to.FlushError() // kept
	}
	return err
}

func (b *promptBody) setReading(is bool) {
	b.mu.Lock()
	b.reading = is
	b.mu.Unlock()
}

// flush sends what is held.
func (b *promptBody) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading && b.to.pending {
		_ = b.to.FlushError() // kept
	}
}

// eagerBody sends what is held before every read.
type eagerBody struct {
	io.ReadCloser
	to *recorder
}

// Read implements io.Reader.
func (b *eagerBody) Read(p []byte) (int, error) {
	if b.to.pending {
		_ = b.to.FlushError() // kept
	}
	return b.ReadCloser.Read(p)
}

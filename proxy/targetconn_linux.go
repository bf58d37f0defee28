package proxy

import (
	"io"
	"net"
	"os"
	"syscall"
)

// tryRead reads what is there. It is not ready when there is nothing to read now.
func (c *targetConn) tryRead(p []byte) (n int, err error, ready bool) {
	c.into = p
	err = c.raw.Read(c.attempt)
	n, failed := c.got, c.failed
	c.into, c.got, c.failed = nil, 0, nil
	switch {
	case err != nil || failed == syscall.EAGAIN:
		return 0, nil, false // the read that follows finds the same error, and words it
	case failed != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", failed)}, true
	case n == 0:
		return 0, io.EOF, true
	}
	return n, nil, true
}

// readNow is one read that does not wait; it always says that it is done.
func (c *targetConn) readNow(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), c.into)
		if err == syscall.EINTR {
			continue
		}
		c.got, c.failed = max(n, 0), err
		return true
	}
}

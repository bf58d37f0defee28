package ssh

import (
	"net"
	"syscall"
)

// quickConn acknowledges at once what it reads. sshd leaves Nagle's algorithm on until a session has run; against this side's
// delayed acknowledgements that costs 40 ms on every few calls. The kernel forgets the option, so it is set after each read.
type quickConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

func quickAck(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn
	}
	return &quickConn{TCPConn: tcp, raw: raw}
}

// Read implements net.Conn.
func (c *quickConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	// What the option cannot do it leaves slower, not wrong.
	_ = c.raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) })
	return n, err
}

package ssh

import (
	"net"
	"sync/atomic"
)

// heardConn notes that something came from the peer: whatever it is, the peer lives.
type heardConn struct {
	net.Conn
	times atomic.Int64
}

// Read implements net.Conn.
func (c *heardConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.times.Add(1)
	}
	return n, err
}

// misses is how many intervals of silence end a connection.
const misses = 3

// silence counts the intervals in which nothing came from the peer.
type silence struct {
	heard  int64 // by heardConn
	missed int
}

// tooLong tells, once an interval, whether the peer is to be given up.
func (s *silence) tooLong(heard int64) bool {
	if heard != s.heard {
		*s = silence{heard: heard}
		return false
	}
	s.missed++
	return s.missed >= misses
}

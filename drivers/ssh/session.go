package ssh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sessionConn is a command's stdin and stdout as a connection.
type sessionConn struct {
	session *ssh.Session
	name    string
	in      io.WriteCloser
	out     io.Reader
	stderr  tail
	once    sync.Once
	ended   error
}

// Read implements net.Conn. When the command ends with a complaint, the error has it.
func (c *sessionConn) Read(b []byte) (int, error) {
	n, err := c.out.Read(b)
	if err == nil || n > 0 {
		return n, err
	}
	c.once.Do(func() { c.ended = c.session.Wait() })
	if said := c.stderr.String(); said != "" {
		return 0, fmt.Errorf("%s: %s: %w", c.name, said, err)
	}
	var exit *ssh.ExitError
	if errors.As(c.ended, &exit) {
		return 0, fmt.Errorf("%s: exit code %d: %w", c.name, exit.ExitStatus(), err)
	}
	return 0, err
}

// Write implements net.Conn.
func (c *sessionConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// CloseWrite ends the command's stdin.
func (c *sessionConn) CloseWrite() error { return c.in.Close() }

// Close ends the session.
func (c *sessionConn) Close() error {
	if err := c.session.Close(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *sessionConn) LocalAddr() net.Addr { return anywhere }

// RemoteAddr implements net.Conn.
func (c *sessionConn) RemoteAddr() net.Addr { return anywhere }

// SetDeadline implements net.Conn; an SSH channel has none.
func (c *sessionConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn; an SSH channel has none.
func (c *sessionConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn; an SSH channel has none.
func (c *sessionConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

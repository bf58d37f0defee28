package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/shell"
)

// startCommand runs proxy_command, whose stdin and stdout are the connection. It is split into words as a shell does and run
// without one; %h, %p and %r are filled in after the splitting, so that no value is read as shell syntax.
func startCommand(t target) (net.Conn, error) {
	argv, err := shell.Fields(t.command, nil)
	if err != nil {
		return nil, fmt.Errorf("proxy_command: %w", err)
	}
	if len(argv) == 0 {
		return nil, errors.New("proxy_command is empty")
	}
	fill := strings.NewReplacer("%%", "%", "%h", t.host, "%p", strconv.Itoa(t.port), "%r", t.user)
	for i := range argv {
		argv[i] = fill.Replace(argv[i])
	}
	c := &commandConn{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	c.cmd.Stderr = &c.stderr
	c.cmd.WaitDelay = time.Second
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("proxy_command: %w", err)
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("proxy_command: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("proxy_command: %w", err)
	}
	return c, nil
}

// commandConn is a process as a connection.
type commandConn struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	stderr tail
	close  sync.Once
	wait   sync.Once
	ended  chan struct{}
}

// Read implements net.Conn. At the end it says what the command complained about.
func (c *commandConn) Read(b []byte) (int, error) {
	n, err := c.stdout.Read(b)
	if err != nil && n == 0 {
		err = c.complaint(err)
	}
	return n, err
}

// Write implements net.Conn. At the end it says what the command complained about: which of the two meets the end first is chance.
func (c *commandConn) Write(b []byte) (int, error) {
	n, err := c.stdin.Write(b)
	if err != nil {
		err = c.complaint(err)
	}
	return n, err
}

// complaint adds to an error what the command said, once it has ended.
func (c *commandConn) complaint(err error) error {
	c.reap()
	select {
	case <-c.ended: // then all that it said is here
	case <-time.After(c.cmd.WaitDelay): // it closed its end and lives on
	}
	if said := c.stderr.String(); said != "" {
		return fmt.Errorf("proxy_command ended: %s: %w", said, err)
	}
	return err
}

// Close ends the process.
func (c *commandConn) Close() error {
	c.close.Do(func() {
		c.stdin.Close()
		_ = c.cmd.Process.Kill()
		c.reap()
	})
	return nil
}

// reap waits for the process in the background; its outcome is in what it said.
func (c *commandConn) reap() {
	c.wait.Do(func() {
		go func() {
			_ = c.cmd.Wait()
			close(c.ended)
		}()
	})
}

// LocalAddr implements net.Conn.
func (c *commandConn) LocalAddr() net.Addr { return anywhere }

// RemoteAddr implements net.Conn.
func (c *commandConn) RemoteAddr() net.Addr { return anywhere }

// SetDeadline implements net.Conn; a process has none.
func (c *commandConn) SetDeadline(time.Time) error { return errors.ErrUnsupported }

// SetReadDeadline implements net.Conn; a process has none.
func (c *commandConn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// SetWriteDeadline implements net.Conn; a process has none.
func (c *commandConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// tail keeps the beginning of what is written to it, for an error.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const tailLimit = 4096

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(b[:min(len(b), tailLimit-t.b.Len())])
	return len(b), nil
}

// String is what was kept, on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(t.b.String()), " ")
}

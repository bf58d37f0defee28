package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Engine is the engine that holds what was built: the one that the docker command talks to, by whatever way it knows.
type Engine struct {
	Address string // "" leaves the choice to the docker command: its context, or DOCKER_HOST
}

// Dial opens a connection to the engine's API, through `docker system dial-stdio`. What it is asked for is not used; the connection
// has no deadlines.
func (e Engine) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	cmd := exec.Command("docker", "system", "dial-stdio")
	cmd.Env = append(os.Environ(), hostVariable(e.Address)...)
	ownGroup(cmd)
	c := &engineConn{cmd: cmd, done: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = &c.said
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("docker system dial-stdio: %w", err)
	}
	c.in, c.out = stdin, stdout
	return c, nil
}

// engineConn is the standard input and output of a docker command as a connection.
type engineConn struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	said strings.Builder

	once sync.Once
	done chan struct{}
	err  error // why the command ended
}

// Read implements net.Conn. A command that has failed says why.
func (c *engineConn) Read(b []byte) (int, error) {
	n, err := c.out.Read(b)
	if n > 0 || err == nil {
		return n, nil
	}
	if c.wait(); c.err != nil {
		return 0, c.err
	}
	return 0, err
}

// Write implements net.Conn.
func (c *engineConn) Write(b []byte) (int, error) { return c.in.Write(b) }

// CloseWrite ends what is sent.
func (c *engineConn) CloseWrite() error { return c.in.Close() }

// Close ends the command.
func (c *engineConn) Close() error {
	killGroup(c.cmd)
	c.wait()
	return nil // that it was killed is no failure
}

// wait reaps the command, once.
func (c *engineConn) wait() {
	c.once.Do(func() {
		err := c.cmd.Wait()
		if said := strings.TrimSpace(c.said.String()); said != "" && err != nil {
			err = errors.New(said)
		}
		if err != nil {
			c.err = fmt.Errorf("docker system dial-stdio: %w", err)
		}
		close(c.done)
	})
	<-c.done
}

// LocalAddr implements net.Conn.
func (c *engineConn) LocalAddr() net.Addr { return engineAddr{} }

// RemoteAddr implements net.Conn.
func (c *engineConn) RemoteAddr() net.Addr { return engineAddr{} }

// SetDeadline implements net.Conn; there are none.
func (c *engineConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn; there are none.
func (c *engineConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn; there are none.
func (c *engineConn) SetWriteDeadline(time.Time) error { return nil }

type engineAddr struct{}

func (engineAddr) Network() string { return "docker" }
func (engineAddr) String() string  { return "docker system dial-stdio" }

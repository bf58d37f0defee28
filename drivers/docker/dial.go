package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/exec"
	"regexp"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kamald/kamald/state"
)

// stdioLimit keeps `docker system dial-stdio` sessions below sshd's MaxSessions, which is 10 by default and counts SFTP too.
const stdioLimit = 6

// dialer opens connections to the engine: its socket, or a command on its host where sockets are not forwarded.
type dialer struct {
	open    func(ctx context.Context, network, address string) (net.Conn, error)
	options Options
	stdio   atomic.Bool // the socket is forbidden: go straight to the command
	slots   chan struct{}
	// closeIdle ends the connections that are kept for later. A stream (exec, attach) always dials anew, and would wait for
	// ever behind them when they hold all the sessions.
	closeIdle func()
}

func newDialer(open func(ctx context.Context, network, address string) (net.Conn, error), o Options) *dialer {
	return &dialer{open: open, options: o, slots: make(chan struct{}, stdioLimit)}
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	if d.stdio.Load() {
		return d.dialStdio(ctx, nil)
	}
	conn, err := d.open(ctx, "unix", d.options.Socket)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, state.ErrDenied) && d.options.Session != nil:
		return d.dialStdio(ctx, err)
	}
	return nil, &dialFailure{cause: d.explain(err)}
}

// dialStdio asks the docker command on the host to connect its stdin and stdout to the engine.
func (d *dialer) dialStdio(ctx context.Context, denied error) (net.Conn, error) {
	if err := d.slot(ctx); err != nil {
		return nil, err
	}
	argv := []string{"docker", "system", "dial-stdio"}
	if d.options.Socket != DefaultSocket {
		argv = []string{"docker", "--host", "unix://" + d.options.Socket, "system", "dial-stdio"}
	}
	conn, err := d.options.Session(ctx, argv)
	if err != nil {
		<-d.slots
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if denied != nil {
			err = fmt.Errorf("%w; the way round, `docker system dial-stdio`, fails too: %w", denied, err)
		}
		return nil, &dialFailure{cause: err}
	}
	d.stdio.Store(true)
	return &slotConn{Conn: conn, release: func() { <-d.slots }}, nil
}

// slot waits for a session to be free. Connections that fall idle meanwhile are closed to make room.
func (d *dialer) slot(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	default:
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if d.closeIdle != nil {
			d.closeIdle()
		}
		select {
		case d.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

// explain says what to do about a socket of this machine; a server's comes with its own explanation.
func (d *dialer) explain(err error) error {
	var system *net.OpError
	if !errors.As(err, &system) {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && !installedHere():
		return trouble(state.EngineMissing, "there is no socket %s: Docker is not installed: %w", d.options.Socket, err)
	case errors.Is(err, fs.ErrNotExist):
		return trouble(state.EngineStopped, "there is no socket %s: Docker is installed, and its engine is not running or listens elsewhere (`docker context`, DOCKER_HOST): %w", d.options.Socket, err)
	case errors.Is(err, fs.ErrPermission):
		return trouble(state.EngineForbidden, "this user may not open %s: add it to the group docker: %w", d.options.Socket, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return trouble(state.EngineStopped, "nothing listens on %s: the engine is not running: %w", d.options.Socket, err)
	}
	return err
}

func trouble(kind state.EngineTrouble, format string, args ...any) error {
	return &state.EngineError{Trouble: kind, Err: fmt.Errorf(format, args...)}
}

// installedHere tells whether this machine has the engine's program, also where only root looks for programs.
func installedHere() bool {
	for _, name := range []string{"dockerd", "/usr/sbin/dockerd", "/usr/local/sbin/dockerd", "docker"} {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

// dialFailure carries why there is no connection past the HTTP client, which replaces the errors that it recognises.
type dialFailure struct{ cause error }

// Error implements error; the cause is taken out where the call's error is made.
func (f *dialFailure) Error() string { return "no connection to the engine" }

// slotConn gives its slot back when it is closed.
type slotConn struct {
	net.Conn
	closed  atomic.Bool
	release func()
}

// deadSocket is how docker commands say that a socket is there and nothing listens on it.
var deadSocket = regexp.MustCompile(`(?i)cannot connect to the docker daemon|dial unix \S+: connect: connection refused`)

// Read implements net.Conn. The docker command says in words what a dialled socket says by its error.
func (c *slotConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && deadSocket.MatchString(err.Error()) {
		err = &dialFailure{cause: trouble(state.EngineStopped, "nothing listens on the engine's socket: the engine is not running: %w", err)}
	}
	return n, err
}

// Close implements net.Conn.
func (c *slotConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.release()
	}
	return c.Conn.Close()
}

// CloseWrite ends what is sent; hijacked streams need it.
func (c *slotConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

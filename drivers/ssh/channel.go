package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kamald/kamald/state"
)

const (
	// sessionPatience is how long a session is asked for that sshd has no room for, sessionPause the time between two questions.
	sessionPatience = 5 * time.Second
	sessionPause    = 50 * time.Millisecond
)

// DialUnix opens a unix socket of the host. sshd gives one answer for every refusal, so the cause is looked up: the error is
// fs.ErrNotExist when the socket is not there, fs.ErrPermission when the user may not open it, and state.ErrDenied when sshd
// forwards no sockets.
func (c *Client) DialUnix(ctx context.Context, path string) (net.Conn, error) {
	c.count.unix.Add(1)
	conn, err := c.wire.DialContext(ctx, "unix", path)
	if err == nil {
		return conn, nil
	}
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		return nil, c.broken(fmt.Errorf("opening %s: %w", path, err))
	}
	return nil, c.explain(ctx, path, refused)
}

// DialTCP opens a TCP connection from the host. The error is state.ErrDenied when sshd forbids it.
func (c *Client) DialTCP(ctx context.Context, address string) (net.Conn, error) {
	c.count.tcp.Add(1)
	conn, err := c.wire.DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	var refused *ssh.OpenChannelError
	switch {
	case !errors.As(err, &refused):
		return nil, c.broken(fmt.Errorf("connecting to %s: %w", address, err))
	case refused.Reason == ssh.Prohibited:
		return nil, fmt.Errorf("sshd forbids TCP forwarding to %s (AllowTcpForwarding, DisableForwarding, or the key's restrict, no-port-forwarding or permitopen): %w: %w", address, state.ErrDenied, err)
	}
	return nil, err
}

// Dial opens what network says: "unix" or "tcp". It has the form that HTTP clients want.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return c.DialUnix(ctx, address)
	}
	return c.DialTCP(ctx, address)
}

// Session runs a command; its stdin and stdout are the connection. Each word of argv reaches the command as it is. A session
// counts against sshd's MaxSessions (10 on a connection by default).
func (c *Client) Session(ctx context.Context, argv []string) (net.Conn, error) {
	line, err := c.commandLine(argv)
	if err != nil {
		return nil, err
	}
	return inBackground(ctx, func() (net.Conn, error) {
		c.count.sessions.Add(1)
		session, err := c.newSession(ctx)
		if err != nil {
			return nil, fmt.Errorf("opening a session for %s: %w", argv[0], err)
		}
		if c.agent {
			_ = agent.RequestAgentForwarding(session) // a server that forbids it goes on without, as ssh does
		}
		conn := &sessionConn{session: session, name: argv[0]}
		if conn.in, err = session.StdinPipe(); err == nil {
			conn.out, err = session.StdoutPipe()
		}
		session.Stderr = &conn.stderr
		if err == nil {
			err = session.Start(line)
		}
		if err != nil {
			session.Close()
			return nil, c.broken(fmt.Errorf("running %s: %w", argv[0], err))
		}
		return conn, nil
	}, func(conn net.Conn) { conn.Close() })
}

// newSession asks again for a moment when sshd opens no session more: one that was closed counts until its process has ended.
func (c *Client) newSession(ctx context.Context) (*ssh.Session, error) {
	for patience := time.Now().Add(sessionPatience); ; {
		session, err := c.wire.NewSession()
		var refused *ssh.OpenChannelError
		switch {
		case err == nil:
			return session, nil
		case !errors.As(err, &refused):
			return nil, c.broken(err)
		case ctx.Err() != nil || time.Now().After(patience):
			return nil, fmt.Errorf("%s: sshd opens no more of them on a connection (MaxSessions in sshd_config, 10 where it is not set): %w", c.name, err)
		}
		time.Sleep(sessionPause)
	}
}

// SFTP gives the connection's one SFTP client, opened at first need.
func (c *Client) SFTP(ctx context.Context) (*sftp.Client, error) {
	return inBackground(ctx, func() (*sftp.Client, error) {
		c.files.Lock()
		defer c.files.Unlock()
		if c.files.client != nil {
			return c.files.client, nil
		}
		c.count.sftp.Add(1)
		client, err := sftp.NewClient(c.wire.Client)
		if err != nil {
			return nil, c.broken(fmt.Errorf("opening SFTP (sshd needs `Subsystem sftp`): %w", err))
		}
		c.files.client = client
		go func() { // a server that ended alone is opened again at next need
			_ = client.Wait()
			c.files.Lock()
			defer c.files.Unlock()
			if c.files.client == client {
				c.files.client = nil
			}
		}()
		return client, nil
	}, func(*sftp.Client) {}) // what comes late is kept for the next call
}

// inBackground gives up waiting when ctx ends; what comes later goes to late.
func inBackground[T any](ctx context.Context, open func() (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		value, err := open()
		results <- result{value, err}
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
		go func() {
			if r := <-results; r.err == nil {
				late(r.value)
			}
		}()
		var none T
		return none, context.Cause(ctx)
	}
}

// explain finds out why a socket could not be opened, without running a command where SFTP can tell.
func (c *Client) explain(ctx context.Context, path string, refused error) error {
	files, err := c.SFTP(ctx)
	if err == nil {
		info, err := files.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return c.explainMissing(ctx, path)
		case errors.Is(err, fs.ErrPermission):
			return &state.EngineError{Trouble: state.EngineForbidden, Err: fmt.Errorf("user %s may not look at %s: %w", c.wire.User(), path, fs.ErrPermission)}
		case err == nil && info.Mode().Type() != fs.ModeSocket:
			return fmt.Errorf("%s is no socket: %w", path, fs.ErrInvalid)
		case err == nil && !c.mayOpen(ctx, info):
			return &state.EngineError{Trouble: state.EngineForbidden, Err: fmt.Errorf("user %s may not open %s: add it to the socket's group (usermod -aG docker %s): %w",
				c.wire.User(), path, c.wire.User(), fs.ErrPermission)}
		}
	}
	return fmt.Errorf("sshd forwards no unix sockets (AllowStreamLocalForwarding, AllowTcpForwarding, DisableForwarding, or the key's restrict or no-port-forwarding): %w: %w", state.ErrDenied, refused)
}

// findEngine finds the engine's program, also where only root looks for programs.
const findEngine = `PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin; command -v dockerd || command -v docker`

// explainMissing tells an engine that does not run from one that is not installed.
func (c *Client) explainMissing(ctx context.Context, path string) error {
	code, err := c.Run(ctx, []string{"sh", "-c", findEngine}, nil, io.Discard, io.Discard)
	switch {
	case err == nil && code == 0:
		return &state.EngineError{Trouble: state.EngineStopped, Err: fmt.Errorf("there is no socket %s: Docker is installed, and its engine is not running or listens elsewhere: %w", path, fs.ErrNotExist)}
	case err == nil && (code == 1 || code == 127): // dash's and bash's code of command -v that finds nothing
		return &state.EngineError{Trouble: state.EngineMissing, Err: fmt.Errorf("there is no socket %s: Docker is not installed: %w", path, fs.ErrNotExist)}
	}
	return fmt.Errorf("there is no socket %s: the engine is not installed, not running, or listens elsewhere: %w", path, fs.ErrNotExist)
}

// mayOpen compares the socket's mode with the user's ids; when they cannot be read it assumes the best.
func (c *Client) mayOpen(ctx context.Context, info fs.FileInfo) bool {
	stat, ok := info.Sys().(*sftp.FileStat)
	if !ok || c.wire.User() == "root" {
		return true
	}
	ids := func(flag string) []string {
		conn, err := c.Session(ctx, []string{"id", flag})
		if err != nil {
			return nil
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		text, _ := io.ReadAll(io.LimitReader(conn, 4096))
		return strings.Fields(string(text))
	}
	user, groups := ids("-u"), ids("-G")
	if len(user) != 1 || len(groups) == 0 || user[0] == "0" {
		return true
	}
	const read, write = 0o4, 0o2
	bits := info.Mode().Perm()
	if user[0] == fmt.Sprint(stat.UID) {
		bits >>= 6
	} else {
		for _, group := range groups {
			if group == fmt.Sprint(stat.GID) {
				bits >>= 3
				break
			}
		}
	}
	return bits&(read|write) == read|write
}

// broken is why the connection ended, when it has: what its end did to a call says nothing more.
func (c *Client) broken(err error) error {
	if failed := c.failed.Load(); failed != nil {
		return failed
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return c.lost(err)
}

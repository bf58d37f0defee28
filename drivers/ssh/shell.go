package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kamald/kamald/state"
)

// stopAsked is how long a command is asked to stop for before its session ends.
const stopAsked = time.Second

// Shell runs command lines on the host of a connection, by the user's own shell there.
type Shell struct{ Client *Client }

// Run runs a line to its end and gives its exit code; one that a signal ended has 128 and more. When ctx ends first, or what it says cannot
// be written, the command is asked to stop, as by a terminal that goes away where it has one.
func (s Shell) Run(ctx context.Context, line string, streams state.Streams) (int, error) {
	c := s.Client
	session, err := inBackground(ctx, func() (*ssh.Session, error) {
		c.count.sessions.Add(1)
		return c.newSession(ctx)
	}, func(late *ssh.Session) { late.Close() })
	if err != nil {
		return 0, fmt.Errorf("opening a session: %w", err)
	}
	defer session.Close()
	if c.agent {
		_ = agent.RequestAgentForwarding(session)
	}
	into := newGates(streams.Out, streams.Err)
	session.Stdout, session.Stderr = into.out, into.complaint
	if t := streams.Terminal; t != nil {
		if err := session.RequestPty(cmp.Or(t.Kind, "xterm"), cmp.Or(t.Size.Height, 24), cmp.Or(t.Size.Width, 80), ssh.TerminalModes{}); err != nil {
			return 0, c.broken(fmt.Errorf("sshd gives no terminal: %w", err))
		}
		sized, enough := context.WithCancel(ctx)
		defer enough()
		go followSize(sized, session, t.Resized)
	}
	if err := start(session, line, streams.In); err != nil {
		return 0, c.broken(fmt.Errorf("running it: %w", err))
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	err, given := into.wait(ctx, ended)
	if given != nil {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			_ = session.Signal(ssh.SIGTERM)
		}()
		into.shut()
		select {
		case <-asked:
		case <-time.After(stopAsked): // a peer that is gone takes nothing
		}
		return 0, fmt.Errorf("running it: %w", given)
	}
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	}
	return 0, c.broken(fmt.Errorf("running it: %w", err))
}

// start begins a line. Its input is copied beside it: a session's own would be waited for after the command has ended, and a person who
// types nothing more never ends it.
func start(session *ssh.Session, line string, in io.Reader) error {
	if in == nil {
		return session.Start(line)
	}
	input, err := session.StdinPipe()
	if err != nil {
		return err
	}
	if err := session.Start(line); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(input, in) // a command that ended reads no more
		_ = input.Close()
	}()
	return nil
}

// followSize has the command's terminal as large as ours.
func followSize(ctx context.Context, session *ssh.Session, sizes <-chan state.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size := <-sizes:
			_ = session.WindowChange(size.Height, size.Width) // the next one tries again
		}
	}
}

package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"mvdan.cc/sh/v3/syntax"
)

// Run runs a command to its end and gives its exit code; one that a signal ended has 128 and more. Each word of argv reaches the
// command as it is. What it says is written as it comes: to stdout by one goroutine, to stderr by another. The error is for a
// command that could not be run, or whose end was not seen: when ctx ends first, or what it says cannot be written, the command is asked
// to stop, and may go on.
func (c *Client) Run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return c.run(ctx, argv, stdin, stdout, stderr, func(session *ssh.Session) {
		// sshd says that a channel has ended no sooner than its command has, and not every one passes a signal on.
		_ = session.Signal(ssh.SIGTERM)
		session.Close()
	})
}

// RunOn is Run for a command that is not to be cut short: when ctx ends it gets no signal, and goes on if it does without its input
// and output. An sshd that is asked to end a command ends all that the command has begun.
func (c *Client) RunOn(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return c.run(ctx, argv, stdin, stdout, stderr, func(session *ssh.Session) { session.Close() })
}

// run runs a command; leave is what becomes of it when ctx ends first.
func (c *Client) run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer, leave func(*ssh.Session)) (int, error) {
	line, err := c.commandLine(argv)
	if err != nil {
		return 0, err
	}
	session, err := inBackground(ctx, func() (*ssh.Session, error) {
		c.count.sessions.Add(1)
		return c.newSession(ctx)
	}, func(late *ssh.Session) { late.Close() })
	if err != nil {
		return 0, fmt.Errorf("opening a session for %s: %w", argv[0], err)
	}
	if c.agent {
		_ = agent.RequestAgentForwarding(session)
	}
	into := newGates(stdout, stderr)
	session.Stdin, session.Stdout, session.Stderr = stdin, into.out, into.complaint
	ended := make(chan error, 1)
	go func() { ended <- session.Run(line) }()
	err, given := into.wait(ctx, ended)
	if given != nil {
		go leave(session) // a peer that is gone takes nothing
		into.shut()
		return 0, fmt.Errorf("running %s: %w", argv[0], given)
	}
	session.Close()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	}
	return 0, c.broken(fmt.Errorf("running %s: %w", argv[0], err))
}

// commandLine writes words so that the user's shell on the host reads just these.
func (c *Client) commandLine(argv []string) (string, error) {
	line, err := Line(argv)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.name, err)
	}
	return line, nil
}

// Line writes words so that a POSIX shell reads just these. A word that none can read so (with a NUL or a line's end in it, or with what is
// no text) is an error.
func Line(argv []string) (string, error) {
	words := make([]string, len(argv))
	for i, word := range argv {
		quoted, err := syntax.Quote(word, syntax.LangPOSIX)
		if err != nil {
			return "", fmt.Errorf("%q cannot be an argument: %w", word, err)
		}
		words[i] = quoted
	}
	return strings.Join(words, " "), nil
}

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"
)

// Here runs commands on this machine.
type Here struct{}

// Run implements Runner. A command gets a terminal's Ctrl-C.
func (Here) Run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stdin, command.Stdout, command.Stderr = stdin, stdout, stderr
	command.WaitDelay = time.Second
	return ended(ctx, argv[0], command.Run())
}

// RunOn implements Runner. A command has a session of its own: a terminal's Ctrl-C is not for it.
func (Here) RunOn(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("running %s: %w", argv[0], err)
	}
	out, complaint := &gate{to: stdout}, &gate{to: stderr}
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdin, command.Stdout, command.Stderr = stdin, out, complaint
	command.WaitDelay = time.Second // a daemon that it has started may have its pipes
	ownSession(command)
	done := make(chan error, 1)
	go func() { done <- command.Run() }()
	select {
	case err := <-done:
		return ended(ctx, argv[0], err)
	case <-ctx.Done():
		out.shut()
		complaint.shut()
		return 0, fmt.Errorf("running %s: %w", argv[0], context.Cause(ctx))
	}
}

// ended is how a command has ended.
func ended(ctx context.Context, program string, err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it has ended well, and left somebody who has its pipes
		return 0, nil
	case ctx.Err() != nil:
		return 0, fmt.Errorf("running %s: %w", program, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return notFound, nil
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return 0, fmt.Errorf("running %s: %w", program, err)
}

// notFound is a shell's exit code for a program that is not there.
const notFound = 127

// gate lets writes through until it is shut: a command that nobody waits for any more goes on speaking.
type gate struct {
	mu  sync.Mutex
	to  io.Writer
	off bool
}

// Write implements io.Writer.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.off {
		return len(b), nil
	}
	return g.to.Write(b)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.off = true
}

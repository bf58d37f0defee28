package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/kamald/kamald/state"
)

// ErrNoTerminalHere says that a host which is this machine has no terminal to give: the one that asks is one.
var ErrNoTerminalHere = errors.New("it is this machine: run it in the shell that you are in")

// LocalShell runs command lines on this machine, by the user's own shell.
type LocalShell struct{}

// Run runs a line to its end and gives its exit code; one that a signal ended has 128 and more. It is killed when ctx ends first, or what
// it says cannot be written.
func (LocalShell) Run(ctx context.Context, line string, s state.Streams) (int, error) {
	if s.Terminal != nil {
		return 0, ErrNoTerminalHere
	}
	running, kill := context.WithCancel(ctx)
	defer kill()
	into := newGates(s.Out, s.Err)
	command := exec.CommandContext(running, cmp.Or(os.Getenv("SHELL"), "/bin/sh"), "-c", line) //nolint:gosec // the user's own line
	command.Stdin, command.Stdout, command.Stderr = s.In, into.out, into.complaint
	command.WaitDelay = time.Second // what it has started may have its pipes, and nobody may end its input
	ended := make(chan error, 1)
	go func() {
		ended <- command.Run()
		close(ended)
	}()
	err, given := into.wait(ctx, ended)
	if given != nil {
		kill()
		<-ended
		return 0, fmt.Errorf("running it: %w", given)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("running it: %w", context.Cause(ctx))
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		return 128 + 9, nil // by a signal: which one is not told everywhere
	}
	return 0, fmt.Errorf("running it: %w", err)
}

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// grace is how long a builder that is asked to end may take, before it is killed.
const grace = 10 * time.Second

// ErrEnded says that a builder was ended before it was done, because the context ended.
var ErrEnded = errors.New("the builder was ended")

// invocation is one run of a program.
type invocation struct {
	argv     []string
	env      []string // NAME=VALUE, besides those of this process; they win
	dir      string   // "" is this process's own
	out, err io.Writer
}

// start runs a program to its end, in a process group of its own. When ctx ends the whole group is asked to end, as by Ctrl-C, and
// killed after a while; the error then is ErrEnded.
func start(ctx context.Context, i invocation) error {
	cmd := exec.Command(i.argv[0], i.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = i.dir, i.out, i.err
	cmd.Env = append(os.Environ(), i.env...)
	cmd.WaitDelay = time.Second // whoever else holds the pipes
	ownGroup(cmd)
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer hold(cmd)()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if errors.Is(err, exec.ErrWaitDelay) {
			err = nil // the program itself has ended well
		}
		return err
	case <-ctx.Done():
	}
	interruptGroup(cmd)
	select {
	case <-done:
	case <-time.After(grace):
		killGroup(cmd)
		<-done
	}
	killGroup(cmd) // what has outlived its parent
	return fmt.Errorf("%w: %w", ErrEnded, context.Cause(ctx))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/kamald/kamald/state"
)

// audience is a writer of what runs only as long as somebody reads it: a log, or the output of a command. A write that fails, as one does
// whose reader has gone away, ends the context that goes with it, and is no error to whoever writes: what a server says is still taken from it
// until that is over, and no pipe of ours is taken for its connection.
type audience struct {
	to   io.Writer
	left context.CancelCauseFunc
}

// Write implements io.Writer.
func (a audience) Write(b []byte) (int, error) {
	if _, err := a.to.Write(b); err != nil {
		a.left(fmt.Errorf("%w: %w", state.ErrUnwritten, err))
	}
	return len(b), nil
}

// leftBy is what a command ends with whose audience has left, nil while it is there: a reader that went away, as `head` does, had what it
// wanted, and no more is said.
func leftBy(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case !errors.Is(cause, state.ErrUnwritten):
		return nil
	case errors.Is(cause, syscall.EPIPE):
		return &exit{code: exitUnread}
	default:
		return cause
	}
}

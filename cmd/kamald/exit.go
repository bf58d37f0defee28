package main

import (
	"errors"
	"fmt"

	"github.com/kamald/kamald/reconcile"
)

// Exit codes (design: commands).
const (
	exitDone        = 0 // done, or nothing to do
	exitError       = 1
	exitChanges     = 2 // changes are planned; plan --detailed-exitcode
	exitDrift       = 3
	exitLocked      = 4
	exitStale       = 5 // a saved plan that the world has left behind, or that was used
	exitSkipped     = 6 // done, but hosts were skipped
	exitInterrupted = 130
	exitUnread      = 141 // who read the output has gone away, and what was shown ended with that: as a shell says of such a pipe
)

// exit ends the program with a code and says nothing more: the result is there already.
type exit struct {
	code  int
	cause error // nil: the code is all
}

func (e *exit) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return fmt.Sprintf("exit code %d", e.code)
}

func (e *exit) Unwrap() error { return e.cause }

// messageOf is what is to be said of an error, nil when the result has said it.
func messageOf(err error) error {
	var e *exit
	if errors.As(err, &e) {
		return nil
	}
	return err
}

// exitCode is the code that an error ends the program with.
func exitCode(err error, interrupted bool) int {
	var (
		e      *exit
		locked *reconcile.LockedError
		stale  *reconcile.StaleError
		used   *reconcile.UsedError
	)
	switch {
	case err == nil:
		return exitDone
	case interrupted:
		return exitInterrupted
	case errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &stale), errors.As(err, &used):
		return exitStale
	case errors.As(err, &e):
		return e.code
	}
	return exitError
}

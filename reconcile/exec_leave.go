package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	// execStops is how long a command has to end when nobody waits for it any more.
	execStops = 10 * time.Second
	// execLeaves bounds what is done about its container then.
	execLeaves = 45 * time.Second
)

// leave sees that nothing of the container stays, however the command ended. One that was cut off, and that nobody has asked to end, goes
// on to its end, and then the engine removes it.
func (e *execution) leave(ctx context.Context, container string, failed error) error {
	lost := errors.Is(failed, state.ErrUnreachable) && ctx.Err() == nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), execLeaves)
	defer cancel()
	conn := e.conn
	if failed != nil {
		var err error
		if conn, _, err = standing(ctx, e.c.fleet, e.on); err != nil {
			return e.perhaps(failed)
		}
		if lost {
			switch seen, err := conn.Engine.Inspect(ctx, container, state.View{}); {
			case err == nil && seen.Running():
				return e.goesOn(failed)
			case unless(err, state.ErrNotFound) != nil:
				return e.perhaps(failed)
			}
		}
		if err := conn.Engine.Stop(ctx, container, execStops); errors.Is(err, state.ErrNotFound) {
			return failed // it was never made, or is gone
		}
	}
	if err := conn.Engine.Remove(ctx, container); unless(err, state.ErrNotFound) != nil {
		e.c.report(Progress{Kind: "warn", Host: e.on.Name, Role: e.role.Name, Message: fmt.Sprintf("the container %s could not be removed: %s", e.container, why(err, e.on.Name))})
	}
	return failed
}

// goesOn says of a command whose end was not waited for where it is, and what can be done about it.
func (e *execution) goesOn(failed error) error {
	e.running = true
	logs, ends := "app logs", "it is removed at its end"
	if accessory, is := e.beside(); is {
		logs = "accessory logs " + accessory.Name
	}
	if e.o.Detach {
		ends = "`kamald prune` removes it when it has ended"
	}
	return fmt.Errorf("%w; the command goes on in the container %s, and %s\n  next: `kamald %s --follow --container %s --hosts %s` shows what it says, `kamald server exec --hosts %s docker stop %s` ends it",
		failed, e.container, ends, logs, e.container, e.on.Name, e.on.Name, e.container)
}

// perhaps says of a command of which nobody could find out what became of it.
func (e *execution) perhaps(failed error) error {
	return fmt.Errorf("%w; the container %s may still be there: it is removed when it ends", failed, e.container)
}

// over tells whoever has a command's streams that nothing is carried any more: what is still to be done about its container may take a
// while, and a terminal is to be its owner's again.
func over(s state.Streams) {
	if s.Over != nil {
		s.Over()
	}
}

package group

import (
	"context"
	"errors"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Board is where daemons that share apps see what the others do, and ask each other.
type Board interface {
	// Show keeps what is shown of an app, until something else is or this daemon is gone. state.ErrNotLeader: it does not lead the app.
	Show(ctx context.Context, app state.App, data []byte) error
	// Hide takes away what this daemon shows of an app.
	Hide(ctx context.Context, app state.App) error
	// Watch gives what is shown of every app, and then each change, until the context ends or the board cannot be read any more. Data is nil
	// for what is shown no more.
	Watch(ctx context.Context, saw func(app state.App, data []byte)) error

	// Ask puts a question to whoever leads an app, and waits for the answer. ErrNotTaken: nobody took it, and nobody will.
	Ask(ctx context.Context, app state.App, question []byte) ([]byte, error)
	// Answer takes the questions about an app until the context ends or the board cannot be read any more. Each is taken once.
	Answer(ctx context.Context, app state.App, answer func(ctx context.Context, question []byte) []byte) error

	// Standing names the daemons that would lead each app, the one that does first; nil when that is not known.
	Standing() map[state.App][]string
	// Leader names who leads an app now; false when nobody does, or that is not known.
	Leader(app state.App) (string, bool)
}

// Election is who leads an app, as it is decided among the daemons.
type Election interface {
	// Lead is as loop.Leadership has it, but for who else stands.
	Lead(ctx context.Context, app state.App) (loop.Term, error)
}

// ErrNotTaken: no daemon that leads the app has taken what was asked in time, and none will.
var ErrNotTaken = errors.New("no daemon that leads the app has taken it; nothing of it was done")

// Package console is what the daemon shows and takes: the JSON API on its socket and over HTTP, the dashboard, and the metrics.
package console

import (
	"context"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Daemon is what the console shows, and hands orders to. Whoever calls has been authorised. All methods are safe for concurrent
// use; what they give is a copy. An app that the daemon does not drive is loop.ErrNoApp.
type Daemon interface {
	// Statuses gives every app, sorted by its name.
	Statuses() []loop.Status
	Status(app state.App) (loop.Status, error)

	// Order takes a release or a rollback; Ticket and Await tell what becomes of it.
	Order(order loop.Order) (loop.Ticket, error)
	Ticket(id string) (loop.Ticket, bool)
	// Await returns when the ticket has ended, or with the context's error.
	Await(ctx context.Context, id string) (loop.Ticket, error)
	// Open gives the orders that have not ended, in the order in which they were taken.
	Open() []loop.Ticket

	// Approve lets what waits for a person go on; word is what Status.Approve says.
	Approve(app state.App, word string, by loop.Person) error
	// Pause keeps the daemon from touching a part of an app; Unpause ends the pauses of exactly that part, "" for those of all of it.
	Pause(app state.App, pause state.Pause) error
	Unpause(app state.App, host, role string, by loop.Person) error
	// Resume lifts a hold: what the source proposes is released again.
	Resume(ctx context.Context, app state.App, by loop.Person) error
	// Look has the app looked at now.
	Look(app state.App) error

	// Logs gives the last lines of one of the app's own containers, by name, at most 1000.
	Logs(ctx context.Context, app state.App, host, container string, lines int) ([]string, error)

	// Subscribe gives what happens from now on until the context ends. Whoever is too slow misses notices, and the channel is closed.
	Subscribe(ctx context.Context) <-chan loop.Notice
}

// History is what was seen and done.
type History interface {
	Releases(app state.App) ([]state.Record, error)
	Plans(app state.App, limit int) ([]state.PlanRecord, error)
	Events(app state.App, limit int) ([]state.Event, error)
}

// Package runlog keeps what a run does to the servers outside of the terminal: in a file of its own, and at an OpenTelemetry
// collector. Neither holds a run up, and neither makes one fail.
package runlog

import (
	"strings"
	"time"
)

// Run is what is logged: one command that changes servers.
type Run struct {
	ID          string // tells runs apart at a collector
	Command     string // apply, rollback, …
	Service     string
	Destination string // "" when there is none
	Version     string // what the run is to bring; "" when it is not known beforehand
	Performer   string // who, as the audit has it
	Kamald      string // kamald's own version
	Began       time.Time
}

// Entry is one event of a run.
type Entry struct {
	At      time.Time
	Kind    string // begin, done, failed, undone, warn, lock, …
	Host    string // "" when it is of none
	Role    string
	Step    string
	Message string
	Took    time.Duration
}

// mild tells whether the entry changes nothing: a run with only such ones had nothing to do.
func (e Entry) mild() bool { return e.Kind == "planned" || e.Kind == "news" }

// Ending is how a run came out.
type Ending struct {
	At      time.Time
	Outcome string // succeeded, failed, …
	Release int    // 0: it has no number
	Version string
	Err     error
	Kind    string            // of what was done: release, heal, …; "": the command
	Phases  map[string]string // step → the phase of the plan that it is of
}

// oneLine keeps an event on a line: what a server says may have several.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

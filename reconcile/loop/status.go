// Package loop keeps apps on their servers as they were released. Each app has one worker that looks, reports, heals within a
// budget, and, where it is allowed to, rolls out what is wanted. It is level-triggered: events of the engines, files, git and people
// only shorten the wait for the next look.
package loop

import (
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// The kinds of conditions. An app without any is as it should be.
const (
	ConditionDrifted       = "drifted"        // something is not as what is held says
	ConditionHealing       = "healing"        // it is being repaired now
	ConditionReleasing     = "releasing"      // a release or a rollback is under way
	ConditionFailed        = "failed"         // the newest release that this daemon tried failed, and is tried again with back-off
	ConditionQuarantined   = "quarantined"    // what is wanted failed by its own fault: it is not tried again unless asked for
	ConditionNotConverging = "not-converging" // a repair that succeeded changed nothing: it is not repeated until something changes
	ConditionFlapping      = "flapping"       // a container was repaired too often: it is left alone
	ConditionOverBudget    = "over-budget"    // the healing budget of the window is spent
	ConditionWaiting       = "waiting"        // for an image, or another's lock
	ConditionApproval      = "approval"       // for a person's `kamald approve`
	ConditionHeld          = "held"           // a person holds another release than the one wanted
	ConditionMovedByHand   = "moved"          // somebody moved a version without a record
	ConditionPaused        = "paused"
	ConditionFrozen        = "frozen"      // a freeze window: nothing but healing
	ConditionUnreachable   = "unreachable" // a host cannot be reached
	ConditionLowDisk       = "low-disk"    // a host's disk has less than min_free, and pruning does not help
	ConditionDependency    = "dependency"  // most containers of a role are unhealthy at once: none is replaced
	ConditionSourceBroken  = "source"      // what is wanted cannot be read: the last good one is kept
	ConditionStoreBroken   = "store"       // the store cannot be written: nothing is done to a server
	ConditionLeaderless    = "leaderless"  // several daemons share it, and none drives it now
	ConditionReportOnly    = "report-only" // the first round after an upgrade, or of an empty store, only reports
)

// Status is how an app is, as the daemon knows it. It is a copy.
type Status struct {
	App        state.App         `json:"app"`
	Mode       string            `json:"mode"` // what holds now, of the file's and the bastion's
	Held       *Held             `json:"held,omitempty"`
	Wanted     *state.Wanted     `json:"wanted,omitempty"` // without the release itself
	Conditions []state.Condition `json:"conditions"`
	Findings   []state.Finding   `json:"findings"`
	Pauses     []state.Pause     `json:"pauses,omitempty"`
	Places     []Place           `json:"places"`            // every role on every host, in the file's order
	Pending    *plan.Plan        `json:"pending,omitempty"` // what would be done, where something keeps it from being done
	Approve    string            `json:"approve,omitempty"` // the word that `kamald approve` gives back, where it waits for that
	Round      Round             `json:"round"`
	Doing      *Activity         `json:"doing,omitempty"`  // what is under way
	Since      time.Time         `json:"since"`            // when this daemon began to drive it
	Leader     *Leader           `json:"leader,omitempty"` // where several daemons share the app: who drives it; nil there: nobody now
}

// Leader is the daemon that drives an app.
type Leader struct {
	Name string `json:"name"`
	Self bool   `json:"self"` // it is the one that was asked
}

// Held is the newest release that succeeded.
type Held struct {
	Number  int       `json:"number"`
	Version string    `json:"version"`
	Kind    string    `json:"kind"`
	Who     string    `json:"who"`
	Where   string    `json:"where"`
	At      time.Time `json:"at"`
	Hold    bool      `json:"hold,omitempty"`
}

// Place is one role, or one accessory, on one host.
type Place struct {
	Host        string `json:"host"`
	Role        string `json:"role"`
	Version     string `json:"version"` // that runs; "" for none. Of an accessory: its image
	Container   string `json:"container,omitempty"`
	Status      string `json:"status,omitempty"` // the engine's word
	Health      string `json:"health,omitempty"`
	Unreachable string `json:"unreachable,omitempty"`
	Cordoned    string `json:"cordoned,omitempty"`
}

// Other tells whether the place runs another version than the held one. An accessory has none of the release's.
func (p Place) Other(held string) bool {
	_, beside := state.AccessoryOf(p.Role)
	return !beside && p.Version != held
}

// Round is the newest look.
type Round struct {
	At     time.Time     `json:"at,omitzero"`
	Took   time.Duration `json:"took"`
	Why    string        `json:"why"`   // what it was for: "timer", "again", "event", "source", "order", "start"
	Error  string        `json:"error"` // "" when it was carried through
	Next   time.Time     `json:"next,omitzero"`
	Number int           `json:"number"`
	// EventAt is when the first of the events came about that the look has found drift by, which was not known before: by this machine's
	// clock, as far as its distance to the engine's is known. Zero: it has found none, or none by an event.
	EventAt time.Time `json:"event_at,omitzero"`
	Seen    time.Time `json:"seen,omitzero"` // when it had seen the servers: what was done then came after
}

// Activity is what a worker does to servers now.
type Activity struct {
	Kind    plan.Kind            `json:"kind"`
	Version string               `json:"version"`
	Who     string               `json:"who"`
	Since   time.Time            `json:"since"`
	Lines   []reconcile.Progress `json:"lines"` // the newest last, at most 200
}

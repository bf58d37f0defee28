package loop

import (
	"errors"
	"time"

	"github.com/kamald/kamald/plan/drift"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ErrNoApp: the daemon does not drive such an app.
var ErrNoApp = errors.New("this daemon drives no such app")

// ErrNothingWaits: there is nothing to approve, or it is not what was named.
var ErrNothingWaits = errors.New("nothing waits for that approval")

// Person is who asks for something, and from where.
type Person struct {
	Who   string `json:"who"`
	Where string `json:"where"`
}

// String is who@where.
func (p Person) String() string {
	if p.Where == "" {
		return p.Who
	}
	return p.Who + "@" + p.Where
}

// The verbs of an order.
const (
	VerbRelease  = "release"
	VerbRollback = "rollback"
)

// Order is a release or a rollback that a person, or a pipeline, asks for.
type Order struct {
	Verb string    `json:"verb"`
	App  state.App `json:"app"`
	// Version is what is released, or gone back to; "" of a rollback: the release before.
	Version string `json:"version,omitempty"`
	Number  int    `json:"number,omitempty"` // of a rollback: the release that it goes back to
	// Release is the whole release; nil: what the source has, at Version.
	Release *release.Release `json:"release,omitempty"`
	Retry   bool             `json:"retry,omitempty"` // also when it is quarantined
	// SkipHooks leaves out what would run around it.
	SkipHooks bool   `json:"skip_hooks,omitempty"`
	By        Person `json:"by"`
}

// Ticket is an order that was taken, and what became of it.
type Ticket struct {
	ID     string            `json:"id"`
	Order  Order             `json:"order"`
	Taken  time.Time         `json:"taken"`
	Begun  time.Time         `json:"begun,omitzero"`
	Ended  time.Time         `json:"ended,omitzero"`
	Report *reconcile.Report `json:"report,omitempty"` // when it has ended, and something was begun
	Error  string            `json:"error,omitempty"`
}

// Done tells whether it has ended.
func (t Ticket) Done() bool { return !t.Ended.IsZero() }

// The kinds of notices.
const (
	NoticeStatus   = "status"   // the app's status is another
	NoticeProgress = "progress" // a line of what is under way
	NoticeTicket   = "ticket"   // an order was taken, begun or ended
	NoticeEnded    = "ended"    // what was under way (a release, a rollback, a repair; of an order or not) has ended as Report says
)

// The kind of the events that tell of drift itself, and their outcomes. What was done about it has the kinds of plans.
const (
	EventDrift  = drift.EventKind // Step is the finding's ID, Message its reason
	DriftFound  = drift.EventFound
	DriftHealed = drift.EventHealed
	DriftGone   = drift.EventGone // by itself, or by another's hand
)

// Notice is one thing that happened, for whoever watches the daemon.
type Notice struct {
	Kind     string              `json:"kind"`
	App      state.App           `json:"app"`
	At       time.Time           `json:"at"`
	Status   *Status             `json:"status,omitempty"`
	Progress *reconcile.Progress `json:"progress,omitempty"`
	Ticket   *Ticket             `json:"ticket,omitempty"`
	Report   *reconcile.Report   `json:"report,omitempty"`
	Err      error               `json:"-"` // of NoticeEnded: why it failed
}

// Transition is a change that somebody may want to be told of: one for each condition that begins, and for each that ends where
// that matters.
type Transition struct {
	Kind     string            `json:"kind"` // drifted, healed, released, failed, waiting, held, not-converging, unreachable
	App      state.App         `json:"app"`
	At       time.Time         `json:"at"`
	Summary  string            `json:"summary"` // one line
	Reasons  []state.Condition `json:"reasons,omitempty"`
	Findings []state.Finding   `json:"findings,omitempty"`
	Version  string            `json:"version,omitempty"`
	Release  int               `json:"release,omitempty"`
	Over     bool              `json:"over,omitempty"` // the condition has ended
}

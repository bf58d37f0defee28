package state

import (
	"encoding/json"
	"time"
)

// RecordSchema is the version of the release record's JSON.
const RecordSchema = 1

// Outcome is how a release ended.
type Outcome string

// The outcomes of a release.
const (
	OutcomeRunning   Outcome = "running" // begun and not ended: the writer may have died
	OutcomeSucceeded Outcome = "succeeded"
	OutcomePartial   Outcome = "partial" // filtered by host or role, or hosts were skipped
	OutcomeFailed    Outcome = "failed"
	OutcomeCancelled Outcome = "cancelled"
)

// Record is a release record: it lies on every host of the release and in the store.
type Record struct {
	Schema  int             `json:"schema"`
	Number  int             `json:"number"`
	Fence   int             `json:"fence"`
	App     App             `json:"app"`
	Version string          `json:"version"`
	Image   string          `json:"image"`            // server/repo:version
	Digest  string          `json:"digest,omitempty"` // the manifest's digest at the registry, sha256:…
	ImageID string          `json:"image_id,omitempty"`
	Release json.RawMessage `json:"release"`        // the whole desired release without secret values; state does not look into it
	Kind    string          `json:"kind"`           // "release", "rollback", "config", "heal"
	From    int             `json:"from,omitempty"` // for a rollback: the number it goes back to
	Who     string          `json:"who"`
	Where   string          `json:"where"` // the machine it was given from
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended,omitzero"`
	Outcome Outcome         `json:"outcome"`
	Reason  string          `json:"reason,omitempty"` // why it failed
	// OwnFault: it failed by the version's own fault, which a policy does not choose again. False of records that older kamalds wrote.
	OwnFault bool   `json:"own_fault,omitempty"`
	Hold     bool   `json:"hold,omitempty"` // given by a person: what is proposed waits
	Plan     string `json:"plan,omitempty"` // nonce of the plan
	Lock     string `json:"lock,omitempty"` // nonce of the lock that it was made under
	// Hooks are those that the release ran in a container, and what their commands ended with.
	Hooks []HookRun `json:"hooks,omitempty"`

	// Revision counts how often the hold was set or lifted after the release; of two copies the higher one is right.
	Revision int       `json:"revision,omitempty"`
	HoldBy   string    `json:"hold_by,omitempty"` // who set the hold or lifted it; "": whoever released
	HoldAt   time.Time `json:"hold_at,omitzero"`
}

// HookRun is a hook's command that was run in a container.
type HookRun struct {
	Name     string    `json:"name"`
	Host     string    `json:"host"`
	Spec     string    `json:"spec"` // hash of what its container was made from
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	ExitCode int       `json:"exit_code"`
}

// Event is a line of the history kept in the store. What is done to a server is in it twice: before it begins, as intended, and
// when it has ended, with the outcome.
type Event struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who,omitempty"`
	Where   string    `json:"where,omitempty"` // the machine it was given from
	Nonce   string    `json:"nonce,omitempty"` // of the plan or command: with host and step it ties an outcome to its intention
	Release int       `json:"release,omitempty"`
	Kind    string    `json:"kind"` // a plan step's kind, "undo", "lock", "take-over", "unlock", "cancel", "env-push"; a plan's own for how it ended
	Host    string    `json:"host,omitempty"`
	Role    string    `json:"role,omitempty"`
	Step    string    `json:"step,omitempty"`
	Outcome string    `json:"outcome,omitempty"`
	Message string    `json:"message"`
	Error   string    `json:"error,omitempty"`
}

// The outcomes of an event.
const (
	EventIntended = "intended" // about to begin: without another outcome, nobody knows how it ended
	EventDone     = "done"
	EventFailed   = "failed"
	EventNotBegun = "not begun" // something before it failed, or the run was cancelled
)

// PlanRecord is a plan as the store keeps it; state does not look into it.
type PlanRecord struct {
	Nonce   string          `json:"nonce"`
	At      time.Time       `json:"at"`
	Release int             `json:"release,omitempty"`
	Plan    json.RawMessage `json:"plan"`
}

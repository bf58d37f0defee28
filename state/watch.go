package state

import (
	"encoding/json"
	"time"
)

// WatchSchema is the version of the watch's JSON.
const WatchSchema = 1

// Watch is what the daemon remembers of an app from one run of it to the next.
type Watch struct {
	Schema int `json:"schema"`
	App    App `json:"app"`
	// Comparator names the comparison that looked last: after another one the first round only reports.
	Comparator string `json:"comparator"`

	Wanted   *Wanted  `json:"wanted,omitempty"` // the newest proposal that could be read
	Pauses   []Pause  `json:"pauses,omitempty"`
	Approved []string `json:"approved,omitempty"` // what a person has approved, and that is not done yet
	// Settled is the digest of the proposal that is not carried out again by itself: it was, or another release came after it, or this
	// store saw it first beside servers that run something else.
	Settled    string      `json:"settled,omitempty"`
	Held       int         `json:"held,omitempty"` // the newest release that was seen to be held
	Conditions []Condition `json:"conditions,omitempty"`
	Findings   []Finding   `json:"findings,omitempty"` // drift that is there now
	Heals      []Heal      `json:"heals,omitempty"`    // those within the window of the budget
}

// Wanted is what a source proposed last.
type Wanted struct {
	Version string    `json:"version"`
	Digest  string    `json:"digest"` // of the release
	From    string    `json:"from"`   // the source, for a person: "git production@1a2b3c4", "/etc/kamald/shop/deploy.hcl", "kamald release by ada@laptop"
	At      time.Time `json:"at"`
	// Release is the whole proposal; state does not look into it.
	Release json.RawMessage `json:"release,omitempty"`
}

// Pause keeps the daemon from touching a part of an app.
type Pause struct {
	Host   string    `json:"host,omitempty"` // "": every host
	Role   string    `json:"role,omitempty"` // "": every role
	Reason string    `json:"reason"`
	Who    string    `json:"who"`
	Where  string    `json:"where,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is ended
}

// Holds tells whether the pause is to be respected at a time.
func (p Pause) Holds(now time.Time) bool { return p.Until.IsZero() || now.Before(p.Until) }

// Covers tells whether a role on a host is paused by it.
func (p Pause) Covers(host, role string) bool {
	return (p.Host == "" || p.Host == host) && (p.Role == "" || p.Role == role)
}

// Condition is a state that an app, or a part of it, is in, and why. There is one of a kind for each host and role.
type Condition struct {
	Kind   string    `json:"kind"` // the kinds are those of reconcile/loop
	Host   string    `json:"host,omitempty"`
	Role   string    `json:"role,omitempty"`
	Reason string    `json:"reason"`
	Next   string    `json:"next,omitempty"` // what a person can do about it
	Since  time.Time `json:"since"`
	Told   bool      `json:"told,omitempty"` // whoever wants to be told has been
	Gone   time.Time `json:"gone,omitzero"`  // when it was there no more; it is forgotten when it has not come back for a while
}

// Finding is one difference between what is held and what is there.
type Finding struct {
	ID       string    `json:"id"`    // the same as long as the difference is there
	Class    string    `json:"class"` // the classes are those of plan/drift
	Severity string    `json:"severity"`
	Host     string    `json:"host"`
	Role     string    `json:"role,omitempty"`
	Name     string    `json:"name"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`           // when it was first seen
	Event    string    `json:"event,omitempty"` // what the engine said of it: "container die, exit code 137"
	Heals    string    `json:"heals,omitempty"` // what healing would do, or why it does not
}

// Heal is a repair of one role on one host.
type Heal struct {
	At      time.Time `json:"at"`
	Host    string    `json:"host"`
	Role    string    `json:"role,omitempty"`
	Outcome string    `json:"outcome"` // EventDone or EventFailed
}

package release

import (
	"slices"
	"time"
)

// The modes of the daemon, from the one that does least.
const (
	ModeReport  = "report"  // touches nothing
	ModeHeal    = "heal"    // repairs drift against what is held
	ModeRelease = "release" // rolls changes of what is wanted out, too
)

// modes are in the order of what they do.
var modes = []string{ModeReport, ModeHeal, ModeRelease}

// What holds without the block, or without an attribute of it.
const (
	defaultMode      = ModeReport
	defaultInterval  = 5 * time.Minute
	defaultBudget    = 20 // percent
	defaultWindow    = 10 * time.Minute
	defaultFlap      = 5
	defaultMaxRemove = 30 // percent
	defaultMinFree   = 10 // percent
	defaultZone      = "UTC"

	leastInterval = time.Second
)

// Reconcile says how the daemon keeps the servers that way. It is no part of what is released: changing it changes nothing there.
type Reconcile struct {
	Mode     string        `json:"mode"`
	Interval time.Duration `json:"interval"` // between two full looks at every host
	// Budget is the share, in percent, of a role's containers that are healed within Window at most, rounded up.
	Budget int           `json:"budget"`
	Window time.Duration `json:"window"`
	Flap   int           `json:"flap"` // so many restarts within Window, and a container is left alone
	// MaxRemove is the share, in percent, of what runs that a change may remove without an approval.
	MaxRemove int `json:"max_remove"`
	// MinFree is the share, in percent, of a host's disk below which it is pruned; 0: never.
	MinFree int      `json:"min_free,omitempty"`
	Ignore  []string `json:"ignore,omitempty"` // drift that is nobody's business, as paths: "role.workers.options.memory"
	Freezes []Freeze `json:"freezes,omitempty"`
}

// Freeze is a time of the week in which nothing but healing is done.
type Freeze struct {
	Name string   `json:"name"`
	Days []string `json:"days"` // "mon" to "sun": those on which it begins; none: every day
	From string   `json:"from"` // "17:00"
	To   string   `json:"to"`   // "09:00": on the next day when it is not after From
	Zone string   `json:"zone"` // of the tz database
}

// Lower gives the same with at most the mode: of two the one that does less holds. "" and what is no mode change nothing.
func (r Reconcile) Lower(mode string) Reconcile {
	if to := slices.Index(modes, mode); to >= 0 && to < slices.Index(modes, r.Mode) {
		r.Mode = mode
	}
	return r
}

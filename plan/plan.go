// Package plan is the diff: a pure function from the desired release, the observed world and a policy to a plan. It does no
// I/O, reads no clock and uses no randomness: the same inputs give the same bytes.
package plan

import (
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Schema is the version of the plan's JSON.
const Schema = 1

// Pin is which image the release means, whatever happens to tags meanwhile.
type Pin struct {
	Digest string `json:"digest,omitempty"` // the manifest's, at the registry: sha256:…
	ID     string `json:"id,omitempty"`     // the image's own, for images that are carried
	From   string `json:"from,omitempty"`   // where it was found: "record 12", "host web-1", "registry", "this machine"

	// Of an image that is carried: what it is on this machine.
	Arch  string `json:"arch,omitempty"`  // Go's name
	Bytes int64  `json:"bytes,omitempty"` // unpacked
}

// Value is what a spec pins: the manifest's digest, else the ID.
func (p Pin) Value() string {
	if p.Digest != "" {
		return p.Digest
	}
	return p.ID
}

// Input is all that a plan depends on.
type Input struct {
	Desired  release.Release
	Observed state.Snapshot
	Pin      Pin
	Unpinned Unpinned
	Held     *state.Record // the newest succeeded release record; nil when there is none
	// HeldDigest is the digest of the release that the held record keeps; "" when there is none, or it cannot be read.
	HeldDigest string
	// HeldRelease is that release; nil when there is none, or it cannot be read.
	HeldRelease *release.Release
	// Secrets has, for each host and role whose secrets are at hand here, the keyed digest of each variable's value. A host
	// without a key has empty digests.
	Secrets map[string]map[string]map[string]string
	// Records are the app's releases, the newest first, as far as they are known: which images are kept for a rollback, and which
	// belong to a release that failed.
	Records []state.Record
	// Litter has, for each host, paths of files of kamald's own that an interrupted run left there.
	Litter map[string][]string
	// RecordFiles has, for each host, the paths of the release records there by their numbers.
	RecordFiles map[string]map[int]string
	// Choice is what a version policy made of the desired version; nil when it was given.
	Choice  *Choice
	Options Options
	Now     time.Time

	reconfigured bool // the held release says otherwise than the desired one: what differs was asked for
}

// Options are what the caller may ask for.
type Options struct {
	SkipUnreachable bool `json:"skip_unreachable,omitempty"`
	Retain          int  `json:"retain,omitempty"` // 0: the release's retain_containers
	// Filter limits the plan; the zero value is the whole release.
	Filter Filter `json:"filter,omitzero"`
	// KeepPartial leaves what a partial release has put ahead of the held one as it is.
	KeepPartial bool `json:"keep_partial,omitempty"`
	Back        bool `json:"back,omitempty"` // the desired release is an earlier one, and not what the file says
	// Heal plans nothing but repairs of what the held release says: secrets that were pushed since wait for a release, and what a
	// release has left behind is not taken away, unless Orphans says so.
	Heal    bool `json:"heal,omitempty"`
	Orphans bool `json:"orphans,omitempty"`
	// Accessories limits the plan to some of them, and to nothing else. Boot leaves what is there; Reboot has each made anew, whatever waits.
	Accessories []string `json:"accessories,omitempty"`
	Boot        bool     `json:"boot,omitempty"`
	Reboot      bool     `json:"reboot,omitempty"`
	// Start has what was stopped on purpose in scope start again, and lifts that. Only: what runs there is left as it is.
	Start bool `json:"start,omitempty"`
	Only  bool `json:"only,omitempty"`
	// Restart makes every container in scope that runs anew, one host after the other.
	Restart bool `json:"restart,omitempty"`
	// Prune plans nothing but the removal of what is kept for nothing.
	Prune bool `json:"prune,omitempty"`
	// Ignore are the checks whose problems are only warned of.
	Ignore []Check `json:"ignore,omitempty"`
}

// Kind is what carrying the plan out would be.
type Kind string

// The kinds of a plan.
const (
	KindNone     Kind = "none"     // nothing to do
	KindRelease  Kind = "release"  // another version
	KindConfig   Kind = "config"   // the same version, another configuration
	KindHeal     Kind = "heal"     // drift only: no release is recorded
	KindRollback Kind = "rollback" // set by the caller
	// KindAccessory: nothing but the accessories that a command is about. What it makes is what is held of them afterwards.
	KindAccessory Kind = "accessory"

	KindPrune Kind = "prune" // only what is kept for nothing goes: no release is recorded
)

// Plan is what would be done, in which order, and why. It is data: text, JSON and Markdown are renderings of it. A plan with
// problems must not be carried out.
type Plan struct {
	Schema      int        `json:"schema"`
	Kind        Kind       `json:"kind"`
	App         state.App  `json:"app"`
	Version     string     `json:"version"`
	Before      string     `json:"before,omitempty"` // the version that runs now; several are joined by ", "
	Image       string     `json:"image"`
	Pin         Pin        `json:"pin"`
	PlannedAt   time.Time  `json:"planned_at"`
	Items       []Item     `json:"items"`
	Steps       []Step     `json:"steps"`
	Unreachable []Skipped  `json:"unreachable,omitempty"`
	Cordoned    []Skipped  `json:"cordoned,omitempty"` // left out on purpose
	Left        []Skipped  `json:"left,omitempty"`     // hosts that left the file and cannot be reached: what is there stays
	Problems    []Problem  `json:"problems,omitempty"`
	Groups      [][]string `json:"groups,omitempty"` // hosts, in the order of the rollout
	Filter      Filter     `json:"filter,omitzero"`  // what the plan is limited to
	// Partial: a release that is limited to its scope. It moves no latest, prunes nothing, and is not what is held afterwards.
	Partial bool       `json:"partial,omitempty"`
	Moved   []HandMove `json:"moved,omitempty"` // by another than kamald, without a record
	Gates   []Gate     `json:"gates,omitempty"` // what does not serve on purpose
	Notes   []string   `json:"notes,omitempty"` // what somebody else has set up, and is kept
	// LeftOutHooks are hooks that do not run, and why.
	LeftOutHooks []string `json:"left_out_hooks,omitempty"`
	// Warnings are what to know before the plan is carried out, and what was to be ignored.
	Warnings []string `json:"warnings,omitempty"`
	Waits    string   `json:"waits,omitempty"` // why nothing of it is done now; what would be is in the deferred items
	// Awaited is what the plan waits for when that does not exist yet: an image, or a repository in which no tag fits.
	Awaited string `json:"awaited,omitempty"`
	// VersionPolicy is what a policy chose the version by; nil when the version was given.
	VersionPolicy *Choice `json:"version_policy,omitempty"`

	Unrecorded *Unrecorded `json:"unrecorded,omitempty"`

	Desired  string            `json:"desired"`  // digest of the desired release
	Observed map[string]string `json:"observed"` // host → digest of what the planner decides on
}

// Item is one line of the diff: a thing on a host, and what happens to it.
type Item struct {
	Action   Action     `json:"action"`
	Cause    Cause      `json:"cause"`
	Resource Resource   `json:"resource"`
	Host     string     `json:"host"`
	Role     string     `json:"role,omitempty"`
	Name     string     `json:"name"`
	Reason   string     `json:"reason"`
	Class    DriftClass `json:"class,omitempty"` // what the thing was found to be
	Fields   []Field    `json:"fields,omitempty"`
	Risk     Risk       `json:"risk"`
	Bytes    int64      `json:"bytes,omitempty"`    // what removing it frees at most: images share layers
	Deferred string     `json:"deferred,omitempty"` // why it waits, and what would do it; not part of the steps
}

// Field is one difference. Secrets' values are never here.
type Field struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Skipped is a host that could not be observed.
type Skipped struct {
	Host   string `json:"host"`
	Reason string `json:"reason"`
}

// Problem is why the plan cannot be carried out.
type Problem struct {
	Host    string `json:"host,omitempty"`
	Role    string `json:"role,omitempty"`
	Summary string `json:"summary"`
	Next    string `json:"next"`            // what to do about it
	Check   Check  `json:"check,omitempty"` // that found it, where it can be ignored
}

// Empty tells whether there is nothing to do. Deferred items do not count.
func (p Plan) Empty() bool { return len(p.Steps) == 0 && len(p.Problems) == 0 }

// Drifted gives the items that drift caused.
func (p Plan) Drifted() []Item {
	var items []Item
	for _, item := range p.Items {
		if item.Cause == Drift {
			items = append(items, item)
		}
	}
	return items
}

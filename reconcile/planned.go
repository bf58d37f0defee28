package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Options are what the caller of a plan or an apply may ask for.
type Options struct {
	SkipUnreachable bool
	Retain          int
	Prune           bool          // nothing but the removal of what is kept for nothing
	Stored          bool          // plan from the stored snapshot and look at no server
	Pin             *plan.Pin     // given by a rollback; nil: found out
	RollbackOf      *state.Record // the release that a rollback goes back to
	Hosts, Roles    []string      // names or globs that limit the plan; none: the whole release
	// Only names the hosts that Plan and Drift look at afresh; none: all. The others are as the stored snapshot has them, which may have
	// been for another release, and what of their secrets has changed here is not known; a host that it lacks is looked at. Under
	// the locks those are looked at once more, and where a lock is held: what is done on others is nothing, for Hosts leaves them out.
	Only []string
	// Patience is how long a look waits for one host, which is then as if it could not be reached; 0: as long as its calls may take.
	Patience time.Duration
	// Probe has Survey ask what serves whether it is well, as a release does before it switches; Failing is what an earlier Survey found by
	// that.
	Probe   bool
	Failing map[string]string

	choice      *plan.Choice // what a version policy made of the version; nil: it was given
	keepPartial bool         // what a partial release has put ahead of the held one stays
	nonce       string       // of the saved plan that is applied; "": the plan gets one of its own
	heldThen    int          // of a rollback and of healing: what was held when it was decided on
	measures    bool         // what is held is measured against: nothing waits
	Hold        bool         // a person names the version: it goes through a hold, and sets one

	Ignore []plan.Check // checks whose problems are only warned of

	// Except are roles on hosts, as host/role, that are left as they are.
	Except []string
	// Accessories limits the plan to some of them, by name; Reboot has each made anew.
	Accessories []string
	Reboot      bool
	boot        bool // nothing but those that are not there
	// Orphans are taken away by healing, too.
	Orphans bool
	// Guard is asked before anything is begun, and again under the lock; its error is why it is not. nil: nobody is asked.
	Guard func(Planned) error

	heal bool // only what is not as the held release says is put right
	// of commands about the app: what was stopped on purpose starts again; nothing but that; what runs is made anew
	start, only, restart bool
	// Seen is a look that was made a moment ago, for the same release: healing makes its first plan of that, and does not look once more
	// for it. Nothing is done on it: under the locks all hosts are looked at. One that is not so fresh any more is not used.
	Seen *state.Snapshot

	records []state.Record // those that a plan of the same look has read; nil: they are read
}

// Planned is a plan with what it was made from.
type Planned struct {
	Plan     plan.Plan
	Desired  release.Release
	Snapshot state.Snapshot
	Held     *state.Record

	records  []state.Record                          // that were read for it, without the held one
	registry *credentials                            // what the pin was found out with
	tags     plan.Tags                               // what a version policy chose among
	same     bool                                    // the desired release is the held one
	secrets  map[string]map[string]map[string]string // keyed digests of those at hand: host → role → variable
}

// Plan observes the servers, keeps the snapshot, diffs, and asks the servers what may be in the way of what it plans.
func (c *Controller) Plan(ctx context.Context, desired release.Release, options Options) (_ Planned, err error) {
	defer c.survive(&err)
	planned, err := c.planAt(ctx, desired, options)
	if err == nil && !options.Stored {
		c.examine(ctx, &planned, options.Ignore)
	}
	return planned, err
}

// planAt is Plan without the questions.
func (c *Controller) planAt(ctx context.Context, desired release.Release, options Options) (Planned, error) {
	if undecided(desired) {
		return c.planByPolicy(ctx, desired, options)
	}
	if seen := options.Seen; options.heal && seen != nil && c.now().Sub(seen.TakenAt) < freshFor && observed(desired, *seen) {
		return c.planFrom(ctx, desired, *seen, nil, options)
	}
	snapshot, keys, err := c.lookAs(ctx, desired, options)
	if err != nil {
		return Planned{}, err
	}
	return c.planFrom(ctx, desired, snapshot, keys, options)
}

// freshFor is how old a look may be that a repair is planned on.
const freshFor = 10 * time.Second

// look gives a fresh snapshot and keeps it, or the stored one.
func (c *Controller) look(ctx context.Context, desired release.Release, stored bool) (state.Snapshot, keys, error) {
	return c.lookAs(ctx, desired, Options{Stored: stored})
}

// lookAs is look as the options say: with Only, the snapshot is fresh of those hosts alone.
func (c *Controller) lookAs(ctx context.Context, desired release.Release, options Options) (state.Snapshot, keys, error) {
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil || options.Stored {
		return known, nil, err
	}
	snapshot, keys, err := c.observeAll(ctx, desired, known, options.Only, options.Patience)
	if err != nil {
		return state.Snapshot{}, nil, fmt.Errorf("the observation was interrupted: %w", err)
	}
	if err := errors.Join(c.adoptRecord(known, snapshot), c.Store.SaveSnapshot(snapshot)); err != nil {
		c.report(Progress{Kind: "warn", Message: "what was seen is not kept: " + err.Error(), Err: err}) // looking goes on; nothing is done that cannot be noted
	}
	return snapshot, keys, nil
}

// Drift compares the servers with the held release: what the newest succeeded record says, not what a file proposes. Where
// nothing was recorded yet, the file's release is what there is. Hosts that cannot be reached are skipped, and named.
func (c *Controller) Drift(ctx context.Context, file release.Release, options Options) (Planned, error) {
	file, looked, err := c.measure(file, options)
	if err != nil {
		return Planned{}, err
	}
	snapshot, _, err := c.lookAs(ctx, looked, options)
	if err != nil {
		return Planned{}, err
	}
	options.SkipUnreachable, options.Pin, options.keepPartial, options.measures = true, &plan.Pin{}, true, true
	held := newestRecord(snapshot)
	if held == nil {
		return c.planFrom(ctx, file, snapshot, nil, options)
	}
	desired, err := heldAs(*held, file) // a host that came to the file since is a change, and no drift
	if err != nil {
		return Planned{}, err
	}
	options.Pin = &plan.Pin{Digest: held.Digest, ID: held.ImageID, From: fmt.Sprintf("release %d", held.Number)}
	if release.Digest(desired) != release.Digest(looked) || !observed(desired, snapshot) { // the look was for another release
		if snapshot, _, err = c.lookAs(ctx, desired, options); err != nil {
			return Planned{}, err
		}
	}
	if options.Probe {
		options.Failing = c.probe(ctx, desired, snapshot)
	}
	planned, err := c.planFrom(ctx, desired, snapshot, nil, options)
	planned.Plan.Items = asDrift(planned.Plan.Items)
	return planned, err
}

// measure gives the file's release with the version that is held, where the file has none, and the release to look for: mostly that
// is what the last look knew as held. A look at some hosts is for that one: for the file's, it would soon be of two minds.
func (c *Controller) measure(file release.Release, options Options) (release.Release, release.Release, error) {
	if !undecided(file) && len(options.Only) == 0 {
		return file, file, nil
	}
	known, _, err := c.Store.Snapshot(file.App())
	if err != nil {
		return file, file, err
	}
	if undecided(file) {
		file.Version = heldVersion(file, known)
	}
	held := newestRecord(known)
	if len(options.Only) == 0 || held == nil {
		return file, file, nil
	}
	looked, err := decodeRelease(*held, file)
	return file, looked, err
}

// asDrift: measured against what is held, whatever is otherwise is drift, and not a change that anybody asked for. Secrets
// that were pushed since wait for the next release and are not.
func asDrift(items []plan.Item) []plan.Item {
	turned := slices.Clone(items)
	for i, item := range turned {
		pushed := len(item.Fields) > 0 && !slices.ContainsFunc(item.Fields, func(f plan.Field) bool { return !strings.HasPrefix(f.Path, "secret ") })
		newer := item.Resource == plan.ResourceProxy && len(item.Fields) == 1 && item.Fields[0].Path == "version" // kamald is, not the server
		if (item.Cause == plan.Change || item.Cause == plan.Leftover) && !pushed && !newer && item.Deferred == "" {
			turned[i].Cause = plan.Drift
		}
	}
	return turned
}

// guarded asks whoever guards the plan; one with nothing to do needs nobody's leave.
func (p Planned) guarded(options Options) error {
	if options.Guard == nil || p.Plan.Empty() {
		return nil
	}
	return options.Guard(p)
}

// observed tells whether every host of the release is in the snapshot.
func observed(desired release.Release, seen state.Snapshot) bool {
	for _, on := range desired.Hosts {
		if _, ok := seen.Host(on.Name); !ok {
			return false
		}
	}
	return true
}

func (c *Controller) planFrom(ctx context.Context, desired release.Release, snapshot state.Snapshot, keys keys, options Options) (Planned, error) {
	held := newestRecord(snapshot)
	if options.heal && held != nil && held.Number > options.heldThen {
		return Planned{}, ErrSuperseded
	}
	snapshot = marked(snapshot, options.Failing)
	scope, err := plan.FilterOf(desired, options.Hosts, options.Roles, options.Except...)
	if err != nil {
		return Planned{}, err
	}
	in := plan.Input{Desired: desired, Observed: snapshot, Held: held, Choice: options.choice, Now: c.now(),
		Options: plan.Options{SkipUnreachable: options.SkipUnreachable, Retain: options.Retain, Filter: scope, KeepPartial: options.keepPartial,
			Back: options.RollbackOf != nil, Prune: options.Prune, Ignore: options.Ignore, Heal: options.heal, Orphans: options.Orphans,
			Accessories: options.Accessories, Boot: options.boot, Reboot: options.Reboot, Start: options.start, Only: options.only, Restart: options.restart}}
	if in.Records = options.records; in.Records == nil {
		if in.Records, err = c.records(ctx, desired, snapshot, options.Stored); err != nil {
			return Planned{}, err
		}
	}
	read := in.Records
	var moved []plan.HandMove
	if held != nil {
		if kept, err := decodeRelease(*held, desired); err == nil {
			in.HeldDigest, in.HeldRelease = release.Digest(kept), heldRelease(snapshot)
			moved = plan.MovedByHand(kept, snapshot, in.Records)
		}
	}
	in.Records = withHeld(in.Records, held)
	if options.Prune && !options.Stored {
		in.Litter, in.RecordFiles = c.litter(ctx, desired, snapshot)
	}
	k := c.credentials(desired)
	switch {
	case options.Pin != nil:
		in.Pin = *options.Pin
	case options.choice != nil && desired.Version == "": // there is no version yet that could be somewhere
	case options.Stored: // no server is looked at, and no registry
		in.Pin = pinWithoutAsking(desired, snapshot, held)
	default:
		if in.Pin, in.Unpinned, err = c.pin(ctx, k, snapshot, held); err != nil {
			return Planned{}, err
		}
	}
	if keys != nil && !options.heal { // without them a digest cannot be compared with those on the hosts
		if in.Secrets, err = c.digests(desired, snapshot, keys); err != nil {
			return Planned{}, err
		}
	}
	planned := Planned{Plan: plan.New(in), Desired: desired, Snapshot: snapshot, Held: held, records: read, registry: k, secrets: in.Secrets}
	if options.RollbackOf != nil && (planned.Plan.Kind == plan.KindRelease || planned.Plan.Kind == plan.KindConfig) {
		planned.Plan.Kind = plan.KindRollback
	}
	planned.Plan.Moved, planned.same = moved, in.HeldDigest != "" && in.HeldDigest == planned.Plan.Desired
	return planned.waits(options), nil
}

// newestRecord is the newest succeeded release that any host knows of: what is held.
func newestRecord(snapshot state.Snapshot) *state.Record {
	var newest *state.Record
	for _, host := range snapshot.Hosts {
		if r := host.Record; r != nil && (newest == nil || r.Number > newest.Number || r.Number == newest.Number && r.Revision > newest.Revision) {
			newest = host.Record
		}
	}
	return newest
}

// withHeld gives the records with the held one as the servers have it: what they hold has succeeded, whatever the store knows.
func withHeld(records []state.Record, held *state.Record) []state.Record {
	if held == nil {
		return records
	}
	list := slices.DeleteFunc(slices.Clone(records), func(r state.Record) bool { return r.Number == held.Number })
	at, _ := slices.BinarySearchFunc(list, held.Number, func(r state.Record, n int) int { return n - r.Number }) // newest first
	return slices.Insert(list, at, *held)
}

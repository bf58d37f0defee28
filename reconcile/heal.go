package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ErrSuperseded: another run has released meanwhile, so what was to be healed is not what is held any more. Nothing was changed.
var ErrSuperseded = errors.New("another release came in between; nothing was changed")

// Survey is what one look at an app's servers says.
type Survey struct {
	Drift   Planned // measured against what is held; where nothing is, against the file
	Repairs Planned // what healing would do; nothing where nothing is held
	// Records are the releases that the store knew, newest first.
	Records []state.Record
	// Same: the file proposes what is held. Runs: something of the app runs.
	Same, Runs bool
	// Failing are containers that did not say that they are well, and why: those of Options.Failing, or what Options.Probe has found.
	Failing map[string]string
	// Left are the hosts whose deploy lock is of a process of this machine that is gone: whoever takes it need not wait.
	Left map[string]bool
}

// Survey looks at the servers and measures them against the held release, with what healing would do about the difference. A file whose
// version a policy chooses is taken at the held version. Hosts that cannot be reached are skipped, and named.
func (c *Controller) Survey(ctx context.Context, file release.Release, options Options) (_ Survey, err error) {
	defer c.survive(&err)
	drift, err := c.Drift(ctx, file, options)
	if err != nil {
		return Survey{}, err
	}
	survey := Survey{Drift: drift, Records: drift.records, Runs: runsAnything(drift.Snapshot), Failing: failingIn(drift.Snapshot), Left: c.leftLocks(drift.Snapshot)}
	if drift.Held == nil {
		return survey, nil
	}
	if undecided(file) {
		file.Version = drift.Held.Version
	}
	held, err := heldAs(*drift.Held, file)
	if err != nil {
		return Survey{}, err
	}
	survey.Same = release.Digest(held) == release.Digest(file)
	options = options.healing(*drift.Held)
	options.records = drift.records
	survey.Repairs, err = c.planFrom(ctx, held, drift.Snapshot, nil, options)
	return survey, err
}

// Heal puts right what is not as the held release says, and nothing else: no secret that was pushed since is rolled out, nothing that
// came with a newer file is begun, and nothing is recorded as a release. held is what a Survey found; when something newer is held by
// then the error is ErrSuperseded.
func (c *Controller) Heal(ctx context.Context, file release.Release, held state.Record, options Options) (_ Report, err error) {
	defer c.survive(&err)
	desired, err := heldAs(held, file)
	if err != nil {
		return Report{}, err
	}
	return c.Apply(ctx, desired, options.healing(held))
}

// healing are the options of a repair of what is held.
func (o Options) healing(held state.Record) Options {
	o.heal, o.keepPartial, o.SkipUnreachable, o.heldThen = true, true, true, held.Number
	o.Pin = &plan.Pin{Digest: held.Digest, ID: held.ImageID, From: fmt.Sprintf("release %d", held.Number)}
	return o
}

// heldAs is the release that a record keeps, on its own hosts, reached as the file reaches them today.
func heldAs(record state.Record, file release.Release) (release.Release, error) {
	kept, err := unpackRelease(record.Release)
	if err != nil {
		return release.Release{}, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	file.Hosts = slices.DeleteFunc(slices.Clone(file.Hosts), func(on release.Host) bool {
		_, then := kept.Host(on.Name)
		return !then
	})
	return decodeRelease(record, file)
}

// runsAnything tells whether a container of the app runs on a host that was seen.
func runsAnything(seen state.Snapshot) bool {
	return slices.ContainsFunc(seen.Hosts, func(host state.Host) bool {
		return slices.ContainsFunc(host.Containers, func(c state.Container) bool {
			return c.Service == seen.App.Service && c.Destination == seen.App.Destination && c.Role != "" && c.Running()
		})
	})
}

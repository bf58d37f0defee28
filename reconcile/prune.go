package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// litterAge is how old a file must be, by its host's own clock, to be litter: writing one takes seconds.
const litterAge = time.Hour

// ErrRetain: nothing would be left to go back to.
var ErrRetain = errors.New("retain must be at least 1")

// PlanPrune plans the removal of what is kept for nothing, and nothing else: measured against the release that is held, on the
// hosts that can be reached.
func (c *Controller) PlanPrune(ctx context.Context, file release.Release, options Options) (Planned, error) {
	desired, options, err := c.pruning(ctx, file, options)
	if err != nil {
		return Planned{}, err
	}
	return c.Plan(ctx, desired, options)
}

// Prune plans as PlanPrune does, and carries it out under the locks.
func (c *Controller) Prune(ctx context.Context, file release.Release, options Options) (_ Report, err error) {
	defer c.survive(&err)
	desired, options, err := c.pruning(ctx, file, options)
	if err != nil {
		return Report{}, err
	}
	return c.Apply(ctx, desired, options)
}

// pruning finds what is held, and the records that say what a rollback needs: those on the servers too.
func (c *Controller) pruning(ctx context.Context, file release.Release, options Options) (release.Release, Options, error) {
	if options.Retain < 0 {
		return file, options, ErrRetain
	}
	options.Prune, options.SkipUnreachable, options.Pin = true, true, &plan.Pin{}
	records, err := c.History(ctx, file)
	if err != nil {
		return file, options, err
	}
	i := slices.IndexFunc(records, func(r state.Record) bool { return r.Outcome == state.OutcomeSucceeded })
	if i < 0 {
		return file, options, nil
	}
	held := records[i]
	desired, err := decodeRelease(held, file)
	if err != nil {
		return file, options, err
	}
	if options.Retain == 0 {
		options.Retain = file.RetainContainers // what the file says now
	}
	options.Pin = &plan.Pin{Digest: held.Digest, ID: held.ImageID, From: fmt.Sprintf("release %d", held.Number)}
	return desired, options, nil
}

// litter finds files of kamald's own that an interrupted run left: temporary files of writes, and locks that were moved aside.
// And the release records that are there. What cannot be looked at is left for another time.
func (c *Controller) litter(ctx context.Context, desired release.Release, seen state.Snapshot) (litter map[string][]string, files map[string]map[int]string) {
	found, records := make([][]string, len(desired.Hosts)), make([]map[int]string, len(desired.Hosts))
	var looking branches
	for i, on := range desired.Hosts {
		if host, ok := seen.Host(on.Name); ok && host.Unreachable == "" {
			looking.Go(func() { found[i], records[i] = c.litterOn(ctx, desired, on, host) })
		}
	}
	looking.Wait()
	litter, files = map[string][]string{}, map[string]map[int]string{}
	for i, on := range desired.Hosts {
		litter[on.Name], files[on.Name] = found[i], records[i]
	}
	return litter, files
}

func (c *Controller) litterOn(ctx context.Context, desired release.Release, on release.Host, seen state.Host) (old []string, records map[int]string) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, nil
	}
	paths := layoutOf(desired)
	for _, dir := range []string{paths.run, path.Dir(paths.env("web")), paths.ours(), paths.intents(), paths.records()} {
		names, err := conn.Files.List(ctx, dir)
		if err != nil {
			continue
		}
		if dir == paths.records() {
			records = map[int]string{}
			for _, n := range numbered(names) {
				records[n] = paths.record(n)
			}
		}
		for _, name := range names {
			full := path.Join(dir, name)
			if !isTemporary(name) && !strings.HasPrefix(full, paths.lock()+".stale-") || dir == paths.run && isTemporary(name) {
				continue // in the run directory files of every app lie
			}
			at, err := conn.Files.Modified(ctx, full)
			if err == nil && !seen.Engine.Clock.IsZero() && seen.Engine.Clock.Sub(at) > litterAge {
				old = append(old, full)
			}
		}
	}
	return old, records
}

// isTemporary tells whether a name is of a write's temporary file: ".<name>.<12 letters and digits of base 32>".
func isTemporary(name string) bool {
	i := strings.LastIndexByte(name, '.')
	if i < 2 || name[0] != '.' || len(name)-i-1 != 12 {
		return false
	}
	return strings.Trim(name[i+1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// mostAsked is from how many hosts a registry is asked that gives no answer: one host's network may be at fault, not all of them.
const mostAsked = 3

// AwaitedError: what is wanted does not exist yet, so nothing was changed.
type AwaitedError struct {
	What string // the image, or the repository in which no tag fits
	Why  string
}

func (e *AwaitedError) Error() string { return "nothing was changed: " + e.Why }

// undecided tells whether a policy has still to choose the version.
func undecided(desired release.Release) bool {
	return desired.Version == "" && desired.VersionPolicy != nil
}

// planByPolicy chooses the version, and plans that. The registry is asked while the servers are looked at: mostly what is held is
// the newest still, and then one look is enough.
func (c *Controller) planByPolicy(ctx context.Context, desired release.Release, options Options) (Planned, error) {
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return Planned{}, err
	}
	tags := plan.Tags{Unasked: "no registry was asked"}
	var asking branches
	if options.Pin == nil && !options.Stored {
		asking.Go(func() { tags = c.tags(ctx, desired, known) })
	}
	looked := desired
	looked.Version = heldVersion(desired, known)
	snapshot, keys, err := c.lookAs(ctx, looked, options)
	asking.Wait()
	if err != nil {
		return Planned{}, err
	}
	desired.Version = heldVersion(desired, snapshot)
	if options.Pin == nil { // else it is no matter what the newest would be
		if desired, options.choice, err = c.choose(ctx, desired, snapshot, tags, options.Stored); err != nil {
			return Planned{}, err
		}
	}
	if desired.Version != looked.Version && !options.Stored {
		if snapshot, keys, err = c.lookAs(ctx, desired, options); err != nil {
			return Planned{}, err
		}
	}
	planned, err := c.planFrom(ctx, desired, snapshot, keys, options)
	planned.tags = tags
	return planned, err
}

// Choose gives a release at the version that its policy chooses, as things are now: for whoever proposes releases unasked. The
// version is empty when none can be chosen yet; the choice says why. A release whose version is given stays as it is.
func (c *Controller) Choose(ctx context.Context, desired release.Release, seen state.Snapshot) (release.Release, *plan.Choice, error) {
	if !undecided(desired) {
		return desired, nil, nil
	}
	return c.choose(ctx, desired, seen, c.tags(ctx, desired, seen), false)
}

// Quarantined are the versions that the release's policy would choose, and does not, since they failed; as far as it is known here.
func (c *Controller) Quarantined(desired release.Release, seen state.Snapshot) ([]plan.Quarantined, error) {
	records, err := c.Store.Releases(desired.App())
	if err != nil || desired.VersionPolicy == nil {
		return nil, err
	}
	var failed plan.Tags
	for version := range plan.Quarantine(records) {
		failed.List = append(failed.List, version)
	}
	choice, err := plan.Choose(*desired.VersionPolicy, failed, heldVersion(desired, seen), records)
	return choice.Quarantined, err
}

// choose decides among the tags. Where that would be a release, another machine's failures count too: they lie on the servers.
func (c *Controller) choose(ctx context.Context, desired release.Release, seen state.Snapshot, tags plan.Tags, stored bool) (release.Release, *plan.Choice, error) {
	held := heldVersion(desired, seen)
	records, err := c.records(ctx, desired, seen, stored)
	if err != nil {
		return desired, nil, err
	}
	choice, err := plan.Choose(*desired.VersionPolicy, tags, held, records)
	if err == nil && choice.Version != held && !stored && aheadOf(records, seen) {
		asked := desired
		asked.Hosts = reached(desired, seen)
		if records, _, err = c.history(ctx, asked, &sync.Map{}); err == nil {
			choice, err = plan.Choose(*desired.VersionPolicy, tags, held, records)
		}
	}
	if err == nil && choice.Unasked != "" && choice.Version == "" {
		err = fmt.Errorf("the version cannot be chosen by version_policy (%s), and none is held that could stay: %s\n  next: mend that, or give a version with --version", choice.Policy, choice.Unasked)
	}
	desired.Version = choice.Version
	return desired, &choice, err
}

// chosenStill refuses a plan whose version a policy would not choose any more, since another release came in between.
func (c *Controller) chosenStill(ctx context.Context, first, now Planned) error {
	if first.Plan.VersionPolicy == nil || now.Held == nil || first.Held != nil && first.Held.Number == now.Held.Number {
		return nil
	}
	desired, _, err := c.choose(ctx, now.Desired, now.Snapshot, first.tags, false)
	if err == nil && desired.Version != now.Desired.Version {
		err = fmt.Errorf("nothing was changed: while this run waited, %s; version_policy chooses %s now, and not %s\n  next: apply again", releaseBy(*now.Held), cmp.Or(desired.Version, "none"), now.Desired.Version)
	}
	return err
}

// aheadOf tells whether a server knows of a run that the records do not.
func aheadOf(records []state.Record, seen state.Snapshot) bool {
	newest := 0
	for _, r := range records {
		newest = max(newest, r.Number)
	}
	return slices.ContainsFunc(seen.Hosts, func(h state.Host) bool { return h.Fence > newest })
}

// heldVersion is the version of the newest release that succeeded, or where none is recorded the one that runs; "" when there is
// neither.
func heldVersion(desired release.Release, seen state.Snapshot) string {
	if held := newestRecord(seen); held != nil {
		return held.Version
	}
	version, _ := runs(desired, seen)
	return version
}

// tags asks where the images come from which versions there are.
func (c *Controller) tags(ctx context.Context, desired release.Release, known state.Snapshot) plan.Tags {
	if desired.Registry == nil {
		return c.tagsHere(ctx, desired.ImageName())
	}
	k := c.credentials(desired)
	if _, err := k.get(); err != nil {
		return plan.Tags{Unasked: err.Error()}
	}
	cordoned, failures := plan.CordonedIn(known, c.now()), []error{}
	for _, on := range desired.Hosts {
		if cordoned[on.Name] != "" || len(failures) == mostAsked {
			continue
		}
		conn, err := c.fleet.Connection(ctx, on)
		if err == nil {
			var list []string
			err = k.show(ctx, slowFault, func(auth release.Auth) (err error) {
				list, err = conn.Registry.Tags(ctx, desired.ImageName(), auth)
				return err
			})
			if err == nil || errors.Is(err, state.ErrNotFound) {
				return plan.Tags{List: list, From: "at the registry"} // of a repository that is not there yet there are none
			}
		}
		if errors.Is(err, state.ErrDenied) && conn != nil {
			return plan.Tags{Unasked: fmt.Sprintf("the registry %s refuses to list them: %v; check registry.username and the secret of registry.password", orHub(desired.Registry.Server), err)}
		}
		failures = append(failures, err)
	}
	if len(failures) == 0 {
		return plan.Tags{Unasked: "there is no host from which the registry could be asked"}
	}
	return plan.Tags{Unasked: strings.ReplaceAll(failures[0].Error(), "\n", " ")}
}

// tagsHere asks this machine's own engine, from which images are carried when there is no registry.
func (c *Controller) tagsHere(ctx context.Context, repository string) plan.Tags {
	conn, err := c.here(ctx)
	if err != nil {
		return plan.Tags{Unasked: "this machine's engine, from which images are carried, cannot be asked: " + err.Error()}
	}
	images, err := conn.Engine.Images(ctx, repository)
	if err != nil {
		return plan.Tags{Unasked: err.Error()}
	}
	found := plan.Tags{From: "on this machine"}
	for _, image := range images {
		for _, ref := range image.Tags {
			if tag, ok := strings.CutPrefix(ref, repository+":"); ok {
				found.List = append(found.List, tag)
			}
		}
	}
	slices.Sort(found.List)
	return found
}

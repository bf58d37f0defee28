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

// Back says which release a rollback goes to: a number, or a version, or with neither the release before.
type Back struct {
	Number  int
	Version string
	// CurrentConfig takes that release's version and image, and all else from today's file.
	CurrentConfig bool
	// NoCancel leaves a release that is under way alone: the rollback waits for its lock, or is refused by it.
	NoCancel bool
}

// named tells whether a person said which release it is.
func (b Back) named() bool { return b.Number > 0 || b.Version != "" }

// Rollback makes an earlier release true again, with the configuration it had, its image by digest, and today's secrets. A
// release that is under way is asked to end first, unless the caller wants it left alone.
func (c *Controller) Rollback(ctx context.Context, current release.Release, back Back, options Options) (_ Report, err error) {
	defer c.survive(&err)
	for {
		gone := &sync.Map{} // hosts out of reach: each is waited for once
		other, err := c.makeWay(ctx, current, back, gone)
		if err != nil {
			return Report{}, err
		}
		report, err := c.goBack(ctx, current, back, other, gone, options)
		if !errors.Is(err, errMoved) && !(c.cancellable(err) && !back.NoCancel) {
			return report, err
		}
		c.report(Progress{Kind: "lock", Message: "another run came in between: looking again"})
		if err := sleep(ctx, cancelLook); err != nil {
			return Report{}, err
		}
	}
}

// goBack chooses the release and makes it true.
func (c *Controller) goBack(ctx context.Context, current release.Release, back Back, other *otherRun, gone *sync.Map, options Options) (Report, error) {
	records, unread, err := c.history(ctx, current, gone)
	if err != nil {
		return Report{}, err
	}
	half := ""
	if !back.named() {
		if half, err = c.half(ctx, current, records, other); err != nil {
			return Report{}, err
		}
	}
	chosen, err := chooseFrom(records, unread, back, half)
	if err != nil {
		return Report{}, err
	}
	desired, notes, err := recast(chosen.target, current, back.CurrentConfig)
	if err != nil {
		return Report{}, err
	}
	for _, note := range notes {
		c.report(Progress{Kind: "warn", Message: note})
	}
	c.report(Progress{Kind: "planned", Message: chosen.String()})
	origin := chosen.target
	origin.Number = chosen.origin
	options.RollbackOf, options.heldThen = &origin, chosen.held.Number
	options.Retain = cmp.Or(options.Retain, current.RetainContainers) // as the file has it now: an older release may have kept less
	options.Pin = &plan.Pin{Digest: chosen.target.Digest, ID: chosen.target.ImageID, From: fmt.Sprintf("release %d", chosen.target.Number)}
	report, err := c.Apply(ctx, desired, options)
	report.To, report.Note = chosen.target.Number, chosen.why
	return report, err
}

// chooseFrom says of a miss, too, whose records are not known.
func chooseFrom(records []state.Record, unread []string, back Back, half string) (choice, error) {
	chosen, err := choose(records, back, half)
	if err != nil && len(unread) > 0 {
		err = fmt.Errorf("%w; the records on %s could not be read, so there may be one that is not known here: bring them back and try again", err, strings.Join(unread, ", "))
	}
	return chosen, err
}

// canGoBack refuses a release that was named and is not there, or that cannot be made true today.
func (c *Controller) canGoBack(ctx context.Context, current release.Release, back Back, gone *sync.Map) error {
	if !back.named() {
		return nil
	}
	records, unread, err := c.history(ctx, current, gone)
	if err != nil {
		return err
	}
	chosen, err := chooseFrom(records, unread, back, "")
	if err != nil {
		return err
	}
	_, _, err = recast(chosen.target, current, back.CurrentConfig)
	return err
}

// decodeRelease gives the release that a record keeps. How hosts are reached is today's: keys and addresses may have changed.
func decodeRelease(record state.Record, current release.Release) (release.Release, error) {
	desired, err := unpackRelease(record.Release)
	if err != nil {
		return release.Release{}, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	desired.SSH, desired.Leaving, desired.Reconcile, desired.Hooks = current.SSH, nil, current.Reconcile, current.Hooks
	desired.SecretFiles, desired.SecretFetches = current.SecretFiles, current.SecretFetches
	for i, on := range desired.Hosts {
		if now, ok := current.Host(on.Name); ok {
			desired.Hosts[i].Address, desired.Hosts[i].SSH, desired.Hosts[i].HostKey = now.Address, now.SSH, now.HostKey
		}
	}
	joinHosts(&desired, current)
	if desired.Registry != nil && current.Registry != nil && desired.Registry.Server == current.Registry.Server {
		desired.Registry = current.Registry
	}
	return desired, nil
}

// joinHosts adds hosts that came after the recorded release to the roles that they have today: going back to an older version
// must not leave them on the newer one.
func joinHosts(desired *release.Release, current release.Release) {
	for _, on := range current.Hosts {
		if _, known := desired.Host(on.Name); known {
			continue
		}
		joined := false
		for i, role := range desired.Roles {
			now, ok := current.Role(role.Name)
			if ok && slices.Contains(now.Hosts, on.Name) {
				desired.Roles[i].Hosts = append(slices.Clone(role.Hosts), on.Name)
				joined = true
			}
		}
		if joined {
			desired.Hosts = append(desired.Hosts, on)
		}
	}
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Adopted is what was taken as the held release.
type Adopted struct {
	Version string          `json:"version"`
	Release int             `json:"release,omitempty"` // 0: nothing was written
	Already bool            `json:"already,omitempty"` // the records say so: there is nothing to adopt
	Differs []plan.Item     `json:"differs"`           // where what runs is not as the file has it
	Moved   []plan.HandMove `json:"moved,omitempty"`   // what another than kamald had moved
	Skipped []plan.Skipped  `json:"skipped,omitempty"`
}

// Runs gives the version that every role of the app runs, on every host that can be reached. Several, or none, is an error that
// says where.
func (c *Controller) Runs(ctx context.Context, desired release.Release) (string, error) {
	seen, _, err := c.look(ctx, desired, false)
	if err != nil {
		return "", err
	}
	return runs(desired, seen)
}

func runs(desired release.Release, seen state.Snapshot) (string, error) {
	app, version := desired.App(), ""
	var lines []string
	several := false
	for _, role := range desired.Roles {
		for _, name := range role.Hosts {
			host, ok := seen.Host(name)
			if !ok || host.Unreachable != "" {
				continue
			}
			is, found := versionOn(app, host, role.Name), false
			if _, found = plan.CurrentOf(app, host, role.Name); !found {
				lines = append(lines, fmt.Sprintf("  %s/%s: nothing runs", name, role.Name))
				continue
			}
			lines = append(lines, fmt.Sprintf("  %s/%s: %s", name, role.Name, is))
			several = several || version != "" && version != is
			version = is
		}
	}
	switch {
	case version == "":
		return "", fmt.Errorf("nothing of %s runs on the hosts that were reached, so there is nothing to adopt\n  next: `kamald apply` releases what the file says", app)
	case several:
		return "", fmt.Errorf("the roles of %s do not run one version, so there is none to adopt:\n%s\n  next: `kamald release VERSION` brings them to one", app, strings.Join(lines, "\n"))
	}
	return version, nil
}

// Adopt takes what runs as the held release, with the file's configuration: it writes a record on every host, puts the tag
// latest at what runs where it is elsewhere, and restarts nothing. desired is the file's release at the version that runs.
func (c *Controller) Adopt(ctx context.Context, desired release.Release, dry bool) (Adopted, error) {
	seen, keys, err := c.look(ctx, desired, false)
	if err != nil {
		return Adopted{}, err
	}
	result, planned, err := c.adoption(ctx, desired, seen, keys)
	if err != nil || result.Already || dry {
		return result, err
	}
	locks, err := c.lock(ctx, desired, reachable(planned), seen, "adopt")
	if err != nil {
		return result, err
	}
	result, err = c.adoptLocked(ctx, desired, locks, seen)
	return result, errors.Join(err, locks.release(ctx))
}

// adoption is what would be adopted.
func (c *Controller) adoption(ctx context.Context, desired release.Release, seen state.Snapshot, keys keys) (Adopted, Planned, error) {
	version, err := runs(desired, seen)
	if err != nil {
		return Adopted{}, Planned{}, err
	}
	if version != desired.Version {
		return Adopted{}, Planned{}, fmt.Errorf("version %s runs now, and not %s: something was released meanwhile; run `kamald adopt` again", version, desired.Version)
	}
	pin, err := runningPin(desired, seen)
	if err != nil {
		return Adopted{}, Planned{}, err
	}
	planned, err := c.planFrom(ctx, desired, seen, keys, Options{Pin: &pin, SkipUnreachable: true, measures: true})
	if err != nil {
		return Adopted{}, Planned{}, err
	}
	result := Adopted{Version: version, Differs: []plan.Item{}, Moved: planned.Plan.Moved, Skipped: planned.Plan.Unreachable}
	for _, item := range planned.Plan.Items {
		if item.Cause != plan.Retention && item.Resource != plan.ResourceRecord && item.Resource != plan.ResourceTag {
			result.Differs = append(result.Differs, item)
		}
	}
	held := planned.Held
	result.Already = held != nil && held.Version == version && len(result.Moved) == 0 && !slices.ContainsFunc(seen.Hosts, func(h state.Host) bool {
		return h.Unreachable == "" && (h.Record == nil || h.Record.Number != held.Number)
	})
	return result, planned, nil
}

// runningPin is the image that the serving containers were made from.
func runningPin(desired release.Release, seen state.Snapshot) (plan.Pin, error) {
	var pin plan.Pin
	app := desired.App()
	for _, role := range desired.Roles {
		for _, name := range role.Hosts {
			host, _ := seen.Host(name)
			c, ok := plan.CurrentOf(app, host, role.Name)
			if !ok {
				continue
			}
			if pin.ID != "" && pin.ID != c.ImageID {
				return plan.Pin{}, fmt.Errorf("the hosts run different images of version %s (%s runs %s, others %s), so none can be adopted\n  next: `kamald release %s` brings them to one", desired.Version, name, c.ImageID, pin.ID, desired.Version)
			}
			pin.ID, pin.From = c.ImageID, "host "+name
			image, _ := host.Image(c.ImageID)
			for _, digest := range image.Digests {
				if value, ok := strings.CutPrefix(digest, desired.ImageName()+"@"); ok && desired.Registry != nil {
					pin.Digest = value
				}
			}
		}
	}
	return pin, nil
}

func (c *Controller) adoptLocked(ctx context.Context, desired release.Release, locks *Locks, before state.Snapshot) (Adopted, error) {
	began := c.now()
	seen, keys, err := c.observeAgain(ctx, 0, desired, before)
	if err != nil {
		return Adopted{}, err
	}
	locks.confirm(&seen, began)
	result, planned, err := c.adoption(ctx, desired, seen, keys)
	if err != nil || result.Already {
		return result, err
	}
	if err := locks.seal(ctx, seen); err != nil {
		return result, err
	}
	body, err := packRelease(recordedAs(planned))
	if err != nil {
		return result, err
	}
	record := state.Record{Schema: state.RecordSchema, Number: locks.Fence, Fence: locks.Fence, App: desired.App(), Version: desired.Version, Image: desired.Image(),
		Digest: planned.Plan.Pin.Digest, ImageID: planned.Plan.Pin.ID, Release: body, Kind: "adopt", Who: c.Owner.Who, Where: c.Owner.Where(), Hold: true,
		Started: began, Ended: c.now(), Outcome: state.OutcomeSucceeded}
	if err := c.tagRunning(ctx, desired, locks, seen, record.ImageID); err != nil {
		return result, err
	}
	message := fmt.Sprintf("Adopted version %s (release %d)", record.Version, record.Number)
	roled := func(h state.Host) bool {
		return slices.ContainsFunc(desired.Roles, func(r release.Role) bool { return slices.Contains(r.Hosts, h.Name) })
	}
	if err := c.writeRecords(ctx, desired, locks, seen, record, "adopt", message, roled); err != nil {
		return result, err
	}
	result.Release = record.Number
	return result, nil
}

// tagRunning puts latest at what runs, where it is elsewhere.
func (c *Controller) tagRunning(ctx context.Context, desired release.Release, locks *Locks, seen state.Snapshot, image string) error {
	ref := desired.ImageName() + ":" + desired.App().LatestTag()
	errs := make([]error, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		host, _ := seen.Host(on.Name)
		if _, there := host.Image(image); !there || host.Latest == image {
			return
		}
		tagging := deed{kind: "tag", host: on.Name, step: "tag", message: "move tag " + ref + " to what runs"}
		errs[i] = c.noted(desired.App(), tagging, func() error {
			conn, err := locks.connection(ctx, on)
			if err == nil {
				err = conn.Engine.Tag(ctx, image, ref)
			}
			return err
		})
	})
	return errors.Join(errs...)
}

package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Back says which release a rollback goes to: a number, or a version, or with neither the release before.
type Back struct {
	Number  int
	Version string
}

// History gives the app's release records, newest first: the store's, and those on the servers that it lacks, which it then
// keeps.
func (c *Controller) History(ctx context.Context, desired release.Release) ([]state.Record, error) {
	records, _, err := c.history(ctx, desired)
	return records, err
}

// history gives the hosts whose records could not be read, too.
func (c *Controller) history(ctx context.Context, desired release.Release) (all []state.Record, unread []string, err error) {
	app := desired.App()
	records, err := c.Store.Releases(app)
	if err != nil {
		return nil, nil, err
	}
	known := map[int]bool{}
	for _, r := range records {
		known[r.Number] = r.Outcome == state.OutcomeSucceeded // of others the servers may know better: the run was killed
	}
	for _, on := range desired.Hosts {
		found, err := c.recordsOn(ctx, desired, on, known)
		if err != nil {
			c.report(Progress{Kind: "warn", Host: on.Name, Message: fmt.Sprintf("its release records cannot be read: %v", err)})
			unread = append(unread, on.Name)
			continue
		}
		for _, record := range found {
			known[record.Number] = true
			records = slices.DeleteFunc(records, func(r state.Record) bool { return r.Number == record.Number })
			records = append(records, record)
			if err := c.Store.SaveRelease(record); err != nil {
				return nil, nil, err
			}
		}
	}
	slices.SortFunc(records, func(a, b state.Record) int { return cmp.Compare(b.Number, a.Number) })
	return records, unread, nil
}

func (c *Controller) recordsOn(ctx context.Context, desired release.Release, on release.Host, known map[int]bool) ([]state.Record, error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	paths := layoutOf(desired)
	names, err := conn.Files.List(ctx, paths.records())
	if err != nil {
		return nil, err
	}
	var found []state.Record
	for _, name := range names {
		n, err := strconv.Atoi(strings.TrimSuffix(name, ".json"))
		if err != nil || known[n] {
			continue
		}
		record, err := readRecord(ctx, conn.Files, paths, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, record)
	}
	return found, nil
}

// Rollback makes an earlier release true again, with the configuration it had, its image by digest, and today's secrets.
func (c *Controller) Rollback(ctx context.Context, current release.Release, back Back, options Options) (Report, error) {
	records, unread, err := c.history(ctx, current)
	if err != nil {
		return Report{}, err
	}
	target, err := chooseRecord(records, back)
	if err != nil && len(unread) > 0 {
		return Report{}, fmt.Errorf("%w; the records on %s could not be read, so there may be one that is not known here: bring them back and try again", err, strings.Join(unread, ", "))
	}
	if err != nil {
		return Report{}, err
	}
	desired, err := decodeRelease(target, current)
	if err != nil {
		return Report{}, err
	}
	options.RollbackOf = &target
	options.Pin = &plan.Pin{Digest: target.Digest, ID: target.ImageID, From: fmt.Sprintf("release %d", target.Number)}
	return c.Apply(ctx, desired, options)
}

// chooseRecord finds the record that is meant among those that succeeded; a miss lists what is there.
func chooseRecord(records []state.Record, back Back) (state.Record, error) {
	var succeeded []state.Record
	for _, r := range records {
		if r.Outcome == state.OutcomeSucceeded {
			succeeded = append(succeeded, r)
		}
	}
	if len(succeeded) == 0 {
		return state.Record{}, errors.New("no release is known to have succeeded, so there is none to go back to")
	}
	match := func(r state.Record) bool { return r.Number < succeeded[0].Number }
	what := "a release before the current one"
	switch {
	case back.Number > 0:
		what, match = fmt.Sprintf("release %d", back.Number), func(r state.Record) bool { return r.Number == back.Number }
	case back.Version != "":
		what, match = "a release of version "+back.Version, func(r state.Record) bool { return r.Version == back.Version }
	}
	if i := slices.IndexFunc(succeeded, match); i >= 0 {
		return succeeded[i], nil
	}
	var there []string
	for _, r := range succeeded {
		there = append(there, fmt.Sprintf("%d (version %s)", r.Number, r.Version))
	}
	return state.Record{}, fmt.Errorf("there is no %s among those that succeeded: %s", strings.TrimPrefix(what, "a "), strings.Join(there, ", "))
}

// decodeRelease gives the release that a record keeps. How hosts are reached is today's: keys and addresses may have changed.
func decodeRelease(record state.Record, current release.Release) (release.Release, error) {
	desired, err := unpackRelease(record.Release)
	if err != nil {
		return release.Release{}, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	desired.SSH = current.SSH
	desired.SecretFiles = current.SecretFiles
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

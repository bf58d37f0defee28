package reconcile

import (
	"fmt"
	"slices"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// recast gives a recorded release as it can be made true today: what runs is the record's, the servers are the file's. With
// the current configuration only version and image are the record's. The notes are for a person.
func recast(record state.Record, current release.Release, currentConfig bool) (release.Release, []string, error) {
	if currentConfig {
		desired, err := transplant(record, current)
		return desired, nil, err
	}
	desired, err := decodeRelease(record, current)
	if err != nil {
		return release.Release{}, nil, err
	}
	notes, err := dropHosts(&desired, current, record.Number)
	withAccessories(&desired, current)
	return desired, notes, err
}

// transplant puts a record's version and image into today's release.
func transplant(record state.Record, current release.Release) (release.Release, error) {
	old, err := unpackRelease(record.Release)
	if err != nil {
		return release.Release{}, fmt.Errorf("release %d cannot be read back: %w", record.Number, err)
	}
	desired := current
	desired.Version, desired.Repository = old.Version, old.Repository
	if (old.Registry == nil) != (current.Registry == nil) || old.Registry != nil && old.Registry.Server != current.Registry.Server {
		desired.Registry = old.Registry
	}
	return desired, nil
}

// dropHosts takes hosts that left the file out of a recorded release: what was taken out of service stays out. A role that is
// left with none runs where it runs today.
func dropHosts(desired *release.Release, current release.Release, number int) (notes []string, err error) {
	gone := func(name string) bool { _, there := current.Host(name); return !there }
	for _, on := range desired.Hosts {
		if gone(on.Name) {
			notes = append(notes, fmt.Sprintf("release %d ran on %s, which is not in the file any more: it is left out", number, on.Name))
		}
	}
	if len(notes) == 0 {
		return nil, nil
	}
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool { return gone(on.Name) })
	desired.Roles = slices.Clone(desired.Roles)
	for i, role := range desired.Roles {
		hosts := slices.DeleteFunc(slices.Clone(role.Hosts), gone)
		if now, ok := current.Role(role.Name); ok && len(hosts) == 0 && len(role.Hosts) > 0 {
			hosts = now.Hosts
			addHosts(desired, current, hosts)
		}
		if len(hosts) == 0 && len(role.Hosts) > 0 {
			return nil, fmt.Errorf("role %s of release %d ran only on servers that are not in the file any more (%v), and the file has no such role: put one of them back into the file, or take today's configuration with --with-current-config", role.Name, number, role.Hosts)
		}
		desired.Roles[i].Hosts = hosts
	}
	return notes, nil
}

func addHosts(desired *release.Release, current release.Release, names []string) {
	for _, name := range names {
		if _, there := desired.Host(name); there {
			continue
		}
		if on, ok := current.Host(name); ok {
			desired.Hosts = append(desired.Hosts, on)
		}
	}
}

// withAccessories takes the accessories as the file has them today: they live beside the releases, and none is rolled back.
func withAccessories(desired *release.Release, current release.Release) {
	desired.Accessories = current.Accessories
	for _, a := range current.Accessories {
		addHosts(desired, current, a.Hosts)
	}
}

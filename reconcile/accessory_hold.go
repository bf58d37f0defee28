package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// holdAccessories writes into the held release what was made of accessories: what heals them must not bring back what they were
// before. Nothing is held before the first release, which will say it itself.
func (c *Controller) holdAccessories(ctx context.Context, planned Planned, locks *Locks, names []string) error {
	change := func(held *release.Release) {
		for _, name := range names {
			if made, ok := planned.Desired.Accessory(name); ok {
				keepAccessory(held, planned.Desired, made, planned.Plan.Filter)
			}
		}
	}
	return c.changeHeld(ctx, planned.Desired, planned.Snapshot, locks, "keep accessories "+strings.Join(names, ", "), change)
}

// keepAccessory puts an accessory into the held release, on the hosts that a command was about and on those where it was before.
func keepAccessory(held *release.Release, desired release.Release, made release.Accessory, scope plan.Filter) {
	role := state.AccessoryRole(made.Name)
	before, was := held.Accessory(made.Name)
	made.Hosts = slices.DeleteFunc(slices.Clone(made.Hosts), func(host string) bool {
		return !scope.Has(host, role) && !(was && slices.Contains(before.Hosts, host))
	})
	if i := slices.IndexFunc(held.Accessories, func(a release.Accessory) bool { return a.Name == made.Name }); i >= 0 {
		held.Accessories = slices.Clone(held.Accessories)
		held.Accessories[i] = made
	} else {
		held.Accessories = inserted(held.Accessories, made, desired.Accessories, func(a release.Accessory) string { return a.Name })
	}
	for _, name := range made.Hosts {
		on, there := desired.Host(name)
		if _, already := held.Host(name); there && !already {
			held.Hosts = inserted(held.Hosts, on, desired.Hosts, func(h release.Host) string { return h.Name })
		}
	}
}

// inserted is a list with one more in it, behind those that are before it in the file: what is held is compared with that as a whole.
func inserted[T any](list []T, one T, file []T, name func(T) string) []T {
	at := 0
	for _, earlier := range file {
		if name(earlier) == name(one) {
			break
		}
		if i := slices.IndexFunc(list, func(other T) bool { return name(other) == name(earlier) }); i >= 0 {
			at = i + 1
		}
	}
	return slices.Insert(slices.Clone(list), at, one)
}

// dropAccessory takes an accessory out of the held release, on some hosts.
func dropAccessory(held *release.Release, name string, hosts []string) {
	held.Accessories = slices.Clone(held.Accessories)
	for i, a := range held.Accessories {
		if a.Name == name {
			held.Accessories[i].Hosts = slices.DeleteFunc(slices.Clone(a.Hosts), func(host string) bool { return slices.Contains(hosts, host) })
		}
	}
	held.Accessories = slices.DeleteFunc(held.Accessories, func(a release.Accessory) bool { return a.Name == name && len(a.Hosts) == 0 })
}

// changeHeld rewrites the newest record, under the locks that the caller has, on every host that has it and on those of accessories
// that came to it.
func (c *Controller) changeHeld(ctx context.Context, desired release.Release, seen state.Snapshot, locks *Locks, message string, change func(*release.Release)) error {
	held := newestRecord(seen)
	if held == nil {
		return nil
	}
	kept, err := unpackRelease(held.Release)
	if err != nil {
		return fmt.Errorf("release %d cannot be read back: %w", held.Number, err)
	}
	before := release.Digest(kept)
	change(&kept)
	if release.Digest(kept) == before {
		return nil
	}
	next := *held
	if next.Release, err = packRelease(kept); err != nil {
		return err
	}
	next.Revision++
	which := func(h state.Host) bool {
		return h.Record != nil && h.Record.Number == next.Number || len(kept.AccessoriesOn(h.Name)) > 0
	}
	return c.writeRecords(ctx, desired, locks, seen, next, "hold", message, which)
}

// stopMark is where it is noted that an accessory stands still on purpose.
func (l layout) accessoryStop(host, role string) string {
	accessory, _ := state.AccessoryOf(role)
	return l.intent(state.IntentAccessoryStop, host+"~"+accessory) // no host's name has a tilde
}

// noteStop writes that an accessory is to stand still on a host, or that it is not any more.
func (c *Controller) noteStop(ctx context.Context, conn *Connection, desired release.Release, seen state.Host, role, reason string, lifted bool) error {
	known, there := seen.StopAsked(role)
	if lifted && (!there || known.Lifted) {
		return nil
	}
	intent := c.intentFor(seen.Name, state.IntentAccessoryStop)
	intent.Role, intent.Reason, intent.Lifted, intent.Serial = role, reason, lifted, known.Serial+1
	data, err := json.MarshalIndent(intent, "", " ")
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, layoutOf(desired).accessoryStop(seen.Name, role), append(data, '\n'), 0o600)
}

// liftStops ends the stops of accessories that were made anew.
func (c *Controller) liftStops(ctx context.Context, planned Planned, locks *Locks, names []string) error {
	var errs []error
	for _, on := range planned.Desired.Hosts {
		host, ok := planned.Snapshot.Host(on.Name)
		if !ok || host.Unreachable != "" {
			continue
		}
		for _, name := range names {
			role := state.AccessoryRole(name)
			if intent, asked := host.StopAsked(role); !asked || intent.Lifted || !planned.Plan.Filter.Has(on.Name, role) {
				continue
			}
			conn, err := locks.connection(ctx, on)
			if err == nil {
				err = c.noteStop(ctx, conn, planned.Desired, host, role, "", true)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeData takes away an accessory's own directory on a host with all that it has kept there, and its secrets; it names what lies
// elsewhere and stays.
func removeData(ctx context.Context, conn *Connection, desired release.Release, a release.Accessory, k keptData) (notes []string, err error) {
	paths := layoutOf(desired)
	role := state.AccessoryRole(a.Name)
	certificate, _ := paths.certificate(role)
	gone := []string{a.Service, paths.env(role), paths.envJSON(role), path.Dir(certificate), paths.certificateNote(role)}
	for _, directory := range k.others {
		notes = append(notes, fmt.Sprintf("%s stays: it lies outside of %s/", directory, a.Service))
	}
	for _, name := range gone {
		err := conn.Files.Remove(ctx, name)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: the container's user owns it, and the SSH user may not remove that: `sudo rm -r %s` there", err, name)
		}
		if err != nil {
			return notes, err
		}
	}
	return notes, nil
}

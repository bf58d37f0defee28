package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// take takes an accessory's route away, and stops and removes its containers.
func (on *accessoryOn) take(ctx context.Context) error {
	if err := on.unroute(ctx); err != nil {
		return err
	}
	for _, c := range on.all {
		if err := stop(ctx, on.conn, c.ID, on.grace()); err != nil {
			return err
		}
		if err := unless(on.conn.Engine.Remove(ctx, c.ID), state.ErrNotFound); err != nil {
			return err
		}
	}
	return nil
}

// keptData is what outlives an accessory's containers: directories below its own on the host, others there, and volumes of the engine's.
// Directories are absolute.
type keptData struct{ own, others, volumes []string }

// names are all of it, in words.
func (k keptData) names() []string {
	names := slices.Concat(k.own, k.others)
	for _, volume := range k.volumes {
		names = append(names, "volume "+volume)
	}
	return names
}

// kept finds out what an accessory has kept, by the file and by its containers, as they were seen before they went.
func (on *accessoryOn) kept(ctx context.Context) (k keptData, err error) {
	home, err := on.conn.Files.Home(ctx)
	if err != nil {
		return k, err
	}
	directories, volumes := on.accessory.Data()
	sources := slices.Clone(volumes)
	for _, directory := range directories {
		sources = append(sources, absolute(home, strings.TrimPrefix(onHost(directory), "~/")))
	}
	for _, c := range on.all {
		sources = append(sources, plan.DataOf(c)...)
	}
	slices.Sort(sources)
	for _, source := range slices.Compact(sources) {
		switch {
		case !path.IsAbs(source):
			k.volumes = append(k.volumes, source)
		case strings.HasPrefix(source, path.Join(home, on.accessory.Service)+"/"):
			k.own = append(k.own, source)
		default:
			k.others = append(k.others, source)
		}
	}
	return k, nil
}

// dropVolumes takes the engine's volumes away that no container has, and gives them; the others are named in the notes.
func dropVolumes(ctx context.Context, conn *Connection, volumes []string) (gone, notes []string, err error) {
	for _, volume := range volumes {
		err := conn.Engine.RemoveVolume(ctx, volume)
		switch {
		case errors.Is(err, state.ErrNotFound):
		case errors.Is(err, state.ErrConflict):
			notes = append(notes, "another container has the volume "+volume+": it stays")
		case err != nil:
			return gone, notes, err
		default:
			gone = append(gone, volume)
		}
	}
	return gone, notes, nil
}

// alsoMounts names what else of the release has a volume on a host: a role, or an accessory that is not among those that go.
func alsoMounts(desired release.Release, host, volume string, going []string) (who string, does bool) {
	for _, tenant := range desired.Tenants() {
		accessory, is := state.AccessoryOf(tenant.Name)
		if is && slices.Contains(going, accessory) || !slices.Contains(tenant.Places(), host) {
			continue
		}
		if slices.ContainsFunc(tenant.Volumes, func(v string) bool { return strings.HasPrefix(v, volume+":") }) {
			return tenant.Name, true
		}
	}
	return "", false
}

// dropData takes away what an accessory has kept, with its files and secrets; it names what stays. going are the accessories that are
// removed with it.
func (on *accessoryOn) dropData(ctx context.Context, k keptData, going []string) error {
	notes, err := removeData(ctx, on.conn, on.desired, on.accessory, k)
	on.notes = append(on.notes, notes...)
	if err != nil {
		return err
	}
	var volumes []string
	for _, volume := range k.volumes {
		if who, does := alsoMounts(on.desired, on.on.Name, volume, going); does {
			on.notes = append(on.notes, fmt.Sprintf("%s has the volume %s, too: it stays", who, volume))
			continue
		}
		volumes = append(volumes, volume)
	}
	gone, notes, err := dropVolumes(ctx, on.conn, volumes)
	if len(gone) > 0 {
		on.notes = append(on.notes, "removed the volumes "+strings.Join(gone, ", "))
	}
	on.notes = append(on.notes, notes...)
	return err
}

// dropFiles takes away the files that were put on a host for an accessory, and the directories above them that hold nothing else.
func (on *accessoryOn) dropFiles(ctx context.Context) error {
	for _, file := range on.accessory.Files {
		name := onHost(file.Path)
		if err := on.conn.Files.Remove(ctx, name); err != nil {
			return err
		}
		for dir := path.Dir(name); strings.HasPrefix(dir+"/", on.accessory.Service+"/"); dir = path.Dir(dir) {
			left, err := on.conn.Files.List(ctx, dir)
			if err != nil {
				return err
			}
			if len(left) > 0 || slices.ContainsFunc(on.accessory.Directories, func(p release.Placed) bool { return onHost(p.Path) == dir }) {
				break
			}
			if err := on.conn.Files.Remove(ctx, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftBesides are the accessories on each host that the file has not there, and that are the app's; shared ones are not among them.
func leftBesides(desired release.Release, seen state.Snapshot) map[string][]release.Accessory {
	held, all := heldRelease(seen), map[string][]release.Accessory{}
	for _, host := range seen.Hosts {
		all[host.Name] = leftBeside(desired, held, host)
	}
	return all
}

func leftBeside(desired release.Release, held *release.Release, host state.Host) (list []release.Accessory) {
	for _, c := range host.Containers {
		name, ours := plan.OwnAccessory(desired.App(), held, host.Name, c)
		known := func(a release.Accessory) bool { return a.Service == c.Service }
		if !ours || slices.ContainsFunc(desired.AccessoriesOn(host.Name), known) || slices.ContainsFunc(list, known) {
			continue
		}
		a := release.Accessory{Name: name, Service: c.Service, Stop: release.Stop{Grace: engineGrace}}
		if held != nil {
			if was, ok := held.Accessory(name); ok && was.Service == c.Service {
				a = was
			}
		}
		if !a.Shared {
			list = append(list, a)
		}
	}
	return list
}

// besides are the accessories that go with the app on a host, and those that stay since others may share them.
func (r *removal) besides(host string) (going, shared []release.Accessory) {
	for _, a := range r.desired.AccessoriesOn(host) {
		if a.Shared {
			shared = append(shared, a)
		} else {
			going = append(going, a)
		}
	}
	return append(going, r.left[host]...), shared
}

// besideDeeds are what is done to a host's accessories when all roles are gone from all hosts.
func (r *removal) besideDeeds(host string) (list []deed) {
	going, _ := r.besides(host)
	for _, a := range going {
		d := removalDeed(host, state.AccessoryRole(a.Name), "remove "+a.Service)
		d.step, d.stage = "remove/"+host+"/"+a.Service, 1
		list = append(list, d)
	}
	return list
}

// accessory takes an accessory's containers away, its files and secrets, and with data what it has kept.
func (r *removal) accessory(ctx context.Context, host release.Host, d deed) (CommandedOn, error) {
	result := CommandedOn{Host: host.Name, Role: d.role}
	if r.failed() {
		return result, errors.New("roles of the app could not be ended: they may need it")
	}
	going, _ := r.besides(host.Name)
	i := slices.IndexFunc(going, func(a release.Accessory) bool { return "remove "+a.Service == d.message })
	on, err := r.seeAccessory(ctx, host, d.role, going[i])
	if err != nil {
		return result, err
	}
	if owner, theirs := on.anothers(); theirs {
		result.Did, result.Unchanged = "stays: the container "+on.accessory.Service+" belongs to the accessory "+owner, true
		return result, nil
	}
	k, err := on.kept(ctx)
	if err != nil {
		return result, err
	}
	err = r.end(ctx, on, k)
	result.Did, result.Unchanged, result.Notes = on.did, on.unchanged, on.notes
	return result, err
}

// end is what is done to an accessory that goes.
func (r *removal) end(ctx context.Context, on *accessoryOn, k keptData) error {
	on.did, on.unchanged = "removed "+containerNames(on.all), len(on.all) == 0
	if on.unchanged {
		on.did = "nothing of it was there"
	} else if err := r.c.noteStop(ctx, on.conn, on.desired, on.seen, on.role, r.reason.Reason, false); err != nil {
		return err
	}
	if err := on.take(ctx); err != nil {
		return err
	}
	if !r.data {
		if stays := k.names(); len(stays) > 0 && !on.unchanged {
			on.notes = append(on.notes, "its data stays: "+strings.Join(stays, ", "))
		}
		return on.dropFiles(ctx)
	}
	for _, volume := range k.volumes { // they go when all containers are gone
		r.remember(on.on.Name, volume)
	}
	there, err := on.conn.Files.List(ctx, on.accessory.Service)
	if err != nil {
		return err
	}
	if len(there) > 0 && on.unchanged {
		on.did, on.unchanged = "removed its data", false
	} else if len(there) > 0 {
		on.did += ", with its data"
	}
	notes, err := removeData(ctx, on.conn, on.desired, on.accessory, k)
	on.notes = append(on.notes, notes...)
	return err
}

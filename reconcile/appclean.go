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

// images takes away what roles that left the host have left there, and then the app's images that nobody else has.
func (r *removal) images(ctx context.Context, on release.Host) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name}
	conn, err := r.locks.connection(ctx, on)
	if err != nil {
		return result, err
	}
	left, err := r.orphans(ctx, on, conn)
	if err != nil {
		return result, err
	}
	if r.whole {
		more, err := r.passing(ctx, conn)
		if err != nil {
			return result, err
		}
		left = append(left, more...)
	}
	gone, stay, err := r.references(ctx, conn)
	if err != nil {
		return result, err
	}
	removed := 0
	for _, ref := range gone {
		err := unless(conn.Engine.RemoveImage(ctx, ref), state.ErrNotFound)
		switch {
		case errors.Is(err, state.ErrConflict):
			stay = append(stay, ref)
		case err != nil:
			return result, err
		default:
			removed++
		}
	}
	result.Did, result.Unchanged = fmt.Sprintf("removed %d names of images", removed), removed == 0 && len(left) == 0
	if removed == 0 {
		result.Did = "no image of it was there"
	}
	if len(left) > 0 {
		result.Did = "removed " + strings.Join(left, ", ") + "; " + result.Did
	}
	if len(stay) > 0 {
		result.Notes = append(result.Notes, "used by others, and stays: "+strings.Join(stay, ", "))
	}
	return result, nil
}

// orphans removes containers and routes of roles that are not on the host any more, and gives the containers' names.
func (r *removal) orphans(ctx context.Context, on release.Host, conn *Connection) (names []string, err error) {
	own, err := ownContainers(ctx, conn, r.desired.App(), "")
	if err != nil {
		return nil, err
	}
	wanted := rolesOn(r.desired, plan.Filter{}, on.Name)
	var roles []string
	for _, c := range own {
		if !slices.Contains(wanted, c.Role) && !slices.Contains(roles, c.Role) {
			roles = append(roles, c.Role)
		}
	}
	for _, name := range roles {
		role, err := r.seeRole(ctx, on, name)
		if err != nil {
			return names, err
		}
		if _, err := r.mounted(ctx, role); err != nil {
			return names, err
		}
		if err := role.end(ctx); err != nil {
			return names, err
		}
		for _, c := range role.own {
			if err := conn.Engine.Remove(ctx, c.ID); err != nil {
				return names, err
			}
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// passing removes the containers that were made for one command (a person's, a hook's) or to take assets out of an image, and gives
// their names. A hook that still runs is asked to end first.
func (r *removal) passing(ctx context.Context, conn *Connection) (names []string, err error) {
	list, err := conn.Engine.Containers(ctx, state.Filter{}) // an extractor has no label of ours
	for _, c := range list {
		if err != nil || !r.passes(c) {
			continue
		}
		if c.Hook != "" && (c.Running() || c.Status == state.StatusRestarting) {
			if err = endHook(ctx, conn, c.ID); err != nil {
				continue
			}
		}
		if err = unless(conn.Engine.Remove(ctx, c.ID), state.ErrNotFound); err == nil {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// passes tells whether a container is of the app, and of none of its roles.
func (r *removal) passes(c state.Container) bool {
	app := r.desired.App()
	if c.Exec != "" || c.Hook != "" {
		return c.Service == app.Service && c.Destination == app.Destination
	}
	return c.Role == "" && c.Status == state.StatusCreated && (c.Service == "" || c.Service == app.Service) &&
		slices.ContainsFunc(r.desired.Roles, func(role release.Role) bool { return c.Name == extractorName(app, role.Name) })
}

// endHook stops a hook's container, with the grace that is stored on it.
func endHook(ctx context.Context, conn *Connection, id string) error {
	grace := engineGrace
	if seen, err := conn.Engine.Inspect(ctx, id, state.View{}); err == nil {
		grace = plan.Grace(seen, grace)
	}
	return stop(ctx, conn, id, grace)
}

// references are the names under which the app's repository has images on a host: those that can go, and those that others need. An
// image that a container has is that container's, whoever's it is, and so is one that another destination's latest is at.
func (r *removal) references(ctx context.Context, conn *Connection) (gone, stay []string, err error) {
	images, err := conn.Engine.Images(ctx, r.desired.ImageName())
	if err != nil {
		return nil, nil, err
	}
	containers, err := conn.Engine.Containers(ctx, state.Filter{})
	if err != nil {
		return nil, nil, err
	}
	app, latest := r.desired.App(), r.desired.ImageName()+":latest"
	own := r.desired.ImageName() + ":" + app.LatestTag()
	for _, image := range images {
		others := slices.ContainsFunc(containers, func(c state.Container) bool {
			return c.ImageID == image.ID && (c.Service != app.Service || c.Destination != app.Destination)
		})
		service, labelled := image.Labels[state.LabelService]
		others = others || labelled && service != app.Service || slices.ContainsFunc(image.Tags, func(tag string) bool {
			return tag != own && (tag == latest || strings.HasPrefix(tag, latest+"-"))
		})
		refs := image.Tags
		if len(refs) == 0 {
			refs = image.Digests
		}
		for _, ref := range refs {
			switch {
			case ref == own || !others:
				gone = append(gone, ref)
			default:
				stay = append(stay, ref)
			}
		}
	}
	slices.Sort(gone)
	slices.Sort(stay)
	return gone, stay, nil
}

// removeData takes away the volumes that only this app's containers had.
func (r *removal) removeData(ctx context.Context, on release.Host) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name}
	conn, err := r.locks.connection(ctx, on)
	if err != nil {
		return result, err
	}
	for _, role := range r.desired.Roles {
		for _, volume := range role.Volumes { // also those of containers that an interrupted removal has taken away
			if source, _, ok := strings.Cut(volume, ":"); ok && slices.Contains(role.Hosts, on.Name) && !strings.ContainsAny(source, "/.~") {
				r.remember(on.Name, source)
			}
		}
	}
	r.mu.Lock()
	volumes := slices.Clone(r.volumes[on.Name])
	r.mu.Unlock()
	slices.Sort(volumes)
	gone, notes, err := dropVolumes(ctx, conn, volumes)
	if result.Notes = notes; err != nil {
		return result, err
	}
	result.Did, result.Unchanged = "removed the volumes "+strings.Join(gone, ", "), len(gone) == 0
	if len(gone) == 0 {
		result.Did = "no volume of it to remove"
	}
	return result, nil
}

// proxy takes the proxy away that nobody else needs.
func (r *removal) proxy(ctx context.Context, on release.Host) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name}
	p, err := r.look(ctx, on)
	if err != nil {
		return result, err
	}
	others, err := p.others(ctx)
	if err != nil {
		return result, err
	}
	if stays := p.accessories(); len(stays) > 0 {
		result.Did, result.Unchanged = "the proxy stays: accessories of the app's are behind it ("+strings.Join(stays, ", ")+")", true
		return result, nil
	}
	if len(others) > 0 {
		result.Did, result.Unchanged = "the proxy stays: other apps need it ("+strings.Join(others, ", ")+")", true
		return result, nil
	}
	err = p.remove(ctx, nil)
	result.Did, result.Unchanged, result.Notes = "the proxy "+p.did, p.unchanged, p.notes
	return result, err
}

// files takes the app's files away: of a role's removal all but what says that it is on purpose, and what was released.
func (r *removal) files(ctx context.Context, on release.Host) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name, Did: "removed its secrets, certificates and assets; its release records stay"}
	conn, err := r.locks.connection(ctx, on)
	if err != nil {
		return result, err
	}
	paths := layoutOf(r.desired)
	list, err := r.proxyFiles(ctx, on.Name, conn)
	if err != nil {
		return result, err
	}
	if r.whole {
		result.Did = "removed its files"
		_, shared := r.besides(on.Name)
		for _, a := range shared {
			result.Notes = append(result.Notes, fmt.Sprintf("the accessory %s stays: others may share it (shared = true); `kamald accessory remove %s` takes it away", a.Name, a.Name))
		}
		list = append(list, paths.audit(), paths.appDir())
	} else {
		own, err := r.ownFiles(ctx, conn, paths)
		if err != nil {
			return result, err
		}
		list = append(list, own...)
	}
	for _, file := range list {
		if err := conn.Files.Remove(ctx, file); err != nil {
			return result, err
		}
	}
	return result, nil
}

// ownFiles are what an app has on a host in its directory, without its release records and without what its accessories need: they stay.
func (r *removal) ownFiles(ctx context.Context, conn *Connection, paths layout) (list []string, err error) {
	names, err := conn.Files.List(ctx, paths.appDir())
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if file := path.Join(paths.appDir(), name); file != paths.ours() && name != "env" {
			list = append(list, file)
		}
	}
	for dir, but := range map[string]string{path.Join(paths.appDir(), "env"): "accessories", path.Join(paths.ours(), "certificates"): "accessory"} {
		within, err := conn.Files.List(ctx, dir)
		switch {
		case err != nil:
			return nil, err
		case !slices.Contains(within, but):
			list = append(list, dir)
			continue
		}
		for _, name := range within {
			if name != but {
				list = append(list, path.Join(dir, name))
			}
		}
	}
	slices.Sort(list) // each run does the same in the same order
	return list, nil
}

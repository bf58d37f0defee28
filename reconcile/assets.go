package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// listAssets lists the sets of assets on the host, where the release has any, or the one before it had, and where no role is any more.
func (l *look) listAssets(ctx context.Context, group crew) {
	had := len(l.old.Assets.Own)+len(l.old.Assets.Volumes) > 0
	has := func(role release.Role) bool { return role.Assets != nil && slices.Contains(role.Hosts, l.on.Name) }
	left := slices.ContainsFunc(l.desired.Roles, func(role release.Role) bool { return role.Assets != nil }) && len(rolesOn(l.desired, plan.Filter{}, l.on.Name)) == 0
	if !had && !left && !slices.ContainsFunc(l.desired.Roles, has) {
		return
	}
	group.Go(func() (err error) { l.host.Assets.Own, err = l.conn.Files.List(ctx, l.paths.ownAssets()); return })
	group.Go(func() (err error) {
		l.host.Assets.Volumes, err = l.conn.Files.List(ctx, l.paths.assetVolumes())
		return
	})
}

// assets gives a role's new version its assets, and both versions each other's. Nothing that is there is written over: pages of
// either version find what they ask for. A set appears whole, by a rename, so that one that is there can be trusted.
func (r *run) assets(ctx context.Context, conn *Connection, s plan.Step) error {
	a := *s.Assets
	own, volume := path.Join(r.paths.ownAssets(), s.Name), path.Join(r.paths.assetVolumes(), s.Name)
	if a.Anew {
		for _, dir := range []string{own, volume} {
			if err := conn.Files.Remove(ctx, dir); err != nil {
				return err
			}
		}
	}
	if !a.Have {
		if err := r.bringAssets(ctx, conn, s, own, volume); err != nil {
			return err
		}
	}
	if a.Other == "" {
		return nil
	}
	r.bridge(ctx, conn, s, own, path.Join(r.paths.assetVolumes(), a.Other), true)
	r.bridge(ctx, conn, s, path.Join(r.paths.ownAssets(), a.Other), volume, false)
	return nil
}

// bringAssets takes a set out of the image and makes of it what the container is to have mounted.
func (r *run) bringAssets(ctx context.Context, conn *Connection, s plan.Step, own, volume string) error {
	fresh := beside(own)
	if err := conn.Files.Remove(ctx, fresh); err != nil { // an interrupted run may have left it
		return err
	}
	if err := r.extract(ctx, conn, s, fresh); err != nil {
		return err
	}
	seen, _ := r.seen.Host(s.Host)
	if err := settle(ctx, conn.Files, fresh, own, !s.Assets.Anew && slices.Contains(seen.Assets.Own, s.Name)); err != nil {
		return err
	}
	if !s.Assets.Anew && slices.Contains(seen.Assets.Volumes, s.Name) {
		return conn.Files.Share(ctx, own, volume)
	}
	fresh = beside(volume)
	if err := conn.Files.Remove(ctx, fresh); err != nil {
		return err
	}
	if err := conn.Files.Share(ctx, own, fresh); err != nil {
		return err
	}
	return conn.Files.Rename(ctx, fresh, volume)
}

// settle puts a new tree where it belongs; one that is there gets what it has not.
func settle(ctx context.Context, f Files, fresh, at string, there bool) error {
	if !there {
		return f.Rename(ctx, fresh, at)
	}
	if err := f.Share(ctx, fresh, at); err != nil {
		return err
	}
	return f.Remove(ctx, fresh)
}

// beside is where a tree is made before it gets its name. No role's name begins with a dot.
func beside(dir string) string { return path.Join(path.Dir(dir), "."+path.Base(dir)+".new") }

// extract unpacks the image's assets into a directory, from a container of it that is never started.
func (r *run) extract(ctx context.Context, conn *Connection, s plan.Step, dir string) error {
	a := *s.Assets
	name := extractorName(r.desired.App(), s.Role)
	spec := state.Spec{Image: a.Image, Digest: a.Digest, Cmd: []string{"assets"}}
	id, err := r.extractor(ctx, conn, name, spec)
	if err != nil {
		return err
	}
	err = unpackFrom(ctx, conn, id, a.Path, dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: the image has no directory %s: correct asset_path, or give role %q asset_path = \"\" where it has no assets", err, a.Path, s.Role)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(err, conn.Engine.Remove(ending, id))
}

// extractorName is Kamal's name for the container that a role's assets are taken out of.
func extractorName(app state.App, role string) string { return app.ContainerPrefix(role) + "assets" }

// extractor makes the container. One that an interrupted run left, of ours or Kamal's, makes way: it has no role, and was never started.
func (r *run) extractor(ctx context.Context, conn *Connection, name string, spec state.Spec) (string, error) {
	id, err := conn.Engine.Create(ctx, name, spec, nil, nil)
	if !errors.Is(err, state.ErrConflict) {
		return id, err
	}
	left, looked := conn.Engine.Inspect(ctx, name, state.View{})
	if looked != nil || left.Role != "" || left.Status != state.StatusCreated {
		return "", errors.Join(err, unless(looked, state.ErrNotFound))
	}
	if err := conn.Engine.Remove(ctx, left.ID); err != nil {
		return "", err
	}
	return conn.Engine.Create(ctx, name, spec, nil, nil)
}

func unpackFrom(ctx context.Context, conn *Connection, container, from, dir string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the download with the unpacking
	archive, err := conn.Engine.Download(ctx, container, from)
	if err != nil {
		return err
	}
	return errors.Join(conn.Files.Unpack(ctx, dir, archive), archive.Close())
}

// bridge gives one version what the other has. That is for pages that were loaded before the switch: what stands in its way is told,
// and fails no release. A set that is not there is one of a version that had no assets.
func (r *run) bridge(ctx context.Context, conn *Connection, s plan.Step, from, to string, mustBe bool) {
	seen, _ := r.seen.Host(s.Host)
	if mustBe && !slices.Contains(seen.Assets.Volumes, path.Base(to)) {
		return
	}
	err := unless(conn.Files.Share(ctx, from, to), fs.ErrNotExist)
	if err == nil || ctx.Err() != nil {
		return
	}
	remark := fmt.Sprintf("%s: the assets of %s could not all be given to %s: pages of the one that ask the other for them may miss some: %v", s.Host, path.Base(from), path.Base(to), err)
	r.mu.Lock()
	r.remarks = append(r.remarks, remark)
	r.mu.Unlock()
	r.c.report(Progress{Kind: "warn", Host: s.Host, Role: s.Role, Step: s.ID, Message: remark})
}

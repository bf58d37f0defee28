package reconcile

import (
	"context"
	"io/fs"
	"path"

	"github.com/kamald/kamald/plan"
)

// listPages lists the sets of error pages on the host, where the release has some, or the one before it had.
func (l *look) listPages(ctx context.Context, group crew) {
	if len(l.desired.ErrorPages)+len(l.old.ErrorPages) == 0 {
		return
	}
	group.Go(func() (err error) { l.host.ErrorPages, err = l.conn.Files.List(ctx, l.paths.errorPages()); return })
}

// pages writes the release's error pages, readable for whatever user the proxy has. A set appears whole, by a rename.
func (r *run) pages(ctx context.Context, conn *Connection, s plan.Step) error {
	dir := path.Join(r.paths.errorPages(), s.Name)
	fresh := beside(dir)
	if err := conn.Files.Remove(ctx, fresh); err != nil {
		return whyNotOurs(err, r.paths)
	}
	group, grouped := crewWithin(ctx)
	for name, text := range r.desired.ErrorPages {
		group.Go(func() error { return conn.Files.Write(grouped, path.Join(fresh, name), []byte(text), 0o644) })
	}
	if err := group.Wait(); err != nil {
		return whyNotOurs(err, r.paths)
	}
	if err := openFor(ctx, conn.Files, r.paths, fresh); err != nil {
		return err
	}
	return unless(conn.Files.Rename(ctx, fresh, dir), fs.ErrExist)
}

package reconcile

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// engine asks what the engine is, and how much is free where it keeps its data: at once where the last look knew that place.
func (l *look) engine(ctx context.Context) error {
	root := l.old.Engine.Root
	group, grouped := errgroup.WithContext(ctx)
	group.Go(func() (err error) { l.host.Engine, err = l.conn.Engine.Info(grouped); return })
	group.Go(func() error { l.free(grouped, root); return nil })
	if err := group.Wait(); err != nil {
		return err
	}
	if l.host.Engine.Root != root {
		l.free(ctx, l.host.Engine.Root)
	}
	return nil
}

// free keeps how many bytes are free at a place; one that the user may not look at, or that cannot say, stays unknown.
func (l *look) free(ctx context.Context, root string) {
	l.host.FreeBytes = -1
	if root == "" {
		return
	}
	if free, err := l.conn.Files.Free(ctx, root); err == nil {
		l.host.FreeBytes = free
	}
}

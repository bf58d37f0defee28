package reconcile

import (
	"context"
	"time"

	"github.com/kamald/kamald/state"
)

// containerdRoot is where containerd keeps images, and unpacks them, unless it is told otherwise or is the engine's own.
const containerdRoot = "/var/lib/containerd"

// engine asks what the engine is, and how much is free where it keeps its data: at once where the last look knew that place.
func (l *look) engine(ctx context.Context) error {
	known := l.old.Engine
	group, grouped := crewWithin(ctx)
	group.Go(func() (err error) { l.host.Engine, err = engineInfo(grouped, l.conn); return })
	group.Go(func() error { l.free(grouped, known); return nil })
	if err := group.Wait(); err != nil {
		return err
	}
	if l.host.Engine.Root != known.Root || l.host.Engine.Containerd != known.Containerd {
		l.free(ctx, l.host.Engine)
	}
	return nil
}

// engineInfo asks what the engine is, and compares its clock with this machine's: what it said it at lies between question and answer.
func engineInfo(ctx context.Context, conn *Connection) (state.Engine, error) {
	asked := time.Now()
	engine, err := conn.Engine.Info(ctx)
	answered := time.Now()
	switch clock := engine.Clock; {
	case err != nil || clock.IsZero():
	case clock.After(answered):
		engine.Ahead = clock.Sub(answered)
	case clock.Before(asked):
		engine.Ahead = clock.Sub(asked)
	}
	return engine, err
}

// free keeps how many bytes are free where an engine keeps its data, and where that is least; what the user may not look at, or that
// cannot say, stays unknown.
func (l *look) free(ctx context.Context, engine state.Engine) {
	l.host.FreeBytes, l.host.DiskBytes, l.host.FreeIn = -1, 0, ""
	if engine.Root == "" {
		return
	}
	var images, imageDisk int64 = -1, 0
	var asking branches
	if engine.Containerd {
		asking.Go(func() { images, imageDisk = l.freeIn(ctx, containerdRoot) })
	}
	l.host.FreeBytes, l.host.DiskBytes = l.freeIn(ctx, engine.Root)
	asking.Wait()
	if images >= 0 && (l.host.FreeBytes < 0 || images < l.host.FreeBytes) {
		l.host.FreeBytes, l.host.DiskBytes, l.host.FreeIn = images, imageDisk, containerdRoot
	}
}

// freeIn is how many bytes are free in a directory, and how large its file system is; -1 and 0 where nobody says.
func (l *look) freeIn(ctx context.Context, dir string) (free, size int64) {
	free, size, err := l.conn.Files.Free(ctx, dir)
	if err != nil {
		return -1, 0
	}
	return free, size
}

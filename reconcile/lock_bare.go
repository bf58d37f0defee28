package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// isBare tells whether a lock is still the directory that this run made a moment ago and whose details it could not write, as on
// a full disk. Nobody takes such a one over before a lease has passed, so it is ours to remove.
func (h *heldLock) isBare(ctx context.Context, conn *Connection, paths layout, now time.Time) bool {
	if h.written || now.Sub(h.claimed) > lease/2 {
		return false
	}
	_, err := conn.Files.Read(ctx, paths.lockDetails())
	return errors.Is(err, fs.ErrNotExist)
}

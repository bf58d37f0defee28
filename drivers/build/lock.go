package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lockPause is how often a lock that another has is asked for again: the system's own waiting does not end with a context.
const lockPause = 100 * time.Millisecond

// lockBuilder takes the lock on a builder's name, which all projects of a user share. It waits for whoever has it, told once of that,
// until ctx ends. The lock ends with the process.
func lockBuilder(ctx context.Context, name string, waits func()) (*os.File, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no place for the lock on the builder %s: %w", name, err)
	}
	dir := filepath.Join(cache, "kamald")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("no place for the lock on the builder %s: %w", name, err)
	}
	path := filepath.Join(dir, "builder-"+name+".lock")
	for first := true; ; first = false {
		lock, err := lockFile(path)
		if err != nil || lock != nil {
			return lock, err
		}
		if first {
			waits()
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: waiting for another build to make the builder %s (its lock is %s): %w", ErrEnded, name, path, context.Cause(ctx))
		}
	}
}

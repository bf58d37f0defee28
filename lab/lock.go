package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockPoll is how often a waiting process asks again; flock has no wait that a context could end.
const lockPoll = 50 * time.Millisecond

// Acquire takes the lease on the hosts: as long as it is held, no other holder, in this process or another, uses them.
// It waits until the context ends. who says in other processes' messages what holds it. The kernel gives the lease back
// when the process dies.
func Acquire(ctx context.Context, who string) (release func(), err error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(dir, "lease.lock"), who)
}

// lockFile takes an exclusive flock on a file that is made when missing and never removed: removing it would let two
// processes lock two files of one name.
func lockFile(ctx context.Context, path, who string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("lab: lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: lock: %w", err)
	}
	if err := waitForLock(ctx, file); err != nil {
		_ = file.Close()
		return nil, err
	}
	// The holder's name is a courtesy to whoever waits; the lock is the kernel's.
	_ = file.Truncate(0)
	_, _ = file.WriteAt(fmt.Appendf(nil, "%s (process %d)\n", who, os.Getpid()), 0)
	return func() { _ = file.Close() }, nil
}

func waitForLock(ctx context.Context, file *os.File) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lab: lock %s: %w", file.Name(), err)
		}
		select {
		case <-ctx.Done():
			holder, _ := os.ReadFile(file.Name())
			return fmt.Errorf("lab: %s is held by %s: %w", file.Name(), strings.TrimSpace(string(holder)), ctx.Err())
		case <-tick.C:
		}
	}
}

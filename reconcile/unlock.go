package reconcile

import (
	"context"
	"errors"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Unlock takes away the deploy lock on every host of the release, whoever holds it, and gives whose they were. It is for a
// person who knows that nobody is deploying.
func (c *Controller) Unlock(ctx context.Context, desired release.Release) (map[string]state.Lock, error) {
	paths := layoutOf(desired)
	found := map[string]state.Lock{}
	var errs []error
	var deeds []deed
	for _, on := range desired.Hosts {
		lock, err := c.lockOn(ctx, on, paths)
		if err != nil {
			errs = append(errs, named(on.Name, "read the deploy lock", err))
		}
		if lock != nil {
			found[on.Name] = *lock
			deeds = append(deeds, deed{kind: "unlock", host: on.Name, step: "unlock", message: "release the deploy lock of " + orUnknown(lock.Owner)})
		}
	}
	if len(deeds) == 0 {
		return nil, errors.Join(errs...)
	}
	notes := c.journal(desired.App())
	if err := notes.intend(deeds...); err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	taken, hosts := map[string]state.Lock{}, hostsOf(desired)
	for _, d := range deeds {
		err := c.unlockOn(ctx, hosts[d.host], desired, d.message)
		notes.end(d, err)
		if err != nil {
			errs = append(errs, named(d.host, "release the deploy lock", err))
			continue
		}
		taken[d.host] = found[d.host]
	}
	return taken, errors.Join(append(errs, notes.write())...)
}

func (c *Controller) lockOn(ctx context.Context, on release.Host, paths layout) (*state.Lock, error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	lock, _, err := findLock(ctx, conn.Files, paths) // one without details is a lock too
	return lock, err
}

func (c *Controller) unlockOn(ctx context.Context, on release.Host, desired release.Release, message string) error {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return err
	}
	if err := conn.Files.Remove(ctx, layoutOf(desired).lock()); err != nil {
		return err
	}
	c.auditOn(ctx, conn, desired, "", strings.ToUpper(message[:1])+message[1:])
	return nil
}

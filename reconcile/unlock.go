package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Unlock takes away the deploy lock on every host of the release, whoever holds it, and gives whose they were. It is for a
// person who knows that nobody is deploying.
func (c *Controller) Unlock(ctx context.Context, desired release.Release) (map[string]state.Lock, error) {
	paths := layoutOf(desired)
	taken := map[string]state.Lock{}
	var errs []error
	for _, on := range desired.Hosts {
		conn, err := c.fleet.Connection(ctx, on)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found, err := readLock(ctx, conn.Files, paths)
		if err == nil {
			err = conn.Files.Remove(ctx, paths.lock())
		}
		if err != nil {
			errs = append(errs, named(on.Name, "release the deploy lock", err))
			continue
		}
		if found != nil {
			taken[on.Name] = *found
		}
	}
	if len(taken) > 0 {
		errs = append(errs, c.Store.Append(desired.App(), state.Event{At: c.now(), Kind: "unlocked", Message: fmt.Sprintf("the deploy lock was released by %s on %s", c.Owner.Who, strings.Join(sortedKeys(taken), ", "))}))
	}
	return taken, errors.Join(errs...)
}

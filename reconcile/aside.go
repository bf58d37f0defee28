package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Waiting is the same controller, which waits so long for another's lock.
func (c *Controller) Waiting(limit time.Duration) *Controller {
	other := c.beside()
	other.LockWait, other.LockWaitLimit = true, limit
	return other
}

// As is the same controller, acting for somebody: records and audit lines bear that name. What runs is still this process, by which others
// see whether the owner of a lock lives.
func (c *Controller) As(who string) *Controller {
	other := c.beside()
	if who != "" {
		other.Owner.Who, other.Performer = who, ""
	}
	return other
}

// beside shares the connections and all settings.
func (c *Controller) beside() *Controller {
	return &Controller{Store: c.Store, Secrets: c.Secrets, Owner: c.Owner, Report: c.Report, LockWait: c.LockWait, LockWaitLimit: c.LockWaitLimit,
		Hooks: c.Hooks, AllSecrets: c.AllSecrets, Command: c.Command, Performer: c.Performer, Now: c.Now, NewSpool: c.NewSpool, Throttle: c.Throttle, StageBytes: c.StageBytes, fleet: c.fleet}
}

// Logs gives the last lines of a container of the app, by its name. One that is not the app's is as if it were not there.
func (c *Controller) Logs(ctx context.Context, desired release.Release, host, container string, lines int) ([]string, error) {
	on, ok := desired.Host(host)
	if !ok {
		return nil, fmt.Errorf("%s is no host of %s: %w", host, desired.App(), state.ErrNotFound)
	}
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	all, err := conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: desired.Service}})
	if err != nil {
		return nil, named(host, "list containers", err)
	}
	i := slices.IndexFunc(all, func(c state.Container) bool {
		return c.Name == container && c.Destination == desired.Destination && c.Role != ""
	})
	if i < 0 {
		return nil, fmt.Errorf("%s has no container %s of %s: %w", host, container, desired.App(), state.ErrNotFound)
	}
	return conn.Engine.Logs(ctx, all[i].ID, lines, time.Time{})
}

// Records tells whether a record is of exactly this release.
func Records(record state.Record, desired release.Release) bool {
	kept, err := heldAs(record, desired)
	return err == nil && release.Digest(kept) == release.Digest(desired)
}

package reconcile

import (
	"context"
	"errors"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// sweep takes the locks away that a run which is gone has left behind, where there is nothing else to do: a run that has
// something to do takes them over. Kamal, which knows no leases, would be kept out by them for ever.
func (c *Controller) sweep(ctx context.Context, planned Planned) error {
	var errs []error
	for _, on := range reachable(planned) {
		if host, ok := planned.Snapshot.Host(on.Name); ok && c.isStale(host) {
			errs = append(errs, c.sweepHost(ctx, planned.Desired, on))
		}
	}
	return errors.Join(errs...)
}

// isStale tells whether a host's lock, as it was seen, is that of a process of this machine that is gone, or has outlived its
// lease by the host's own clock.
func (c *Controller) isStale(host state.Host) bool {
	if host.Lock == nil || host.Lock.Lease == 0 {
		return false
	}
	return c.ownerIsDead(host.Lock.Owner) || host.Engine.Clock.Sub(host.Lock.Renewed) > host.Lock.Lease
}

func (c *Controller) sweepHost(ctx context.Context, desired release.Release, on release.Host) error {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return err
	}
	err = c.takeOver(ctx, desired, layoutOf(desired), on, conn, c.newWaiting(c.now()))
	if held := (*LockedError)(nil); errors.As(err, &held) {
		return nil // somebody is at work by now
	}
	return err
}

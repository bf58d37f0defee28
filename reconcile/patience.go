package reconcile

import (
	"context"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// observeWithin is observeHost that waits for a host no longer than patience, 0: as long as its calls may take. A connection that is
// being made by then goes on to be made, so that a slow host is not for ever begun anew.
func observeWithin(ctx context.Context, patience time.Duration, fleet *Fleet, desired release.Release, on release.Host, old state.Host, records *sameRecord) (state.Host, digestKey, error) {
	if patience == 0 {
		return observeHost(ctx, fleet, desired, on, old, records)
	}
	slow := &DeadlineError{Call: Call{Host: on.Name, Method: "a look"}, After: patience}
	within, cancel := context.WithTimeoutCause(ctx, patience, slow)
	defer cancel()
	reached := make(chan error, 1)
	go func() {
		reached <- Guard(func() error { _, err := fleet.Connection(ctx, on); return err })
	}()
	select {
	case err := <-reached:
		if err != nil {
			return state.Host{}, digestKey{}, err
		}
	case <-within.Done():
		return state.Host{}, digestKey{}, context.Cause(within)
	}
	host, key, err := observeHost(within, fleet, desired, on, old, records)
	if err != nil && within.Err() != nil {
		err = context.Cause(within)
	}
	return host, key, err
}

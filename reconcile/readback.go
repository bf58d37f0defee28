package reconcile

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	// lateBy is how much later than its own time a proxy may still be seen to have switched.
	lateBy = time.Second
	// readBackEvery is how often a proxy is asked what became of a call whose reply was lost.
	readBackEvery = 500 * time.Millisecond
	// removeTakes is how long it is asked what became of a removal, which it does at once.
	removeTakes = 10 * time.Second
)

// switchedAfterAll finds out what became of a switch whose reply was lost; nil when the route goes to its target, with its options. A proxy goes on with a
// deploy whose caller is gone, and may switch until the time for it has passed: until then nothing can be taken back, for the container
// that would be removed may get the traffic. The old one's requests have their time to end then, as they have within the call.
func (r *run) switchedAfterAll(ctx context.Context, host string, route state.Route, lost error) error {
	r.c.report(Progress{Kind: "warn", Host: host, Message: fmt.Sprintf("the reply of the proxy about route %s was lost: it is asked until it has switched, or cannot any more (%s)",
		route.Name, r.desired.DeployTimeout)})
	switched := r.readBack(ctx, host, route.Name, r.desired.DeployTimeout+lateBy, func(kept state.Route, there bool) bool {
		return there && kept.TargetID() == route.TargetID() && reflect.DeepEqual(kept.Options, route.Options)
	})
	if !switched {
		return lost
	}
	seen, _ := r.seen.Host(host)
	if _, had := seen.Proxy.Route(route.Name); had && errors.Is(lost, state.ErrUnreachable) { // a call that hung has waited longer
		_ = sleep(ctx, r.desired.DrainTimeout)
	}
	return nil
}

// unroute takes a route away. A reply that was lost is read back.
func (r *run) unroute(ctx context.Context, conn *Connection, host, name string) error {
	err := conn.Proxy.Remove(ctx, r.proxyName(), name)
	if !errors.Is(err, state.ErrUnreachable) || errors.Is(err, ErrLeaseLost) {
		return err
	}
	if r.readBack(ctx, host, name, removeTakes, func(_ state.Route, there bool) bool { return !there }) {
		return nil
	}
	return err
}

// readBack asks the proxy of a host for what it keeps of a route until that is so, over whatever connection there is then. It gives up
// when so long has passed, or another may hold the lock.
func (r *run) readBack(ctx context.Context, host, name string, most time.Duration, so func(kept state.Route, there bool) bool) bool {
	for began := time.Now(); ; {
		over := time.Since(began) >= most // the last look begins after that
		kept, there, err := r.keptRoute(ctx, host, name)
		switch {
		case err == nil && so(kept, there):
			return true
		case over, errors.Is(err, ErrLeaseLost), ctx.Err() != nil, errors.Is(err, context.Canceled):
			return false
		}
		_ = sleep(ctx, readBackEvery)
	}
}

func (r *run) keptRoute(ctx context.Context, host, name string) (kept state.Route, there bool, err error) {
	conn, err := r.connection(ctx, host)
	if err != nil {
		return kept, false, err
	}
	routes, err := conn.Proxy.Routes(ctx, r.proxyName())
	kept, there = state.Proxy{Routes: routes}.Route(name)
	return kept, there, err
}

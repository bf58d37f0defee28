package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// restore compares what a proxy that was started serves with what it had kept before, of every app, and deploys again what it
// has lost: kamal-proxy starts with no route at all when one of them cannot be restored (kamal-proxy-facts: state file and restart).
// It gives how many serve as they did.
func (p *proxyOn) restore(ctx context.Context, container string) (served int, err error) {
	if len(p.routes) == 0 {
		return 0, nil
	}
	var live []state.LiveRoute
	err = p.again(ctx, func(conn *Connection) (err error) { live, err = conn.Proxy.List(ctx, container); return })
	if err != nil {
		return 0, fmt.Errorf("it runs, and what it routes could not be read: %w; `kamald proxy routes` shows it", err)
	}
	var errs []error
	for _, route := range p.routes {
		lost := lostRoute(route, live)
		if lost == "" {
			served++
			continue
		}
		if err := p.redeploy(ctx, container, route); err != nil {
			errs = append(errs, fmt.Errorf("route %s to %s was lost (%s) and could not be put back: %w; deploy that app again", route.Name, strings.Join(route.Targets, ", "), lost, err))
			continue
		}
		served++
		p.note("route %s was lost (%s), and was put back", route.Name, lost)
		if route.Rollout != nil {
			p.note("the rollout of route %s was not: all its requests go to %s", route.Name, strings.Join(route.Targets, ", "))
		}
	}
	return served, errors.Join(errs...)
}

// lostRoute says why a route does not serve as it did; "" when it does.
func lostRoute(route state.Route, live []state.LiveRoute) string {
	i := slices.IndexFunc(live, func(l state.LiveRoute) bool { return l.Name == route.Name })
	if i < 0 {
		return "the proxy does not know it any more"
	}
	l := live[i]
	var targets []string
	for _, t := range l.Targets {
		targets = append(targets, t.Target)
	}
	switch {
	case l.State == state.RouteBroken:
		return l.Error
	case !slices.ContainsFunc(route.Targets, func(t string) bool { return slices.Contains(targets, t) }) && len(route.Targets) > 0:
		return "it goes to " + strings.Join(targets, ", ")
	case route.Stopped && l.State == state.RouteRunning, route.Paused && l.State == state.RouteRunning:
		return "it was stopped or paused, and serves"
	}
	return ""
}

// redeploy puts a route back as it was, with its options and its gate.
func (p *proxyOn) redeploy(ctx context.Context, container string, route state.Route) error {
	if err := p.again(ctx, func(conn *Connection) error {
		return conn.Proxy.Deploy(ctx, container, route, p.desired.DeployTimeout, 0)
	}); err != nil {
		return err
	}
	return p.again(ctx, func(conn *Connection) error {
		switch {
		case route.Stopped:
			return conn.Proxy.Stop(ctx, container, route.Name, route.StopMessage, 0)
		case route.Paused:
			return conn.Proxy.Pause(ctx, container, route.Name, 0, max(route.MaxPause, time.Second))
		}
		return nil
	})
}

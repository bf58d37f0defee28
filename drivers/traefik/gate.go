package traefik

import (
	"context"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

// Pause is refused: Traefik cannot hold requests.
func (d *Driver) Pause(_ context.Context, container, name string, _, _ time.Duration) error {
	return fmt.Errorf("route %s is not paused: Traefik %s cannot hold requests; `kamald app maintenance` answers them with 503", name, container)
}

// Stop answers the route's requests with 503 and lets those in flight have the time of drain. Traefik has no page that could show
// a message, so one is refused.
func (d *Driver) Stop(ctx context.Context, container, name, message string, drain time.Duration) error {
	switch {
	case drain < 0:
		return fmt.Errorf("route %s is not stopped: the drain timeout must not be negative, not %s", name, drain)
	case message != "":
		return fmt.Errorf("route %s is not stopped: Traefik %s cannot show a message; leave it out", name, container)
	}
	return d.gate(ctx, container, name, true, drain)
}

// Resume ends a stop.
func (d *Driver) Resume(ctx context.Context, container, name string) error {
	return d.gate(ctx, container, name, false, 0)
}

// List tells of each route whether Traefik serves by its file.
func (d *Driver) List(ctx context.Context, container string) ([]state.LiveRoute, error) {
	found, err := d.find(ctx, container)
	if err != nil {
		return nil, fmt.Errorf("list the routes of Traefik %s: %w", container, err)
	}
	records, err := d.records(ctx)
	if err != nil {
		return nil, err
	}
	listed := []state.LiveRoute{}
	for _, kept := range records {
		live := state.LiveRoute{Name: kept.Route.Name, State: state.RouteRunning, Targets: []state.LiveTarget{}}
		if kept.Route.Stopped {
			live.State = state.RouteStopped
		}
		if err := d.ask(ctx, found, kept.Mark); err != nil {
			live.State, live.Error = state.RouteBroken, fmt.Sprintf("Traefik does not serve by the file: %v", err)
		}
		for _, target := range kept.Route.Targets {
			live.Targets = append(live.Targets, state.LiveTarget{Target: target})
		}
		listed = append(listed, live)
	}
	return listed, nil
}

func (d *Driver) gate(ctx context.Context, container, name string, stopped bool, drain time.Duration) error {
	if err := validateName(name); err != nil {
		return err
	}
	found, err := d.find(ctx, container)
	if err != nil {
		return err
	}
	before, route, err := d.kept(ctx, name)
	if err != nil {
		return err
	}
	if before == nil {
		return fmt.Errorf("proxy %s (Traefik) has no route %s: %w", container, name, state.ErrNotFound)
	}
	if route.Stopped == stopped {
		return nil
	}
	route.Stopped = stopped
	if err := d.serve(ctx, found, route, before, gateLimit); err != nil {
		return err
	}
	return pause(ctx, drain)
}

package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

var errNoRoute = errors.New("a route has a name")

// Pause holds a route's requests, and returns when those in flight have ended.
func (p *Proxy) Pause(ctx context.Context, name, route string, drain, most time.Duration) error {
	if drain < 0 || most <= 0 {
		return fmt.Errorf("route %s is not paused for %s, drain %s", route, most, drain)
	}
	return p.gate(ctx, "Proxy.Pause", name, route, drain, func(r *state.Route) { r.Paused, r.Stopped, r.MaxPause, r.StopMessage = true, false, most, "" })
}

// Stop answers a route's requests with 503, and returns when those in flight have ended.
func (p *Proxy) Stop(ctx context.Context, name, route, message string, drain time.Duration) error {
	if drain < 0 {
		return fmt.Errorf("route %s is not stopped, drain %s", route, drain)
	}
	return p.gate(ctx, "Proxy.Stop", name, route, drain, func(r *state.Route) { r.Paused, r.Stopped, r.MaxPause, r.StopMessage = false, true, 0, message })
}

// Resume ends a pause and a stop.
func (p *Proxy) Resume(ctx context.Context, name, route string) error {
	return p.gate(ctx, "Proxy.Resume", name, route, 0, func(r *state.Route) { r.Paused, r.Stopped, r.MaxPause, r.StopMessage = false, false, 0, "" })
}

// List gives the routes that the running proxy has.
func (p *Proxy) List(ctx context.Context, name string) (list []state.LiveRoute, err error) {
	err = p.read(ctx, "Proxy.List", name, func(h *host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		for _, route := range h.routeList() {
			if h.unread[route.Name] {
				continue
			}
			list = append(list, state.LiveRoute{Name: route.Name, State: gateOf(route), Targets: h.live(c, route.Targets, route.Options.HealthPort)})
		}
		return nil
	})
	return list, err
}

// ForgetsRoutes lets a host's proxy read nothing of what it has kept at its next starts: so does kamal-proxy when a certificate of
// one of them is gone.
func (w *World) ForgetsRoutes(hostName string, forgets bool) {
	w.at(hostName, func(h *host) { h.forgets = forgets })
}

// SwitchesLate has a host's proxy see its targets healthy only so long after it was asked to route to them: whoever asked may be gone by
// then, and it switches all the same.
func (w *World) SwitchesLate(hostName string, by time.Duration) {
	w.at(hostName, func(h *host) { h.late = by })
}

func (w *World) switchesLate(h *host) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return h.late
}

func (p *Proxy) gate(ctx context.Context, method, name, route string, drain time.Duration, set func(*state.Route)) error {
	if route == "" {
		return errNoRoute
	}
	w, h := p.world, p.host
	var up life
	var targets []*container
	call := Call{Method: method, Args: route, Mutates: true}
	return p.call(ctx, call, func(*host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		if err := h.knows(name, route); err != nil {
			return err
		}
		kept := h.routes[route]
		set(&kept)
		h.routes[route] = kept
		up = life{c, c.started}
		for _, target := range kept.Targets {
			if c, status := h.reach(c, target, 0); status > 0 {
				targets = append(targets, c)
			}
		}
		return nil
	}, func(context.Context) error { return w.drain(h, up, targets, drain) })
}

// live asks each target for its health, as the proxy does.
func (h *host) live(proxy *container, targets []string, port int) []state.LiveTarget {
	list := []state.LiveTarget{}
	for _, target := range targets {
		health := "unhealthy"
		if _, status := h.reach(proxy, target, port); status >= 200 && status < 300 {
			health = "healthy"
		}
		list = append(list, state.LiveTarget{Target: target, Health: health})
	}
	return list
}

// restored is what a proxy has read of its routes when it starts.
func (h *host) restored(c *container) {
	if !c.isProxy() {
		return
	}
	h.unread, h.rollouts = map[string]bool{}, nil
	for name := range h.routes {
		h.unread[name] = h.forgets
	}
}

func gateOf(route state.Route) string {
	switch {
	case route.Stopped:
		return state.RouteStopped
	case route.Paused:
		return state.RoutePaused
	}
	return state.RouteRunning
}

// lastAnswers is what the driver fetches from the proxy's log: why its targets are not healthy.
func (w *World) lastAnswers(h *host, proxy life, route state.Route) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, target := range route.Targets {
		if _, status := h.reach(proxy.container, target, route.Options.HealthPort); status < 200 || status > 299 {
			return fmt.Sprintf(" (%s: status %d)", target, status)
		}
	}
	return ""
}

package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// rollout is what the proxy counts of one.
type rollout struct {
	sides state.Sides
	turn  int // hundredths of a request that are due to the rollout
}

// RolloutDeploy puts targets beside a route's own once they are healthy. When the caller goes away, the proxy goes on.
func (p *Proxy) RolloutDeploy(ctx context.Context, name, route string, targets []string, deploy, drain time.Duration) error {
	w, h := p.world, p.host
	if route == "" || len(targets) == 0 || deploy <= 0 || drain < 0 {
		return fmt.Errorf("the rollout of route %q to %v is not deployed", route, targets)
	}
	done := make(chan error, 1)
	call := Call{Method: "Proxy.RolloutDeploy", Args: route + " " + strings.Join(targets, ","), Mutates: true}
	return p.call(ctx, call, func(*host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		if err := h.knows(name, route); err != nil {
			return err
		}
		up := life{c, c.started}
		go func() { done <- w.rollOut(h, up, route, targets, deploy, drain) }()
		return nil
	}, func(ctx context.Context) error {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// RolloutSet gives the rollout a share.
func (p *Proxy) RolloutSet(ctx context.Context, name, route string, percent int) error {
	return p.mutate(ctx, "Proxy.RolloutSet", fmt.Sprintf("%s %d", route, percent), func(h *host) error {
		_, kept, err := h.rolledOut(name, route)
		if err != nil {
			return err
		}
		own := *kept.Rollout
		own.On, own.Percent = true, percent
		kept.Rollout = &own
		h.routes[route] = kept
		return nil
	})
}

// RolloutStop ends a rollout, and returns when its requests in flight have ended.
func (p *Proxy) RolloutStop(ctx context.Context, name, route string, drain time.Duration) error {
	w, h := p.world, p.host
	var up life
	var targets []*container
	call := Call{Method: "Proxy.RolloutStop", Args: route, Mutates: true}
	return p.call(ctx, call, func(*host) error {
		c, kept, err := h.rolledOut(name, route)
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		up = life{c, c.started}
		for _, target := range kept.Rollout.Targets {
			if c, status := h.reach(c, target, 0); status > 0 && !slices.Contains(kept.Targets, target) {
				targets = append(targets, c)
			}
		}
		kept.Rollout = nil
		h.routes[route] = kept
		delete(h.rollouts, route)
		return nil
	}, func(context.Context) error { return w.drain(h, up, targets, drain) })
}

// Sides gives what the proxy has counted.
func (p *Proxy) Sides(ctx context.Context, name, route string) (sides state.Sides, err error) {
	err = p.read(ctx, "Proxy.Sides", route, func(h *host) error {
		c, kept, err := h.rolledOut(name, route)
		if err != nil {
			return err
		}
		sides = h.counting(route).sides
		sides.Targets = h.live(c, kept.Rollout.Targets, kept.Options.HealthPort)
		return nil
	})
	return sides, err
}

// knows tells whether the running proxy has read a route.
func (h *host) knows(name, route string) error {
	if _, there := h.routes[route]; !there || h.unread[route] {
		return fmt.Errorf("proxy %s has no route %s: %w", name, route, state.ErrNotFound)
	}
	return nil
}

// rolledOut finds the proxy and a route of it that has a rollout.
func (h *host) rolledOut(name, route string) (*container, state.Route, error) {
	c, err := h.proxy(name)
	if err != nil {
		return nil, state.Route{}, err
	}
	if err := h.knows(name, route); err != nil {
		return nil, state.Route{}, err
	}
	kept := h.routes[route]
	if kept.Rollout == nil {
		return nil, state.Route{}, fmt.Errorf("route %s of proxy %s: %w", route, name, state.ErrNoRollout)
	}
	return c, kept, nil
}

func (h *host) counting(route string) *rollout {
	if h.rollouts == nil {
		h.rollouts = map[string]*rollout{}
	}
	if h.rollouts[route] == nil {
		h.rollouts[route] = &rollout{}
	}
	return h.rollouts[route]
}

// rollOut is what the proxy itself does.
func (w *World) rollOut(h *host, proxy life, route string, targets []string, deploy, drain time.Duration) error {
	old, err := w.until(deploy, time.Second, func() ([]*container, bool, error) { return w.tryRollOut(h, proxy, route, targets) })
	if errors.Is(err, errUnhealthy) {
		return fmt.Errorf("%w (%s)", err, deploy)
	}
	if err != nil {
		return err
	}
	return w.drain(h, proxy, old, drain)
}

func (w *World) tryRollOut(h *host, proxy life, route string, targets []string) (old []*container, done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h.settle(time.Now())
	if proxy.over(h) {
		return nil, false, errProxyEnded
	}
	if err := h.knows("", route); err != nil {
		return nil, false, err
	}
	kept := h.routes[route]
	for _, target := range targets {
		if _, status := h.reach(proxy.container, target, kept.Options.HealthPort); status < 200 || status > 299 {
			return nil, false, nil
		}
	}
	next := state.Rollout{Targets: slices.Clone(targets)}
	if before := kept.Rollout; before != nil {
		next.On, next.Percent, next.List = before.On, before.Percent, before.List
		for _, target := range before.Targets {
			if c, status := h.reach(proxy.container, target, 0); status > 0 && !slices.Contains(targets, target) && !slices.Contains(kept.Targets, target) {
				old = append(old, c)
			}
		}
	}
	kept.Rollout = &next
	h.routes[route] = kept
	delete(h.rollouts, route)
	return old, true, nil
}

// active gives a route's own targets.
func (h *host) active(route state.Route) (targets []string, count func(status int)) {
	return route.Targets, func(int) {}
}

// side chooses where the next request of a route goes: the share of the rollout is kept exactly, so that runs repeat.
func (h *host) side(route state.Route) (targets []string, count func(status int)) {
	if route.Rollout == nil {
		return h.active(route)
	}
	counts := h.counting(route.Name)
	targets, side := route.Targets, &counts.sides.Active
	if route.Rollout.On {
		counts.turn += route.Rollout.Percent
	}
	if counts.turn >= 100 {
		counts.turn -= 100
		targets, side = append(slices.Clone(route.Rollout.Targets), route.Targets...), &counts.sides.Rollout
	}
	return targets, func(status int) {
		side.Requests++
		if status == 0 || status >= 500 {
			side.Errors++
		}
	}
}

// CountsAnew makes a host's proxy forget what it has counted of rollouts, as when its program is replaced.
func (w *World) CountsAnew(hostName string) {
	w.at(hostName, func(h *host) { h.rollouts = nil })
}

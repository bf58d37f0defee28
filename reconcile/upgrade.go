package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// upgradeProxy replaces the program of the proxy on a host while it serves, under the lock of that host's proxy. A release does not fail
// for it: the old program serves on, the next apply tries again, and no further host is tried meanwhile. A plan that is about nothing
// else fails.
func (r *run) upgradeProxy(ctx context.Context, s plan.Step) error {
	r.mu.Lock()
	stopped := r.notUpgraded != ""
	r.mu.Unlock()
	err := errors.New("it was left as it is, since the upgrade of another host's failed")
	if !stopped {
		err = r.upgradeLocked(ctx, s)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("the proxy serves on as it was: %w", err)
	if !stopped {
		r.mu.Lock()
		r.notUpgraded = s.Host
		r.mu.Unlock()
	}
	if onlyUpgrades(r.plan) {
		return err
	}
	r.remark(s.Host, s.ID, fmt.Sprintf("the proxy was not upgraded to %s, and the release goes on without: %v", s.NewName, err), err)
	return nil
}

// onlyUpgrades tells whether a plan does nothing but to upgrade proxies.
func onlyUpgrades(p plan.Plan) bool {
	return !slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
		return s.Kind != plan.StepGate && (s.Kind != plan.StepProxy || s.NewName == "")
	})
}

func (r *run) upgradeLocked(ctx context.Context, s plan.Step) (err error) {
	locks, err := r.c.lockProxy(ctx, r.desired, []release.Host{r.hosts[s.Host]}, "upgrade the proxy to "+s.NewName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locks.release(ctx)) }()
	conn, err := locks.connection(ctx, r.hosts[s.Host])
	if err != nil {
		return err
	}
	if done, err := r.runs(ctx, conn, s); done || err != nil {
		return err // another app's run was here first
	}
	seen, _ := r.seen.Host(s.Host)
	// A container that is made anew later is made from this image.
	if err := r.c.bringProxyImage(ctx, conn, r.registry, seen, s.NewName); err != nil {
		return err
	}
	program, err := conn.Proxy.Program(ctx, s.NewName, seen.Engine.Arch)
	if err != nil {
		return err
	}
	err = conn.Engine.Upload(ctx, s.Container, ProgramDir, program)
	if err = errors.Join(err, program.Close()); err != nil {
		return err
	}
	failed := conn.Proxy.Upgrade(ctx, s.Container, r.desired.DrainTimeout)
	again, err := locks.connection(ctx, r.hosts[s.Host]) // the reply may have been lost
	if err != nil {
		return errors.Join(failed, err)
	}
	done, err := r.runs(ctx, again, s)
	if done {
		return nil
	}
	return errors.Join(failed, err, notUnless(failed, err, s))
}

// notUnless says that an upgrade which failed in no other way did not come about.
func notUnless(failed, err error, s plan.Step) error {
	if failed != nil || err != nil {
		return nil
	}
	return fmt.Errorf("it does not say that it is %s now", s.NewName)
}

// runs tells whether the proxy is of the wanted version, or a newer one, by what it says itself.
func (r *run) runs(ctx context.Context, conn *Connection, s plan.Step) (bool, error) {
	program, err := conn.Proxy.About(ctx, s.Container)
	if err != nil {
		return false, err
	}
	_, wanted := release.ProxyImage(s.NewName)
	return !release.Older(program.Version, wanted), nil
}

// routesAreBack looks after a start of the proxy whether it routes what it routed: it may have lost what it kept. This app's routes
// are deployed again by what follows; others' belong to others, and are named.
func (r *run) routesAreBack(ctx context.Context, conn *Connection, seen state.Host) error {
	live, err := conn.Proxy.List(ctx, r.proxyName())
	if err != nil {
		return err
	}
	for _, route := range seen.Proxy.Routes {
		i := slices.IndexFunc(live, func(l state.LiveRoute) bool { return l.Name == route.Name })
		if i >= 0 && live[i].State != state.RouteBroken {
			continue
		}
		if role, ours := roleRouted(r.desired, route.Name); ours {
			if r.switches(seen.Name, role.Name) {
				continue // it is deployed in this run all the same
			}
			if err := r.deploy(ctx, conn, seen.Name, route); err != nil {
				r.remark(seen.Name, "", fmt.Sprintf("the proxy came up without route %s, and does not take it again: %v", route.Name, err), err)
			}
			continue
		}
		r.remark(seen.Name, "", fmt.Sprintf("the proxy came up without route %s of another app: apply that app's file again", route.Name), nil)
	}
	return nil
}

// remark keeps for the report what does not fail the run.
func (r *run) remark(host, step, message string, err error) {
	r.c.report(Progress{Kind: "warn", Host: host, Step: step, Message: message, Err: err})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remarks = append(r.remarks, host+": "+message)
}

// roleRouted is the role, or the accessory as a role, that a route of that name is the release's for.
func roleRouted(desired release.Release, route string) (release.Role, bool) {
	for _, role := range desired.Proxied() {
		if desired.RouteName(role.Name) == route {
			return role, true
		}
	}
	return release.Role{}, false
}

// switches tells whether the plan deploys a role's route on a host.
func (r *run) switches(host, role string) bool {
	return slices.ContainsFunc(r.plan.Steps, func(s plan.Step) bool {
		return s.Kind == plan.StepSwitch && s.Host == host && s.Role == role
	})
}

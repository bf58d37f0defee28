package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// engineGrace is the engine's own, for what nobody has given another.
const engineGrace = 10 * time.Second

// StopReason is what `app stop` writes down for whoever asks later.
type StopReason struct {
	Reason string
	Until  time.Time // zero: until `app start`
}

// StopApp stops the roles in scope on purpose, until StartApp or the time. Who, why and until when is on the host before anything ends,
// so that nobody heals it; then the role's route answers 503 while requests end, and goes; then its containers stop. What is so already
// is done again, with the new words.
func (c *Controller) StopApp(ctx context.Context, desired release.Release, why StopReason, hosts, roles []string) (Commanded, error) {
	return c.onRoles(ctx, desired, hosts, roles, roleCommand{verb: "stop", past: "Stopped app", do: func(ctx context.Context, on *roleOn) error {
		if err := on.note(ctx, why); err != nil {
			return err
		}
		return on.end(ctx)
	}})
}

// StopStale stops the containers of the roles in scope that run beside the one that serves. It gives their names.
func (c *Controller) StopStale(ctx context.Context, desired release.Release, hosts, roles []string) (Commanded, error) {
	return c.onRoles(ctx, desired, hosts, roles, roleCommand{verb: "stale", past: "Stopped stale containers", do: func(ctx context.Context, on *roleOn) error {
		host, _, err := observeHost(ctx, on.c.fleet, on.desired, on.on, state.Host{Name: on.on.Name}, &sameRecord{})
		if err != nil {
			return err
		}
		stale := plan.Stale(on.desired.App(), host, []string{on.role})
		for _, old := range stale {
			if err := on.stop(ctx, old); err != nil {
				return err
			}
		}
		on.unchanged, on.did = len(stale) == 0, "stopped "+containerNames(stale)
		if on.unchanged {
			on.did = "nothing stale runs"
		}
		return nil
	}})
}

// roleCommand is something that is done to each role in scope on each host.
type roleCommand struct {
	verb, past string
	do         func(ctx context.Context, on *roleOn) error
}

// roleOn is one role on one host, as it is seen under the lock.
type roleOn struct {
	c       *Controller
	desired release.Release
	locks   *Locks
	conn    *Connection
	on      release.Host
	role    string
	seen    state.Host        // its intents
	own     []state.Container // the role's, in any state, newest first

	did       string
	unchanged bool
	notes     []string
}

// onRoles carries a command out on every host at once, and on a host one role after another.
func (c *Controller) onRoles(ctx context.Context, desired release.Release, hosts, roles []string, cmd roleCommand) (Commanded, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return Commanded{}, err
	}
	w := &work{c: c, desired: desired, scope: scope, verb: cmd.verb, past: cmd.past}
	w.deeds = func(host string) (list []deed) {
		for _, role := range rolesOn(desired, scope, host) {
			list = append(list, deed{kind: "app-" + cmd.verb, host: host, role: role, step: cmd.verb + "/" + host + "/" + role, message: cmd.verb + " " + role})
		}
		return list
	}
	w.do = func(ctx context.Context, on release.Host, d deed) (CommandedOn, error) {
		ctx = withStep(ctx, d.step)
		r, err := w.seeRole(ctx, on, d.role)
		if err != nil {
			return CommandedOn{Host: on.Name, Role: d.role}, err
		}
		err = cmd.do(ctx, r)
		return CommandedOn{Host: on.Name, Role: d.role, Did: r.did, Unchanged: r.unchanged, Notes: r.notes}, err
	}
	if len(w.concerned()) == 0 {
		return Commanded{}, noRole(desired, scope)
	}
	return w.carryOut(ctx)
}

// rolesOn are the roles in scope that are to be on a host, in the file's order.
func rolesOn(desired release.Release, scope plan.Filter, host string) (names []string) {
	for _, role := range desired.Roles {
		if slices.Contains(role.Hosts, host) && scope.Has(host, role.Name) {
			names = append(names, role.Name)
		}
	}
	return names
}

// seeRole sees a role on a host once more, under the lock.
func (w *work) seeRole(ctx context.Context, on release.Host, role string) (*roleOn, error) {
	conn, err := w.locks.connection(ctx, on)
	if err != nil {
		return nil, err
	}
	r := &roleOn{c: w.c, desired: w.desired, locks: w.locks, conn: conn, on: on, role: role}
	l := &look{conn: conn, desired: w.desired, on: on, paths: layoutOf(w.desired), host: state.Host{Name: on.Name}}
	if err := l.intents(ctx); err != nil {
		return nil, err
	}
	r.seen = l.host
	r.own, err = ownContainers(ctx, conn, w.desired.App(), role)
	return r, err
}

// ownContainers lists an app's containers of a role; "" for all roles.
func ownContainers(ctx context.Context, conn *Connection, app state.App, role string) ([]state.Container, error) {
	list, err := conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: app.Service}})
	return slices.DeleteFunc(list, func(c state.Container) bool {
		return c.Service != app.Service || c.Destination != app.Destination || c.Role == "" || role != "" && c.Role != role
	}), err
}

// note writes down that the role is stopped on purpose.
func (on *roleOn) note(ctx context.Context, why StopReason) error {
	known, _ := on.seen.Stop(on.role)
	intent := on.c.intentFor(on.on.Name, state.IntentStop)
	intent.Role, intent.Serial, intent.Reason, intent.Until = on.role, known.Serial+1, why.Reason, why.Until
	return writeRoleIntent(ctx, on.conn, layoutOf(on.desired), intent)
}

// alreadyStopped is what came of stopping what does not run.
const alreadyStopped = "is stopped already; it is noted that this is on purpose"

// end takes the role's route away, and then stops whatever runs of it.
func (on *roleOn) end(ctx context.Context) error {
	routed, err := on.unroute(ctx)
	if err != nil {
		return err
	}
	var ended []state.Container
	for _, c := range on.own {
		if c.Status != state.StatusRunning && c.Status != state.StatusPaused && c.Status != state.StatusRestarting {
			continue
		}
		if err := on.stop(ctx, c); err != nil {
			return err
		}
		ended = append(ended, c)
	}
	switch {
	case len(ended) > 0:
		on.did = "stopped " + containerNames(ended)
	case routed:
		on.did = "its route is gone; nothing of it ran"
	default:
		on.did = alreadyStopped
	}
	return nil
}

// unroute has the role's route answer 503 until the requests in flight have ended, and takes it away. It tells whether there was one.
func (on *roleOn) unroute(ctx context.Context) (bool, error) {
	name, proxy := on.desired.RouteName(on.role), on.desired.ProxyServer.Name
	routes, err := on.conn.Proxy.Routes(ctx, proxy)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	route, there := (state.Proxy{Routes: routes}).Route(name)
	if err != nil || !there {
		return false, err
	}
	if !on.ownsRoute(ctx, route) {
		return false, fmt.Errorf("the route %s goes to %s, which is not a container of %s: nothing was stopped", name, strings.Join(route.Targets, ", "), on.desired.App())
	}
	bounded, cancel := context.WithTimeout(ctx, on.desired.DrainTimeout+2*callLimit)
	defer cancel()
	if err := unless(on.conn.Proxy.Stop(bounded, proxy, name, route.StopMessage, on.desired.DrainTimeout), state.ErrNotFound); err != nil {
		if on.proxyIsDown(ctx) {
			on.say("the proxy %s does not run: its route %s stays, and leads nowhere when it is started", proxy, name)
			return false, nil
		}
		return true, err
	}
	r := &run{c: on.c, desired: on.desired, locks: on.locks, hosts: map[string]release.Host{on.on.Name: on.on}}
	return true, r.unroute(ctx, on.conn, on.on.Name, name)
}

func (on *roleOn) say(format string, args ...any) {
	on.notes = append(on.notes, fmt.Sprintf(format, args...))
}

// proxyIsDown tells whether there is no proxy that could answer: then there are no requests to let end.
func (on *roleOn) proxyIsDown(ctx context.Context) bool {
	proxy, err := on.conn.Engine.Inspect(ctx, on.desired.ProxyServer.Name, state.View{})
	return errors.Is(err, state.ErrNotFound) || err == nil && !proxy.Running()
}

// ownsRoute tells whether a route goes to containers of the role, or of nobody that is there.
func (on *roleOn) ownsRoute(ctx context.Context, route state.Route) bool {
	for _, target := range route.Targets {
		id, _, _ := strings.Cut(target, ":")
		if slices.ContainsFunc(on.own, func(c state.Container) bool { return c.ShortID() == id }) {
			continue
		}
		if c, err := on.conn.Engine.Inspect(ctx, id, state.View{}); err == nil && (c.Service != on.desired.Service || c.Destination != on.desired.Destination) {
			return false
		}
	}
	return true
}

// stop ends a container with the grace that is stored on it.
func (on *roleOn) stop(ctx context.Context, c state.Container) error {
	grace := engineGrace
	if role, ok := on.desired.Role(on.role); ok {
		grace = role.Stop.Grace
	}
	if seen, err := on.conn.Engine.Inspect(ctx, c.ID, state.View{}); err == nil {
		grace = plan.Grace(seen, grace)
	}
	return stop(ctx, on.conn, c.ID, grace)
}

func containerNames(list []state.Container) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

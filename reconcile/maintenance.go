package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Maintenance is what `app maintenance` asks for.
type Maintenance struct {
	Message string        // on the page; "": the proxy's own words
	Reason  string        // for whoever asks later
	Until   time.Time     // zero: until `app live`
	Drain   time.Duration // for requests in flight; below 0: the release's drain_timeout
}

// Maintain has the routes of the proxied roles in scope answer 503, until Live, or the time: who, why and until when is written on
// the host first, so that plans and releases respect it. What is so already is done again, with the new words.
func (c *Controller) Maintain(ctx context.Context, desired release.Release, m Maintenance, hosts, roles []string) (Commanded, error) {
	drain := m.Drain
	if drain < 0 {
		drain = desired.DrainTimeout
	}
	return c.onRoutes(ctx, desired, hosts, roles, routeCommand{verb: "maintenance", past: "Put in maintenance", lasts: drain,
		do: func(ctx context.Context, on *routeOn) error {
			if !on.there {
				return fmt.Errorf("the proxy does not know the route %s; `kamald plan` says more", on.route.Name)
			}
			intent := c.intentFor(on.host, state.IntentMaintenance)
			intent.Role, intent.Reason, intent.Message, intent.Until = on.role, m.Reason, m.Message, m.Until
			known, _ := on.seen.Maintenance(on.role)
			intent.Serial = known.Serial + 1
			if err := writeRoleIntent(ctx, on.conn, layoutOf(desired), intent); err != nil {
				return err
			}
			on.did = "answers 503"
			err := on.conn.Proxy.Stop(ctx, on.proxy, on.route.Name, m.Message, drain)
			if err != nil && !errors.Is(err, state.ErrUnreachable) && ctx.Err() == nil && !on.route.Stopped {
				return errors.Join(err, on.lift(ctx, intent)) // it was refused: the route serves, and nobody is to believe otherwise
			}
			return err
		}})
}

// Live ends the maintenance of the proxied roles in scope, also one that was begun by hand or by Kamal. Where there is no route, nothing
// serves: that is said, and an error where no maintenance was to be ended.
func (c *Controller) Live(ctx context.Context, desired release.Release, hosts, roles []string) (Commanded, error) {
	return c.onRoutes(ctx, desired, hosts, roles, routeCommand{verb: "live", past: "Made live",
		do: func(ctx context.Context, on *routeOn) error {
			known, asked := on.seen.Maintenance(on.role)
			asked = asked && !known.Lifted
			switch {
			case !on.there && !asked:
				return fmt.Errorf("the proxy does not know the route %s; %s", on.route.Name, on.brought())
			case !on.there: // nothing serves, and what comes is not to be shut
				on.did = "its maintenance is forgotten; there is no route: " + on.brought()
			case !on.route.Stopped && !on.route.Paused && !asked:
				on.unchanged, on.did = true, "serves already"
				return nil
			case !on.route.Stopped && !on.route.Paused:
				on.did = "serves already; its maintenance is forgotten"
			default:
				on.did = "serves"
				if err := on.conn.Proxy.Resume(ctx, on.proxy, on.route.Name); err != nil {
					return err
				}
			}
			if !asked {
				return nil
			}
			return on.lift(ctx, known) // after it: a run that is killed between the two leaves what can be seen and repeated
		}})
}

// PauseRoutes has the proxies hold the requests of the roles in scope, each at most so long.
func (c *Controller) PauseRoutes(ctx context.Context, desired release.Release, drain, most time.Duration, hosts, roles []string) (Commanded, error) {
	return c.onRoutes(ctx, desired, hosts, roles, routeCommand{verb: "pause", past: "Paused", lasts: drain,
		do: func(ctx context.Context, on *routeOn) error {
			switch {
			case !on.there:
				return fmt.Errorf("the proxy does not know the route %s; `kamald plan` says more", on.route.Name)
			case on.route.Stopped:
				return errors.New("it is in maintenance, which a pause would end; `kamald app live` ends it")
			}
			on.did = fmt.Sprintf("holds requests, each for %s at most", most)
			return on.conn.Proxy.Pause(ctx, on.proxy, on.route.Name, drain, most)
		}})
}

// ResumeRoutes ends a pause. A maintenance is none.
func (c *Controller) ResumeRoutes(ctx context.Context, desired release.Release, hosts, roles []string) (Commanded, error) {
	return c.onRoutes(ctx, desired, hosts, roles, routeCommand{verb: "resume", past: "Resumed",
		do: func(ctx context.Context, on *routeOn) error {
			switch {
			case !on.there:
				return fmt.Errorf("the proxy does not know the route %s; `kamald plan` says more", on.route.Name)
			case on.route.Stopped:
				return errors.New("it is in maintenance and not paused; `kamald app live` ends that")
			case !on.route.Paused:
				on.unchanged, on.did = true, "is not paused"
				return nil
			}
			on.did = "serves"
			return on.conn.Proxy.Resume(ctx, on.proxy, on.route.Name)
		}})
}

// routeCommand is something that is done to each route of the proxied roles in scope.
type routeCommand struct {
	verb, past string
	lasts      time.Duration // how long each may take, beyond a call
	do         func(ctx context.Context, on *routeOn) error
}

// routeOn is one role's route on one host, as it is seen under the lock.
type routeOn struct {
	c          *Controller
	desired    release.Release
	conn       *Connection
	host, role string
	proxy      string
	seen       state.Host // its intents
	route      state.Route
	there      bool

	did       string // what came of it
	unchanged bool
}

// onRoutes carries a command out on every host at once, and on a host one role after another.
func (c *Controller) onRoutes(ctx context.Context, desired release.Release, hosts, roles []string, cmd routeCommand) (Commanded, error) {
	scope, err := plan.FilterOf(desired, hosts, roles)
	if err != nil {
		return Commanded{}, err
	}
	w := &work{c: c, desired: desired, scope: scope, verb: cmd.verb, past: cmd.past}
	places := func(host string) (names []string) {
		for _, role := range desired.Roles {
			if role.Proxy != nil && slices.Contains(role.Hosts, host) && scope.Has(host, role.Name) {
				names = append(names, role.Name)
			}
		}
		return names
	}
	w.deeds = func(host string) (list []deed) {
		for _, role := range places(host) {
			list = append(list, deed{kind: cmd.verb, host: host, role: role, step: cmd.verb + "/" + host + "/" + role, message: cmd.verb + " of " + desired.App().RouteName(role)})
		}
		return list
	}
	w.do = func(ctx context.Context, on release.Host, d deed) (CommandedOn, error) {
		return c.onRoute(ctx, w, on, d, cmd)
	}
	if len(w.concerned()) == 0 {
		return Commanded{}, errors.New("no role in scope is proxied: there is no route; `proxy { … }` in a role gives it one")
	}
	return w.carryOut(ctx)
}

func (c *Controller) onRoute(ctx context.Context, w *work, on release.Host, d deed, cmd routeCommand) (CommandedOn, error) {
	result := CommandedOn{Host: on.Name, Role: d.role}
	conn, err := w.locks.connection(ctx, on)
	if err != nil {
		return result, err
	}
	r := &routeOn{c: c, desired: w.desired, conn: conn, host: on.Name, role: d.role, proxy: w.desired.ProxyServer.Name}
	routes, err := conn.Proxy.Routes(ctx, r.proxy)
	if err := unless(err, state.ErrNotFound); err != nil {
		return result, err
	}
	r.route, r.there = (state.Proxy{Routes: routes}).Route(w.desired.App().RouteName(d.role))
	if !r.there {
		r.route.Name = w.desired.App().RouteName(d.role)
	}
	l := &look{conn: conn, desired: w.desired, on: on, paths: layoutOf(w.desired), host: state.Host{Name: on.Name}}
	if err := l.intents(ctx); err != nil {
		return result, err
	}
	r.seen = l.host
	ctx, cancel := context.WithTimeout(ctx, cmd.lasts+2*callLimit)
	defer cancel()
	err = cmd.do(ctx, r)
	result.Did, result.Unchanged = r.did, r.unchanged
	return result, err
}

// intentFor is a new word on an intent of this run's owner.
func (c *Controller) intentFor(host, kind string) state.Intent {
	return state.Intent{Schema: state.IntentSchema, Kind: kind, Host: host, Who: c.Owner.Who, Where: c.Owner.Where(), Since: c.now().UTC().Round(time.Second)}
}

// brought says what brings a route that is not there.
func (on *routeOn) brought() string {
	if stop, ok := on.seen.Stop(on.role); ok && stop.Holds(on.c.now()) {
		return "the role was stopped on purpose by " + stop.By() + "; `kamald app start` starts it"
	}
	return "`kamald apply` makes it, `kamald plan` says more"
}

// lift ends a maintenance that is known.
func (on *routeOn) lift(ctx context.Context, known state.Intent) error {
	lifted := on.c.intentFor(on.host, state.IntentMaintenance)
	lifted.Role, lifted.Serial, lifted.Lifted = on.role, known.Serial+1, true
	return writeRoleIntent(ctx, on.conn, layoutOf(on.desired), lifted)
}

// writeRoleIntent writes an intent that is about a role on its host, which lies there only.
func writeRoleIntent(ctx context.Context, conn *Connection, paths layout, intent state.Intent) error {
	data, err := json.MarshalIndent(intent, "", " ")
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, paths.roleIntent(intent.Kind, intent.Host, intent.Role), append(data, '\n'), 0o600)
}

func (l layout) roleIntent(kind, host, role string) string {
	name := strings.ReplaceAll(host, "/", "_") + "~" + role // no role's name has a tilde
	return path.Join(l.intents(), kind+"-"+name+".json")
}

// resume lets a route serve whose maintenance has ended, and says so on the host: what stops it from now on is another's doing.
func (r *run) resume(ctx context.Context, conn *Connection, s plan.Step) error {
	if err := conn.Proxy.Resume(ctx, r.proxyName(), s.Name); err != nil {
		return err
	}
	seen, _ := r.seen.Host(s.Host)
	known, _ := seen.Maintenance(s.Role)
	on := &routeOn{c: r.c, desired: r.desired, conn: conn, host: s.Host, role: s.Role}
	return on.lift(ctx, known)
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ProxyGrace is how long a proxy may take to end its requests when it is stopped: the engine's own default, which Kamal uses.
const ProxyGrace = 10 * time.Second

// BootProxy makes and starts the proxy on every host in scope that has a proxied role, where it lacks. One that runs is left alone.
func (c *Controller) BootProxy(ctx context.Context, desired release.Release, hosts []string) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "boot", past: "Booted proxy",
		do: func(ctx context.Context, p *proxyOn) error {
			if p.there && p.proxy.Running() && slices.Contains(p.seen.Proxy.Networks, p.desired.Network) {
				p.did, p.unchanged = "runs already", true
				return nil
			}
			if err := p.conn.Engine.CreateNetwork(ctx, p.desired.Network); err != nil {
				return err
			}
			if err := p.run.proxyServer(ctx, p.conn, plan.Step{Host: p.on.Name, Name: p.name, Container: p.proxy.ID}); err != nil {
				return err
			}
			p.did = map[bool]string{true: "was started", false: "was made and started"}[p.there]
			return p.afterStart(ctx)
		}})
}

// StartProxy starts a proxy that is there, also one that was stopped on purpose, and puts back routes that it has lost.
func (c *Controller) StartProxy(ctx context.Context, desired release.Release, hosts []string) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "start", past: "Started proxy",
		do: func(ctx context.Context, p *proxyOn) error {
			switch {
			case !p.there:
				return p.missing()
			case p.proxy.Running():
				p.did, p.unchanged = "runs already", true
				return nil
			}
			p.did = "was started"
			return p.start(ctx)
		}})
}

// StopProxy stops the proxy on purpose: nobody reaches any app there until StartProxy, and plans respect it.
func (c *Controller) StopProxy(ctx context.Context, desired release.Release, reason string, hosts []string) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "stop", past: "Stopped proxy",
		do: func(ctx context.Context, p *proxyOn) error {
			if !p.there {
				return p.missing()
			}
			if err := c.writeStopMark(ctx, p.conn, p.run.paths, p.on.Name, reason, p.proxy); err != nil {
				return err
			}
			p.did, p.unchanged = "was stopped", !p.proxy.Running()
			if p.unchanged {
				p.did = "is stopped already; it is noted that this is on purpose"
			}
			return stop(ctx, p.conn, p.proxy.ID, ProxyGrace)
		}})
}

// RestartProxy stops the proxy and starts it, and puts back routes that it has lost.
func (c *Controller) RestartProxy(ctx context.Context, desired release.Release, hosts []string, rolling bool) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "restart", past: "Restarted proxy", rolling: rolling,
		do: func(ctx context.Context, p *proxyOn) error {
			if !p.there {
				return p.missing()
			}
			began := c.now()
			safe := context.WithoutCancel(ctx) // once it is stopped, it is started again
			if err := p.again(safe, func(conn *Connection) error { return stop(safe, conn, p.proxy.ID, ProxyGrace) }); err != nil {
				return errors.Join(err, p.start(safe))
			}
			if err := p.start(safe); err != nil {
				return err
			}
			p.did = fmt.Sprintf("was restarted; it answered nobody for %s", short(c.now().Sub(began)))
			return nil
		}})
}

// short is a duration for a person.
func short(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

// proxyCommand is something that is done to the proxy of each host in scope.
type proxyCommand struct {
	verb, past string
	rolling    bool
	hooks      [2]string
	do         func(ctx context.Context, p *proxyOn) error
}

// proxyOn is the proxy of one host, as it is seen under the locks.
type proxyOn struct {
	w       *work
	run     *run // what boots a proxy in a release
	desired release.Release
	on      release.Host
	conn    *Connection
	seen    state.Host
	name    string
	proxy   state.Container
	there   bool
	routes  []state.Route // what it has kept, of every app

	did       string
	unchanged bool
	notes     []string
}

// onProxies carries a command out on the hosts in scope that have a proxied role or accessory.
func (c *Controller) onProxies(ctx context.Context, desired release.Release, hosts []string, cmd proxyCommand) (Commanded, error) {
	proxied, err := ProxyHosts(desired, hosts)
	if err != nil {
		return Commanded{}, err
	}
	scope, err := plan.FilterOf(desired, hosts, nil)
	if err != nil {
		return Commanded{}, err
	}
	w := &work{c: c, desired: desired, scope: scope, verb: "proxy " + cmd.verb, past: cmd.past, ofProxy: true, rolling: cmd.rolling, hooks: cmd.hooks, registry: c.credentials(desired)}
	w.deeds = func(host string) []deed {
		if !slices.Contains(proxied, host) {
			return nil
		}
		return []deed{{kind: "proxy-" + cmd.verb, host: host, step: "proxy-" + cmd.verb + "/" + host, message: cmd.verb + " the proxy " + desired.ProxyServer.Name}}
	}
	w.do = func(ctx context.Context, on release.Host, d deed) (CommandedOn, error) {
		ctx = withStep(ctx, d.step)
		p, err := w.look(ctx, on)
		if err != nil {
			return CommandedOn{Host: on.Name}, err
		}
		err = cmd.do(ctx, p)
		return CommandedOn{Host: on.Name, Did: p.did, Unchanged: p.unchanged, Notes: p.notes}, err
	}
	return w.carryOut(ctx)
}

// ProxyHosts gives the names of the hosts in scope that have a proxied role or accessory, in the file's order.
func ProxyHosts(desired release.Release, hosts []string) ([]string, error) {
	scope, err := plan.FilterOf(desired, hosts, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, on := range desired.Hosts {
		for _, role := range desired.Proxied() {
			if slices.Contains(role.Hosts, on.Name) && scope.Has(on.Name, role.Name) {
				names = append(names, on.Name)
				break
			}
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no host in scope has a role or an accessory that is proxied: there is no proxy; `proxy { … }` in a role gives it one")
	}
	return names, nil
}

// look sees the proxy of a host once more, under the locks.
func (w *work) look(ctx context.Context, on release.Host) (*proxyOn, error) {
	seen, _ := w.seen.Host(on.Name)
	p := &proxyOn{w: w, desired: w.desired, on: on, seen: seen, name: w.desired.ProxyServer.Name}
	p.run = &run{c: w.c, desired: w.desired, hosts: hostsOf(w.desired), paths: layoutOf(w.desired), seen: w.seen, locks: w.locks, registry: w.registry}
	var err error
	if p.conn, err = p.connection(ctx); err != nil {
		return nil, err
	}
	p.proxy, err = p.conn.Engine.Inspect(ctx, p.name, proxyView(w.desired))
	p.there = err == nil
	if err := unless(err, state.ErrNotFound); err != nil {
		return nil, err
	}
	if p.there {
		p.routes, err = p.conn.Proxy.Routes(ctx, p.name)
	}
	return p, unless(err, state.ErrNotFound)
}

// proxyView has the proxy read in the file's own words, with the values of the variables that it names.
func proxyView(desired release.Release) state.View {
	clear := map[string]bool{}
	for name := range desired.ProxyServer.Env {
		clear[name] = true
	}
	return state.View{Clear: clear, Options: desired.ProxyServer.Options}
}

// connection reaches the host under both locks.
func (p *proxyOn) connection(ctx context.Context) (*Connection, error) {
	conn, err := p.w.c.fleet.Connection(ctx, p.on)
	if err != nil {
		return nil, err
	}
	return Intercept(p.on.Name, conn, p.w.locks.guard, p.w.proxies.guard), nil
}

// again does what can be done twice, until a reply has come or the lock is lost: a proxy must not be left standing because a
// connection was.
func (p *proxyOn) again(ctx context.Context, do func(conn *Connection) error) error {
	err := do(p.conn)
	for began := p.w.c.now(); errors.Is(err, state.ErrUnreachable) && !errors.Is(err, ErrLeaseLost) && p.w.c.now().Sub(began) < 2*lease; {
		_ = sleep(ctx, probeEvery) // who is interrupted tries all the same
		conn, lost := p.connection(ctx)
		if lost != nil {
			err = lost
			continue
		}
		p.conn, err = conn, do(conn)
	}
	return err
}

// start starts the proxy that is there, and sees that it serves what it served.
func (p *proxyOn) start(ctx context.Context) error {
	err := p.again(ctx, func(conn *Connection) error { return conn.Engine.Start(ctx, p.proxy.ID) })
	if err != nil {
		return fmt.Errorf("%w%s; nothing serves on %s now: `kamald proxy start --hosts %s` tries again", err, portHint(err, p.desired.ProxyServer), p.on.Name, p.on.Name)
	}
	if err := p.again(ctx, func(conn *Connection) error { return proxyAnswers(ctx, conn, p.proxy.ID) }); err != nil {
		return err
	}
	return p.afterStart(ctx)
}

// afterStart puts back what the proxy has lost, and forgets that it was stopped on purpose.
func (p *proxyOn) afterStart(ctx context.Context) error {
	_, err := p.restore(ctx, p.name)
	p.forgetStop(ctx)
	return err
}

// forgetStop takes the note away that the proxy was stopped on purpose: it means nothing any more.
func (p *proxyOn) forgetStop(ctx context.Context) {
	if p.seen.Proxy.Stopped != nil {
		_ = p.conn.Files.Remove(ctx, p.run.paths.stopMark())
	}
}

func (p *proxyOn) missing() error {
	return fmt.Errorf("there is no container %s: `kamald proxy boot --hosts %s` makes it", p.name, p.on.Name)
}

func (p *proxyOn) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

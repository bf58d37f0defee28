package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// rehearsalSuffix names the container that proves, with no port published, that the new proxy takes every route.
const rehearsalSuffix = "-rehearsal"

// SwitchProxy does what PlanProxySwitch says, host by host, under the deploy locks and those of the hosts' proxies, and stops at the
// first host that fails: there the old proxy serves again. The error names it; what was done is in the result.
func (c *Controller) SwitchProxy(ctx context.Context, desired release.Release, other *Fleet) (result ProxySwitch, err error) {
	seen, _, err := c.look(ctx, desired, false)
	if err != nil {
		return result, err
	}
	hosts := proxiedHosts(desired, seen)
	locks, err := c.lock(ctx, desired, hosts, seen, "proxy switch")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, locks.release(ctx)) }()
	proxies, err := c.lockProxy(ctx, desired, hosts, "switch")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, proxies.release(ctx)) }()
	began := c.now()
	if seen, _, err = c.observeAgain(ctx, 0, desired, seen); err != nil {
		return result, err
	}
	locks.confirm(&seen, began)
	result = c.planSwitch(ctx, desired, other, seen)
	if err := result.Problems(); err != nil || result.Needed() == 0 {
		return result, err
	}
	return c.switchAll(ctx, desired, other, seen, locks, result)
}

func (c *Controller) switchAll(ctx context.Context, desired release.Release, other *Fleet, seen state.Snapshot, locks *Locks, result ProxySwitch) (ProxySwitch, error) {
	notes := c.journal(desired.App())
	deeds := make([]deed, len(result.Hosts))
	for i, on := range result.Hosts {
		deeds[i] = deed{kind: "proxy-switch", host: on.Host, step: "proxy-switch", message: fmt.Sprintf("switch the proxy from %s to %s", cmp.Or(on.From.Name, "none"), on.To.Name)}
	}
	if err := notes.intend(slices.DeleteFunc(slices.Clone(deeds), func(d deed) bool {
		return slices.ContainsFunc(result.Hosts, func(on ProxySwitchOn) bool { return on.Host == d.host && on.Already })
	})...); err != nil {
		return result, err
	}
	registry := c.credentials(desired)
	var failure error
	for i := range result.Hosts {
		on := &result.Hosts[i]
		if on.Already {
			continue
		}
		if failure != nil || ctx.Err() != nil {
			notes.end(deeds[i], errSkipped)
			continue
		}
		host, _ := seen.Host(on.Host)
		w := &proxySwitching{c: c, desired: desired, host: host, on: on, locks: locks, other: other, registry: registry}
		err := w.carryOut(ctx, deeds[i])
		notes.end(deeds[i], err)
		if err != nil {
			failure = named(on.Host, "switch the proxy", err)
			on.Error = failure.Error()
		}
	}
	if failure == nil && ctx.Err() != nil {
		failure = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return result, errors.Join(failure, notes.write())
}

// proxySwitching is the switch of one host under way.
type proxySwitching struct {
	c       *Controller
	desired release.Release
	host    state.Host
	on      *ProxySwitchOn
	locks   *Locks
	other   *Fleet

	registry *credentials // what is shown where the new proxy's image comes from

	conn  *Connection // with the new proxy's driver
	aside string      // the name that the old container got, where it had the new one's
}

func (w *proxySwitching) carryOut(ctx context.Context, d deed) error {
	at, _ := w.desired.Host(w.on.Host)
	conn, err := w.locks.connection(ctx, at)
	if err != nil {
		return err
	}
	w.conn = conn
	began := w.c.now()
	ctx = withStep(ctx, d.step)
	w.c.report(Progress{Kind: "begin", Host: w.on.Host, Step: d.step, Message: d.message})
	if w.on.Unfinished {
		err = w.finish(ctx)
	} else if err = w.prepare(ctx); err != nil {
		err = fmt.Errorf("%w; %s was not touched and serves", err, w.on.From.Name)
	} else { // from here on it is brought to an end, whoever interrupts
		err = w.exchange(context.WithoutCancel(ctx))
	}
	kind, message := "done", d.message
	if err != nil {
		kind, message = "failed", err.Error()
	} else {
		w.on.Done = true
		w.c.auditOn(context.WithoutCancel(ctx), conn, w.desired, "", fmt.Sprintf("Switched proxy from %s to %s", w.on.From.Name, w.on.To.Name))
	}
	w.c.report(Progress{Kind: kind, Host: w.on.Host, Step: d.step, Message: message, Took: w.c.now().Sub(began), Err: err})
	return err
}

// finish starts the new proxy where neither runs.
func (w *proxySwitching) finish(ctx context.Context) error {
	if err := w.conn.Engine.Start(ctx, w.on.To.ID); err != nil {
		return fmt.Errorf("%w%s", err, portHint(err, w.desired.ProxyServer))
	}
	if err := proxyAnswers(ctx, w.conn, w.on.To.ID); err != nil {
		return err
	}
	return w.verify(ctx, w.on.To.ID)
}

// prepare does all that can be done while the old proxy serves: image, network, a rehearsal with every route, the new container.
func (w *proxySwitching) prepare(ctx context.Context) error {
	server, spec := w.desired.ProxyServer, plan.ProxySpec(w.desired, w.host)
	if err := w.c.prepareProxy(ctx, w.conn, w.registry, w.host); err != nil {
		return err
	}
	if !w.host.HasNetwork(w.desired.Network) {
		if err := w.conn.Engine.CreateNetwork(ctx, w.desired.Network); err != nil {
			return err
		}
	}
	for _, name := range w.on.Attach {
		if err := w.conn.Engine.ConnectNetwork(ctx, w.desired.Network, name, nil); err != nil {
			return fmt.Errorf("attach %s to the network %s: %w", name, w.desired.Network, err)
		}
	}
	if err := w.rehearse(ctx, spec); err != nil {
		return err
	}
	if err := w.makeRoom(ctx); err != nil {
		return err
	}
	id, err := w.conn.Engine.Create(ctx, server.Name, spec, plan.ProxyLabels(w.desired, w.host), nil)
	if err != nil {
		return errors.Join(err, w.giveBack(context.WithoutCancel(ctx)))
	}
	w.on.To.ID = id
	return nil
}

// rehearse starts the new proxy with no port published and gives it every route: what it keeps of them it has when it starts again.
// A route that it does not take, or a target that it cannot reach, is found before anybody notices.
func (w *proxySwitching) rehearse(ctx context.Context, spec state.Spec) (err error) {
	name := w.desired.ProxyServer.Name + rehearsalSuffix
	hidden := map[string][]string{}
	for option, values := range spec.Options {
		if option != "publish" {
			hidden[option] = values
		}
	}
	spec.Options = hidden
	if err := unless(w.conn.Engine.Remove(ctx, name), state.ErrNotFound); err != nil { // of a run that was killed
		return err
	}
	defer func() {
		after := context.WithoutCancel(ctx)
		stopped := stop(after, w.conn, name, switchGrace) // it writes down what it has
		err = errors.Join(err, stopped, unless(w.conn.Engine.Remove(after, name), state.ErrNotFound))
	}()
	if _, err := w.conn.Engine.Create(ctx, name, spec, map[string]string{state.LabelRunDir: w.host.RunDir}, nil); err != nil {
		return err
	}
	if err := w.conn.Engine.Start(ctx, name); err != nil {
		return err
	}
	if err := proxyAnswers(ctx, w.conn, name); err != nil {
		return err
	}
	return w.fill(ctx, name)
}

// fill gives a proxy the routes and takes away those that it has from another time.
func (w *proxySwitching) fill(ctx context.Context, name string) error {
	has, err := w.conn.Proxy.Routes(ctx, name)
	if err != nil {
		return err
	}
	for _, route := range has {
		if !slices.ContainsFunc(w.on.Routes, func(r state.Route) bool { return r.Name == route.Name }) {
			if err := w.conn.Proxy.Remove(ctx, name, route.Name); err != nil {
				return err
			}
		}
	}
	for _, route := range w.on.Routes {
		if err := w.conn.Proxy.Deploy(ctx, name, route, w.desired.DeployTimeout, 0); err != nil {
			return err
		}
		if route.Stopped {
			err = w.conn.Proxy.Stop(ctx, name, route.Name, route.StopMessage, 0)
		} else {
			err = w.conn.Proxy.Resume(ctx, name, route.Name) // it may know the route as a stopped one
		}
		if err != nil {
			return err
		}
	}
	return w.verify(ctx, name)
}

// verify reads back that the proxy has every route, with its targets.
func (w *proxySwitching) verify(ctx context.Context, name string) error {
	has, err := w.conn.Proxy.Routes(ctx, name)
	if err != nil {
		return err
	}
	for _, want := range w.on.Routes {
		got, there := (state.Proxy{Routes: has}).Route(want.Name)
		if !there || !slices.Equal(got.Targets, want.Targets) || got.Stopped != want.Stopped {
			return fmt.Errorf("%s does not have the route %s to %v", name, want.Name, want.Targets)
		}
	}
	return nil
}

// makeRoom frees the new container's name: a stopped one of an earlier switch goes, one that serves is renamed and serves on.
func (w *proxySwitching) makeRoom(ctx context.Context) error {
	name := w.desired.ProxyServer.Name
	switch there := w.host.Proxy; {
	case there.ID == "":
		return nil
	case there.ID != w.on.From.ID:
		return w.conn.Engine.Remove(ctx, there.ID)
	}
	w.aside = state.ReplacedName(name, w.on.From.ID)
	return w.conn.Engine.Rename(ctx, w.on.From.ID, w.aside)
}

// giveBack gives the old container its name again.
func (w *proxySwitching) giveBack(ctx context.Context) error {
	if w.aside == "" {
		return nil
	}
	return w.conn.Engine.Rename(ctx, w.on.From.ID, w.on.From.Name)
}

// exchange stops the old proxy and starts the new one: the outage. When the new one does not come to serve every route, the old one
// is started again.
func (w *proxySwitching) exchange(ctx context.Context) error {
	at, _ := w.desired.Host(w.on.Host)
	if conn, err := w.c.fleet.Connection(ctx, at); err == nil { // whoever takes a lock away now must not leave the host without a proxy
		w.conn = conn
	}
	began := w.c.now()
	err := stop(ctx, w.conn, w.on.From.ID, switchGrace)
	if err == nil {
		err = w.conn.Engine.Start(ctx, w.on.To.ID)
	}
	if err == nil {
		err = proxyAnswers(ctx, w.conn, w.on.To.ID)
	}
	w.on.Took = w.c.now().Sub(began)
	if err == nil {
		err = w.verify(ctx, w.on.To.ID)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w%s", err, portHint(err, w.desired.ProxyServer))
	return errors.Join(err, w.goBack(ctx))
}

// goBack starts the old proxy again, with another connection where this one was lost. What it cannot do it names.
func (w *proxySwitching) goBack(ctx context.Context) error {
	at, _ := w.desired.Host(w.on.Host)
	var errs []error
	for attempt := range 3 {
		conn, err := w.c.fleet.Connection(ctx, at)
		if err == nil {
			w.conn = conn
			errs = []error{w.backOnce(ctx)}
		} else {
			errs = []error{err}
		}
		if errors.Join(errs...) == nil {
			return fmt.Errorf("%s serves again", w.on.From.Name)
		}
		_ = sleep(ctx, time.Duration(attempt+1)*time.Second)
	}
	return fmt.Errorf("%s could not be started again, and the host may have no proxy: `docker start %s` there: %w", w.on.From.Name, w.on.From.ID, errors.Join(errs...))
}

func (w *proxySwitching) backOnce(ctx context.Context) error {
	if err := stop(ctx, w.conn, w.on.To.ID, 0); err != nil { // it may hold the ports
		return err
	}
	if err := w.conn.Engine.Start(ctx, w.on.From.ID); err != nil {
		return err
	}
	if err := unless(w.conn.Engine.Remove(ctx, w.on.To.ID), state.ErrNotFound); err != nil {
		return err
	}
	if w.aside != "" {
		found, err := w.conn.Engine.Inspect(ctx, w.on.From.ID, state.View{})
		if err != nil || found.Name == w.on.From.Name {
			return err
		}
	}
	return w.giveBack(ctx)
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// nextProxy is what a proxy's container is called that is to take another's place.
const nextProxy = "_next"

// RebootProxy makes the proxy of every host in scope anew, with the settings of the file: all at once, or one host after another.
// Everything that can be made ready is, before the old one stops. Between that and the new one's start nobody is answered there.
// When the new one does not come up, the old one is started again.
func (c *Controller) RebootProxy(ctx context.Context, desired release.Release, hosts []string, rolling bool) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "reboot", past: "Rebooted proxy", rolling: rolling, hooks: [2]string{release.HookPreProxyReboot, release.HookPostProxyReboot},
		do: func(ctx context.Context, p *proxyOn) error { return p.reboot(ctx) }})
}

func (p *proxyOn) reboot(ctx context.Context) error {
	if err := p.conn.Engine.CreateNetwork(ctx, p.desired.Network); err != nil {
		return err
	}
	if !p.there {
		if err := p.run.proxyServer(ctx, p.conn, plan.Step{Host: p.on.Name, Name: p.name}); err != nil {
			return err
		}
		p.did = "was not there; it was made and started"
		return p.afterStart(ctx)
	}
	if err := p.mayReplace(); err != nil {
		return err
	}
	next, err := p.prepareNext(ctx)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if ctx.Err() != nil {
		_ = p.conn.Engine.Remove(context.WithoutCancel(ctx), next.ID) // the next reboot removes it, too
		return fmt.Errorf("nothing was changed: %w", context.Cause(ctx))
	}
	return p.replace(context.WithoutCancel(ctx), next) // once the old one is stopped, one is started
}

// mayReplace refuses to give a proxy settings that its owner did not ask for, or nobody: a file without a proxy_server block knows none
// of them. Only another version, and the way out of a kamal-proxy that is too old, need no block.
func (p *proxyOn) mayReplace() error {
	proxy := &p.seen.Proxy
	proxy.ID, proxy.Name, proxy.Image, proxy.Live, proxy.Owner, proxy.Asked = p.proxy.ID, p.proxy.Name, p.proxy.Live.Image, &p.proxy.Live, p.proxy.Owner, p.proxy.Asked
	if err := plan.OthersProxy(p.desired, p.seen); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	fields := plan.ProxyDiffers(p.desired, p.seen)
	if len(fields) > 0 {
		p.note("its settings change: %s", plan.FieldsText(fields))
	}
	_, old := plan.ProxyTooOld(*proxy)
	onlyImage := len(fields) == 1 && fields[0].Path == "image" && (old || sameRepository(p.proxy.Live.Image, p.desired.ProxyServer.Image))
	if p.desired.ProxyServer.Declared || len(fields) == 0 || onlyImage {
		return nil
	}
	return fmt.Errorf("it was made with other settings than this file's, which has no proxy_server block (%s): nothing was changed; "+
		"write them into a proxy_server block, or reboot it with the file that has them", plan.FieldsText(fields))
}

// sameRepository tells whether two references are of one repository: then one is another version of the other.
func sameRepository(a, b string) bool {
	a, _, _ = cutLast(a, ":")
	b, _, _ = cutLast(b, ":")
	return a == b
}

// prepareNext makes the new container beside the one that serves: ports meet only when it starts.
func (p *proxyOn) prepareNext(ctx context.Context) (state.Container, error) {
	name := p.name + nextProxy
	left, err := p.conn.Engine.Inspect(ctx, name, state.View{})
	switch {
	case unless(err, state.ErrNotFound) != nil:
		return left, err
	case err == nil && left.Running():
		return left, fmt.Errorf("a container %s runs there, which kamald never leaves so: see what it is, and remove it", name)
	case err == nil: // an interrupted reboot left it
		if err := p.conn.Engine.Remove(ctx, left.ID); err != nil {
			return left, err
		}
	}
	made := p.again(ctx, func(conn *Connection) error { return p.run.makeProxy(ctx, conn, p.seen, name) })
	var next state.Container
	err = errors.Join(made, p.again(ctx, func(conn *Connection) (err error) { next, err = conn.Engine.Inspect(ctx, name, state.View{}); return }))
	if err != nil {
		_ = p.again(context.WithoutCancel(ctx), func(conn *Connection) error { return conn.Engine.Remove(context.WithoutCancel(ctx), name) })
	}
	return next, err
}

// replace stops the old container and starts the new one in its place. Whatever moment this machine dies at, a container of the
// proxy's name is there, or none is: the next plan starts the one or makes the other.
func (p *proxyOn) replace(ctx context.Context, next state.Container) error {
	began := p.w.c.now()
	old := p.proxy
	aside := state.ReplacedName(p.name, old.ID)
	served := 0
	err := p.inOrder(
		func(conn *Connection) error { return stop(ctx, conn, old.ID, ProxyGrace) },
		func(conn *Connection) error { return conn.Engine.Rename(ctx, old.ID, aside) },
		func(conn *Connection) error { return conn.Engine.Rename(ctx, next.ID, p.name) },
		func(conn *Connection) error { return conn.Engine.Start(ctx, next.ID) },
		func(conn *Connection) error { return proxyAnswers(ctx, conn, next.ID) },
	)
	took := p.w.c.now().Sub(began)
	if err == nil {
		served, err = p.restore(ctx, next.ID)
		if err != nil && served > 0 { // going back would cut those off that serve
			return errors.Join(err, p.removeOld(ctx, old))
		}
	}
	if err != nil {
		return p.goBack(ctx, next, err)
	}
	p.did = fmt.Sprintf("was made anew of %s; it answered nobody for %s", p.desired.ProxyServer.Image, short(took))
	p.compare(ctx, next.ID)
	p.forgetStop(ctx)
	return p.removeOld(ctx, old)
}

// inOrder does one after another, each until a reply has come.
func (p *proxyOn) inOrder(steps ...func(conn *Connection) error) error {
	for _, step := range steps {
		if err := p.again(context.Background(), step); err != nil {
			return err
		}
	}
	return nil
}

// goBack takes the new container away and starts the old one again.
func (p *proxyOn) goBack(ctx context.Context, next state.Container, cause error) error {
	cause = p.withLogs(ctx, next, cause)
	old := p.proxy
	steps := []func(conn *Connection) error{
		func(conn *Connection) error { return conn.Engine.Remove(ctx, next.ID) },
		func(conn *Connection) error { return conn.Engine.Rename(ctx, old.ID, p.name) },
	}
	if old.Running() {
		steps = append(steps, func(conn *Connection) error { return conn.Engine.Start(ctx, old.ID) },
			func(conn *Connection) error { return proxyAnswers(ctx, conn, old.ID) })
	}
	if err := p.inOrder(steps...); err != nil {
		return fmt.Errorf("the new proxy did not come up: %w; and the old one (%s, %s) could not be put back: %w; nothing may be served on %s: see `docker ps -a` there, then `kamald proxy start --hosts %s`",
			cause, p.name, state.ShortID(old.ID), err, p.on.Name, p.on.Name)
	}
	if !old.Running() {
		return fmt.Errorf("the new proxy did not come up: %w; the old one is there as it was, stopped", cause)
	}
	_, err := p.restore(ctx, old.ID)
	return errors.Join(fmt.Errorf("the new proxy did not come up: %w; the old one serves again", cause), err)
}

// withLogs adds what a proxy said last of itself: its lines about requests are other people's.
func (p *proxyOn) withLogs(ctx context.Context, c state.Container, cause error) error {
	lines, err := p.conn.Engine.Logs(ctx, c.ID, 20, time.Time{})
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, `"Request"`) || strings.TrimSpace(line) == "" })
	if err != nil || len(lines) == 0 {
		return cause
	}
	return fmt.Errorf("%w; it said: %s", cause, strings.TrimSpace(lines[len(lines)-1]))
}

// compare names options that a route has otherwise in the new proxy.
func (p *proxyOn) compare(ctx context.Context, container string) {
	now, err := p.conn.Proxy.Routes(ctx, container)
	if err != nil {
		p.note("what it keeps of its routes could not be read: %v", err)
		return
	}
	for _, was := range p.routes {
		is, there := (state.Proxy{Routes: now}).Route(was.Name)
		if !there {
			p.note("it serves the route %s and does not keep it: after its next start it would be lost", was.Name)
		} else if !reflect.DeepEqual(was.Options, is.Options) {
			p.note("route %s has other options now: deploy that app again", was.Name)
		}
	}
}

// removeOld takes the replaced container away. That it stays is no failure: it does not run, and bears another name.
func (p *proxyOn) removeOld(ctx context.Context, old state.Container) error {
	if err := p.again(ctx, func(conn *Connection) error { return conn.Engine.Remove(ctx, old.ID) }); err != nil {
		p.note("the old container %s stays, stopped: %v; `docker rm %s` removes it", state.ReplacedName(p.name, old.ID), err, state.ShortID(old.ID))
	}
	return nil
}

package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// startSkew is by how much a program may say that it started before its container did: both ask the same clock, one in steps.
const startSkew = 2 * time.Second

// observeProxy asks the proxy's container, what it routes and what it says of itself, all at once.
func (l *look) observeProxy(ctx context.Context, group crew, server release.ProxyServer) {
	asking, asked := crewWithin(ctx)
	var container state.Container
	var program state.Program
	asking.Go(func() (err error) { container, err = l.proxy(asked, server); return })
	if l.mayBeOurs(server) {
		asking.Go(func() (err error) {
			program, err = l.conn.Proxy.About(asked, server.Name)
			return unless(err, state.ErrNotFound, fs.ErrNotExist)
		})
	}
	group.Go(func() error {
		err := asking.Wait()
		if err == nil && saysOf(program, container) {
			l.host.Proxy.Own, l.host.Proxy.Version, l.host.Proxy.Features = true, program.Version, program.Features
		}
		return err
	})
	group.Go(func() (err error) {
		l.host.Proxy.Routes, err = l.conn.Proxy.Routes(ctx, server.Name)
		return unless(err, state.ErrNotFound, fs.ErrNotExist)
	})
}

// saysOf tells whether what lies in the volume was said by the program that the container runs, and not by an earlier one.
func saysOf(program state.Program, container state.Container) bool {
	return program.Version != "" && !program.Started.Before(container.Started.Add(-startSkew))
}

// mayBeOurs tells whether the proxy is worth being asked what it is: one of Kamal's would look for a file that it never has.
func (l *look) mayBeOurs(server release.ProxyServer) bool {
	return plan.OwnProxy(server.Image) || l.old.Proxy.Own || plan.OwnProxy(l.old.Proxy.Image)
}

// proxy finds the proxy's container.
func (l *look) proxy(ctx context.Context, server release.ProxyServer) (state.Container, error) {
	c, err := l.conn.Engine.Inspect(ctx, server.Name, proxyView(l.desired))
	if errors.Is(err, state.ErrNotFound) {
		return c, l.otherProxy(ctx)
	}
	if err != nil {
		return c, err
	}
	p := &l.host.Proxy
	if server.Declared {
		p.Live = &c.Live
	}
	p.ID, p.Name, p.Image, p.Running, p.Owner, p.Asked = c.ID, c.Name, c.Live.Image, c.Running(), c.Owner, c.Asked
	for _, volume := range c.Live.Volumes {
		if source, target, ok := strings.Cut(volume, ":"); ok && target == release.AppsConfig {
			p.Apps = source
		}
	}
	for network := range c.IPs {
		p.Networks = append(p.Networks, network)
	}
	slices.Sort(p.Networks)
	if !c.Running() {
		p.Stopped, err = readStopMark(ctx, l.conn.Files, l.paths, c)
		err = errors.Join(err, l.otherProxy(ctx))
	}
	return c, err
}

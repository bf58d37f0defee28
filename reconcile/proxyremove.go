package reconcile

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// RemoveProxy takes the proxy's container, its image and its directory away; its volume, with routes and certificates, stays. It
// refuses while other apps are on the host, unless it is forced: then they are served no more, and the directory stays.
func (c *Controller) RemoveProxy(ctx context.Context, desired release.Release, force bool, hosts []string) (Commanded, error) {
	return c.onProxies(ctx, desired, hosts, proxyCommand{verb: "remove", past: "Removed proxy",
		do: func(ctx context.Context, p *proxyOn) error {
			others, err := p.others(ctx)
			if err != nil {
				return err
			}
			if len(others) > 0 && !force {
				return fmt.Errorf("other apps are installed there (%s), and need it: nothing was changed; --force removes it all the same", strings.Join(others, ", "))
			}
			return p.remove(ctx, others)
		}})
}

// others are the other apps on a host, by their routes and their directories.
func (p *proxyOn) others(ctx context.Context) ([]string, error) {
	names, err := p.conn.Files.List(ctx, path.Join(p.run.paths.run, "apps"))
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(names, func(name string) bool { return name == p.desired.App().String() })
	for _, route := range p.routes {
		if !ownRoute(p.desired, p.w.seen, route) {
			others = append(others, "route "+route.Name)
		}
	}
	return others, nil
}

func (p *proxyOn) remove(ctx context.Context, others []string) error {
	if p.there {
		if err := stop(ctx, p.conn, p.proxy.ID, ProxyGrace); err != nil {
			return err
		}
		if err := p.conn.Engine.Remove(ctx, p.proxy.ID); err != nil {
			return err
		}
		if err := unless(p.conn.Engine.RemoveImage(ctx, p.proxy.Live.Image), state.ErrNotFound, state.ErrConflict); err != nil {
			p.note("its image %s stays: %v", p.proxy.Live.Image, err)
		}
		p.note("its volume %s-config stays, with routes and certificates: `docker volume rm` removes it", p.name)
	}
	p.did, p.unchanged = "was removed", !p.there
	if !p.there {
		p.did = "was not there"
	}
	if len(others) > 0 {
		p.note("the directory %s stays: other apps have files there", p.run.paths.proxyDir())
		return nil
	}
	return p.conn.Files.Remove(ctx, p.run.paths.proxyDir())
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// tenant is the accessory as whatever the proxy has a route to.
func (on *accessoryOn) tenant() *roleOn {
	return &roleOn{c: on.c, desired: on.desired, locks: on.w.locks, conn: on.conn, on: on.on, role: on.role, seen: on.seen, own: on.all}
}

// unroute has the accessory's route answer 503 until the requests in flight have ended, and takes it away; so does it with one that it
// has and is not to have any more.
func (on *accessoryOn) unroute(ctx context.Context) error {
	route, there, err := on.routeKept(ctx)
	if err != nil && on.accessory.Proxy == nil {
		return nil // a database is not kept from stopping by a proxy that is no business of its
	}
	if err != nil || !there {
		return err
	}
	mine := slices.ContainsFunc(on.all, func(c state.Container) bool { return c.ShortID() == route.TargetID() })
	if on.accessory.Proxy == nil && !mine {
		return nil // it is of another app, which has a role of that name
	}
	tenant := on.tenant()
	_, err = tenant.unroute(ctx)
	on.notes = append(on.notes, tenant.notes...)
	return err
}

// routeKept is what the proxy has of the accessory's route; a proxy that is not there has nothing.
func (on *accessoryOn) routeKept(ctx context.Context) (route state.Route, there bool, err error) {
	routes, err := on.conn.Proxy.Routes(ctx, on.desired.ProxyServer.Name)
	if errors.Is(err, state.ErrNotFound) {
		return route, false, nil
	}
	route, there = (state.Proxy{Routes: routes}).Route(on.accessory.Service)
	return route, there, err
}

// serve has the proxy send requests to the container, which is healthy. It tells whether it did not before.
func (on *accessoryOn) serve(ctx context.Context) (changed bool, err error) {
	role := on.accessory.Role()
	if role.Proxy == nil {
		return false, nil
	}
	before, there, err := on.routeKept(ctx)
	if err != nil {
		return false, err
	}
	want := state.Route{Name: on.accessory.Service, Options: on.desired.RouteOptions(role), Targets: []string{fmt.Sprintf("%s:%d", on.container.ShortID(), role.Proxy.AppPort)}}
	shut := before.Stopped || before.Paused
	if there && before.TargetID() == want.TargetID() && !shut {
		return false, nil // what else differs is for a plan
	}
	tenant := on.tenant()
	if there && !tenant.ownsRoute(ctx, before) {
		return false, fmt.Errorf("it runs, and the route %s goes to %s, which is not a container of %s: it is left so; give the accessory another service",
			before.Name, strings.Join(before.Targets, ", "), on.desired.App())
	}
	r := &run{c: on.c, desired: on.desired, locks: on.w.locks, hosts: map[string]release.Host{on.on.Name: on.on}}
	if err := r.deploy(ctx, on.conn, on.on.Name, want); err != nil {
		if tenant.proxyIsDown(ctx) {
			return false, fmt.Errorf("it runs, and has no route, since the proxy does not: %w\n  next: `kamald proxy boot --hosts %s` starts it, and this command once more makes the route", err, on.on.Name)
		}
		return false, fmt.Errorf("it runs, and the proxy does not take its route: %w", err)
	}
	if shut {
		if err := on.conn.Proxy.Resume(ctx, r.proxyName(), want.Name); err != nil {
			return true, err
		}
	}
	return true, on.readCertificate(ctx, role)
}

// readCertificate notes that the proxy has read the accessory's certificate with its route.
func (on *accessoryOn) readCertificate(ctx context.Context, role release.Role) error {
	if len(role.CertificateSecrets()) == 0 {
		return nil
	}
	paths := layoutOf(on.desired)
	_, note, err := readCertificate(ctx, on.conn.Files, paths, role.Name)
	if err != nil || !note.Pending {
		return err
	}
	note.Pending = false
	return noteCertificate(ctx, on.conn.Files, paths, role.Name, note)
}

// accessories names those of the app that have a route on the host: they stay where the app goes.
func (p *proxyOn) accessories() (names []string) {
	for _, route := range p.routes {
		of, _ := whoseRoute(p.desired, heldRelease(p.w.seen), route)
		if name, is := state.AccessoryOf(of); is {
			names = append(names, name)
		}
	}
	return names
}

// proxyFiles are what the proxy of a host has of the app, but for the certificates of accessories there that stay behind it.
func (r *removal) proxyFiles(ctx context.Context, host string, conn *Connection) ([]string, error) {
	dir := path.Join(layoutOf(r.desired).appsConfig(), r.desired.App().String())
	certified := slices.ContainsFunc(r.desired.Proxied(), func(role release.Role) bool {
		_, beside := state.AccessoryOf(role.Name)
		return beside && slices.Contains(role.Hosts, host) && len(role.CertificateSecrets()) > 0
	})
	if !certified {
		return []string{dir}, nil
	}
	var list []string
	for _, stays := range []string{"tls", "accessory"} {
		names, err := conn.Files.List(ctx, dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name != stays {
				list = append(list, path.Join(dir, name))
			}
		}
		dir = path.Join(dir, stays)
	}
	return list, nil
}

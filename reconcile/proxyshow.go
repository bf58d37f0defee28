package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ProxyHost is the proxy of one host as it was found.
type ProxyHost struct {
	Host        string        `json:"host"`
	Unreachable string        `json:"unreachable,omitempty"` // nothing else is known then
	Cordoned    string        `json:"cordoned,omitempty"`    // left out on purpose, and not looked at
	Container   string        `json:"container,omitempty"`   // "": there is none
	ID          string        `json:"id,omitempty"`
	Image       string        `json:"image,omitempty"`
	Version     string        `json:"version,omitempty"` // of the program that runs, where it says so; else the image's tag
	Own         bool          `json:"own"`               // it is kamald-proxy, by its own word
	Owner       string        `json:"owner,omitempty"`   // the app whose proxy_server block it was made from; "": nobody's
	Ports       []string      `json:"ports,omitempty"`   // as they are published
	Since       time.Time     `json:"since,omitzero"`    // of its start, or of its end
	State       state.Status  `json:"state,omitempty"`
	Stopped     *state.Intent `json:"stopped,omitempty"` // who has stopped it on purpose
	Routes      []ProxyRoute  `json:"routes"`
	Conflicts   []string      `json:"conflicts,omitempty"` // what is not as the file asks, and what stands in its way
	Unread      string        `json:"unread,omitempty"`    // why the running proxy did not say what it routes
}

// ProxyRoute is one route of any app on the host.
type ProxyRoute struct {
	Name string `json:"name"`
	Own  bool   `json:"own"` // a role's of this app, or an accessory's
	// Accessory is whose it is, where it is an accessory's of this app.
	Accessory string   `json:"accessory,omitempty"`
	Hosts     []string `json:"hosts,omitempty"` // empty: any host
	Paths     []string `json:"paths"`
	TLS       bool     `json:"tls"`
	Targets   []string `json:"targets"`
	State     string   `json:"state"`            // running, paused, stopped, broken; lost: the running proxy does not know it
	Health    string   `json:"health,omitempty"` // healthy, unhealthy: why; "": the proxy does not say
}

// Proxies looks at the proxy of every host in scope that has a proxied role or accessory, all at once.
func (c *Controller) Proxies(ctx context.Context, desired release.Release, hosts []string) ([]ProxyHost, error) {
	proxied, err := ProxyHosts(desired, hosts)
	if err != nil {
		return nil, err
	}
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return nil, err
	}
	cordoned := plan.CordonedIn(known, c.now())
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool { return !slices.Contains(proxied, on.Name) })
	found := make([]ProxyHost, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		found[i] = ProxyHost{Host: on.Name, Cordoned: cordoned[on.Name], Routes: []ProxyRoute{}}
		if found[i].Cordoned != "" {
			return
		}
		if err := c.showProxy(ctx, desired, known, on, &found[i]); err != nil {
			found[i].Unreachable = why(err, on.Name)
		}
	})
	return found, ctx.Err()
}

func (c *Controller) showProxy(ctx context.Context, desired release.Release, known state.Snapshot, on release.Host, p *ProxyHost) error {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return err
	}
	name := desired.ProxyServer.Name
	box, err := conn.Engine.Inspect(ctx, name, proxyView(desired))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var (
		kept   []state.Route
		live   []state.LiveRoute
		silent error
		home   string
		about  state.Program
	)
	group, grouped := crewWithin(ctx)
	group.Go(func() (err error) { kept, err = conn.Proxy.Routes(grouped, name); return })
	group.Go(func() (err error) { home, err = conn.Files.Home(grouped); return })
	group.Go(func() (err error) {
		about, err = conn.Proxy.About(grouped, name)
		return unless(err, state.ErrNotFound, fs.ErrNotExist)
	})
	if box.Running() {
		group.Go(func() error { live, silent = conn.Proxy.List(grouped, name); return nil })
	} else {
		group.Go(func() (err error) { p.Stopped, err = readStopMark(grouped, conn.Files, layoutOf(desired), box); return })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.Container, p.ID, p.Image, p.State, p.Ports, p.Since = box.Name, state.ShortID(box.ID), box.Live.Image, box.Status, box.Live.Options["publish"], box.Started
	if !box.Running() {
		p.Since = box.Finished
	}
	p.program(box, about)
	if silent != nil {
		p.Unread = why(silent, on.Name)
	}
	for _, route := range kept {
		shown := showRoute(route, live, box.Running() && silent == nil)
		var of string
		of, shown.Own = whoseRoute(desired, heldRelease(known), route)
		if name, is := state.AccessoryOf(of); is {
			shown.Accessory = name
		}
		p.Routes = append(p.Routes, shown)
	}
	seen := state.Host{Name: on.Name, RunDir: absolute(home, desired.RunDirectory)}
	seen.Proxy = state.Proxy{ID: box.ID, Name: box.Name, Image: box.Live.Image, Running: box.Running(), Live: &box.Live, Routes: kept, Owner: box.Owner, Asked: box.Asked, Own: p.Own}
	if p.Own {
		seen.Proxy.Version = p.Version
	}
	p.Conflicts = conflicts(desired, seen)
	return nil
}

// program fills in whose proxy it is and of which version: after an upgrade in place the image says an older one.
func (p *ProxyHost) program(box state.Container, about state.Program) {
	p.Owner = box.Owner
	if _, tag, ok := cutLast(p.Image, ":"); ok && !strings.Contains(tag, "/") {
		p.Version = tag
	}
	if saysOf(about, box) {
		p.Own, p.Version = true, about.Version
	}
}

func showRoute(route state.Route, live []state.LiveRoute, asked bool) ProxyRoute {
	r := ProxyRoute{Name: route.Name, Hosts: route.Options.Hosts, Paths: route.Options.PathPrefixes, TLS: route.Options.TLS, Targets: route.Targets,
		State: state.RouteRunning}
	switch {
	case route.Stopped:
		r.State = state.RouteStopped
	case route.Paused:
		r.State = state.RoutePaused
	}
	if !asked {
		return r
	}
	i := slices.IndexFunc(live, func(l state.LiveRoute) bool { return l.Name == route.Name })
	if i < 0 {
		r.State, r.Health = "lost", "the running proxy does not know it: `kamald proxy restart` puts it back"
		return r
	}
	r.State = live[i].State
	if live[i].State == state.RouteBroken {
		r.Health = live[i].Error
		return r
	}
	var healths []string
	for _, t := range live[i].Targets {
		text := t.Health
		if t.Cause != "" {
			text += ": " + t.Cause
		}
		if text != "" && !slices.Contains(healths, text) {
			healths = append(healths, text)
		}
	}
	r.Health = strings.Join(healths, "; ")
	return r
}

// conflicts are settings that the file asks for and the proxy was not made with, and routes of others that this app's would meet.
func conflicts(desired release.Release, seen state.Host) []string {
	var list []string
	if err := plan.OthersProxy(desired, seen); desired.ProxyServer.Declared && err != nil {
		list = append(list, err.Error())
	} else if desired.ProxyServer.Declared {
		for _, f := range plan.ProxyDiffers(desired, seen) {
			list = append(list, "not as the file asks: "+plan.FieldsText([]plan.Field{f})+"; `kamald proxy reboot` makes it so")
		}
	}
	for _, role := range desired.Proxied() {
		if !slices.Contains(role.Hosts, seen.Name) {
			continue
		}
		mine := desired.RouteName(role.Name)
		for _, route := range seen.Proxy.Routes {
			if route.Name != mine && meet(role.Proxy.Options.Hosts, route.Options.Hosts) && meet(prefixes(role.Proxy.Options), prefixes(route.Options)) {
				list = append(list, fmt.Sprintf("route %s has a host and path that %s is to have", route.Name, mine))
			}
		}
	}
	return list
}

func prefixes(o state.RouteOptions) []string {
	if len(o.PathPrefixes) == 0 {
		return []string{"/"}
	}
	return o.PathPrefixes
}

// meet tells whether two lists have something in common; both empty, they are both any host.
func meet(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
}

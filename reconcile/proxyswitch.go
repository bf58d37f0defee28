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

// switchGrace is how long the old proxy may finish requests in flight. It takes no new ones meanwhile, so this is the longest part of
// the outage, and an idle proxy does not use it.
const switchGrace = 5 * time.Second

// ErrNoSwitch: there is a host on which the proxy cannot be changed for the other.
var ErrNoSwitch = errors.New("the proxy cannot be switched")

// ProxySwitch is what changing the hosts' proxy for the other driver's would do, or has done.
type ProxySwitch struct {
	App     state.App       `json:"app"`
	To      string          `json:"to"` // the driver
	Hosts   []ProxySwitchOn `json:"hosts"`
	Outage  string          `json:"outage"`
	Skipped []plan.Skipped  `json:"skipped,omitempty"`
}

// ProxySwitchOn is that on one host.
type ProxySwitchOn struct {
	Host    string        `json:"host"`
	From    ProxyAt       `json:"from"`
	To      ProxyAt       `json:"to"`
	Risk    plan.Risk     `json:"risk"`
	Routes  []state.Route `json:"routes"`            // as the new one is to have them
	Lost    []string      `json:"lost,omitempty"`    // what it cannot do of what the old one did
	Attach  []string      `json:"attach,omitempty"`  // containers that are attached to the network: the new one reaches them there
	Already bool          `json:"already,omitempty"` // nothing to do
	Problem string        `json:"problem,omitempty"` // why it cannot be done
	// Unfinished: no proxy runs there, and the new one has only to be started.
	Unfinished bool `json:"unfinished,omitempty"`

	Done  bool          `json:"done,omitempty"`
	Took  time.Duration `json:"outage_took,omitempty"` // from the stop of the old one to the new one's first answer
	Error string        `json:"error,omitempty"`
}

// ProxyAt is a proxy's container.
type ProxyAt struct {
	ID    string `json:"id,omitempty"`
	Name  string `json:"name"`
	Image string `json:"image"`
}

// Needed are the hosts on which there is something to do.
func (s ProxySwitch) Needed() int {
	n := 0
	for _, on := range s.Hosts {
		if !on.Already {
			n++
		}
	}
	return n
}

// Problems joins what stands in the way, by host; nil when nothing does.
func (s ProxySwitch) Problems() error {
	var errs []error
	for _, on := range s.Hosts {
		if on.Problem != "" {
			errs = append(errs, fmt.Errorf("%s: %s", on.Host, on.Problem))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w; nothing was changed:\n%w", ErrNoSwitch, errors.Join(errs...))
}

// OtherProxy is the release as it is where the hosts still have the proxy of the other driver, under the name that it has by default.
func OtherProxy(desired release.Release) release.Release {
	name := desired.ProxyServer.OtherName()
	desired.ProxyServer = release.ProxyServer{Name: name}
	if name == state.TraefikName {
		desired.ProxyServer.Driver = state.DriverTraefik
	}
	return desired
}

// PlanProxySwitch looks what would have to be done so that every host with a proxied role has the proxy that the file asks for, with
// all the routes that the other one has: also those of other apps. other reaches the hosts with that one's driver.
func (c *Controller) PlanProxySwitch(ctx context.Context, desired release.Release, other *Fleet) (ProxySwitch, error) {
	seen, _, err := c.look(ctx, desired, false)
	if err != nil {
		return ProxySwitch{}, err
	}
	return c.planSwitch(ctx, desired, other, seen), nil
}

func (c *Controller) planSwitch(ctx context.Context, desired release.Release, other *Fleet, seen state.Snapshot) ProxySwitch {
	result := ProxySwitch{App: desired.App(), To: driverName(desired.ProxyServer), Hosts: []ProxySwitchOn{}, Skipped: skipped(seen), Outage: fmt.Sprintf(
		"on each host, from the stop of the old proxy to the start of the new one: as long as requests are in flight, at most %s, and about a second; "+
			"websockets and requests that take longer are cut. Certificates that a proxy gets by ACME are got anew", switchGrace)}
	hosts := proxiedHosts(desired, seen)
	found := make([]ProxySwitchOn, len(hosts))
	var looking branches
	for i, on := range hosts {
		looking.Go(func() {
			host, _ := seen.Host(on.Name)
			found[i] = c.planSwitchOn(ctx, desired, other, on, host)
		})
	}
	looking.Wait()
	result.Hosts = append(result.Hosts, found...)
	return result
}

func driverName(server release.ProxyServer) string {
	if server.Traefik() {
		return state.DriverTraefik
	}
	return "kamal-proxy"
}

// proxiedHosts are the hosts of proxied roles and accessories that were observed.
func proxiedHosts(desired release.Release, seen state.Snapshot) []release.Host {
	var hosts []release.Host
	for _, on := range reached(desired, seen) {
		if slices.ContainsFunc(desired.Proxied(), func(r release.Role) bool { return slices.Contains(r.Hosts, on.Name) }) {
			hosts = append(hosts, on)
		}
	}
	return hosts
}

func (c *Controller) planSwitchOn(ctx context.Context, desired release.Release, other *Fleet, on release.Host, host state.Host) ProxySwitchOn {
	server := desired.ProxyServer
	result := ProxySwitchOn{Host: on.Name, To: ProxyAt{Name: server.Name, Image: server.Image}, Risk: plan.Downtime, Routes: []state.Route{}}
	old, routes, err := c.switchedFrom(ctx, desired, other, on, host)
	switch {
	case err != nil:
		result.Problem = err.Error()
		return result
	case old.ID == "" && host.Proxy.Running:
		result.Already, result.Risk, result.To.ID = true, plan.Safe, host.Proxy.ID
		return result
	case old.ID == "" && host.Proxy.ID != "": // a run was killed between the stop of the one and the start of the other
		result.Routes, result.To.ID, result.Unfinished = append(result.Routes, host.Proxy.Routes...), host.Proxy.ID, true
		return result
	case old.ID == "":
		result.Problem = fmt.Sprintf("no proxy runs there, neither %s nor %s: `kamald apply` starts it", server.Name, server.OtherName())
		return result
	case old.ID != host.Proxy.ID && host.Proxy.Running:
		result.Problem = fmt.Sprintf("both run there, %s and %s: stop the one that serves nothing", old.Name, server.Name)
		return result
	}
	result.From = old
	for _, route := range routes {
		if route.Paused {
			result.Problem = fmt.Sprintf("the route %s is paused: resume it first", route.Name)
		}
		moved, lost := movedRoute(desired, route)
		result.Routes = append(result.Routes, moved)
		for _, what := range lost {
			result.Lost = append(result.Lost, route.Name+": "+what)
		}
	}
	if err := c.findUnattached(ctx, desired, on, &result); err != nil {
		result.Problem = err.Error()
	}
	return result
}

// switchedFrom finds the proxy that serves now and its routes; none when it is not there. It has the other driver's name, or the very
// name where Kamal 1 made a Traefik that reads no files of kamald's.
func (c *Controller) switchedFrom(ctx context.Context, desired release.Release, other *Fleet, on release.Host, host state.Host) (ProxyAt, []state.Route, error) {
	if live := host.Proxy.Live; desired.ProxyServer.Traefik() && host.Proxy.Running && live != nil && !plan.ReadsTraefikFiles(*live) {
		return ProxyAt{ID: host.Proxy.ID, Name: host.Proxy.Name, Image: host.Proxy.Image}, host.Proxy.Routes, nil
	}
	conn, err := other.Connection(ctx, on)
	if err != nil {
		return ProxyAt{}, nil, err
	}
	name := desired.ProxyServer.OtherName()
	found, err := conn.Engine.Inspect(ctx, name, state.View{})
	if errors.Is(err, state.ErrNotFound) || err == nil && !found.Running() {
		return ProxyAt{}, nil, nil
	}
	if err != nil {
		return ProxyAt{}, nil, err
	}
	routes, err := conn.Proxy.Routes(ctx, name)
	return ProxyAt{ID: found.ID, Name: found.Name, Image: found.Live.Image}, routes, err
}

// movedRoute is a route as the new proxy is to have it: with the file's options where it is of a role there, else with those that it
// has, as far as the new one can have them.
func movedRoute(desired release.Release, route state.Route) (moved state.Route, lost []string) {
	moved = route
	moved.Implied = false
	role, ours := roleRouted(desired, route.Name)
	switch {
	case ours:
		moved.Options = desired.RouteOptions(role)
	case route.Implied:
		moved.Options.ResponseTimeout, moved.Options.TLSRedirect = 30*time.Second, true
		moved.Options.HealthPath, moved.Options.HealthInterval, moved.Options.HealthTimeout = "/up", time.Second, 5*time.Second
		lost = append(lost, "of its labels only hosts, path prefixes and port are taken along, and its health is asked for at /up")
	}
	if desired.ProxyServer.Traefik() {
		var more []string
		moved.Options, more = state.ForTraefik(moved.Options)
		if !ours {
			lost = append(lost, more...)
		}
		if len(moved.Readers) > 0 || moved.Rollout != nil {
			moved.Readers, moved.Rollout = nil, nil
			lost = append(lost, "its readers and its rollout: the targets get all requests")
		}
		if moved.StopMessage != "" {
			moved.StopMessage = ""
			lost = append(lost, "the message of its maintenance page")
		}
	}
	return moved, lost
}

// findUnattached finds the targets that the new proxy could not reach: Kamal 1 ran its containers in the engine's default network.
func (c *Controller) findUnattached(ctx context.Context, desired release.Release, on release.Host, result *ProxySwitchOn) error {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return err
	}
	for _, route := range result.Routes {
		for _, target := range route.Targets {
			id, _, _ := strings.Cut(target, ":")
			found, err := conn.Engine.Inspect(ctx, id, state.View{})
			if errors.Is(err, state.ErrNotFound) {
				return fmt.Errorf("the route %s goes to the container %s, which is gone: deploy its app, or remove the route first", route.Name, id)
			}
			if err != nil {
				return err
			}
			if !found.Running() {
				return fmt.Errorf("the route %s goes to the container %s, which does not run: start it, or remove the route first", route.Name, found.Name)
			}
			if _, attached := found.IPs[desired.Network]; !attached && !slices.Contains(result.Attach, found.Name) {
				result.Attach = append(result.Attach, found.Name)
			}
		}
	}
	return nil
}

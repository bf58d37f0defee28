package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// volumes are what the proxies of a world keep, each in a volume of its own: host and volume → name → route. Published ports are
// one container's at a time, as the engine has it.
type volumes struct {
	*world
	mu      sync.Mutex
	kept    map[string]map[string]state.Route
	implied map[string][]state.Route // what labels say, by host
}

func newVolumes(t *testing.T, seed uint64) *volumes {
	w := newWorld(t, seed)
	for _, host := range []string{"h1", "h2", "h3"} {
		w.Place(host, sim.Image{Ref: "traefik:v3.1", Port: 80, Behaviour: sim.Healthy(0)})
	}
	return &volumes{world: w, kept: map[string]map[string]state.Route{}, implied: map[string][]state.Route{}}
}

// Connect implements reconcile.Connector.
func (v *volumes) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := v.Connector().Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	return &reconcile.Connection{Engine: portEngine{conn.Engine, v, host.Name}, Files: conn.Files, Prober: conn.Prober, Environ: conn.Environ, Close: conn.Close,
		Proxy: &volumeProxy{Proxy: conn.Proxy, v: v, engine: conn.Engine, host: host.Name}}, nil
}

func (v *volumes) fleet() *reconcile.Fleet { return reconcile.NewFleet(v) }

func (v *volumes) run(do func(*reconcile.Controller) error) error {
	c := v.controller()
	mine := reconcile.NewController(v.fleet(), v.store, c.Secrets)
	mine.LockWait, mine.Report = true, c.Report
	defer func() { _ = errors.Join(c.Close(), mine.Close()) }()
	return do(mine)
}

// switchTo switches the proxies of all hosts to the release's.
func (v *volumes) switchTo(desired release.Release) (done reconcile.ProxySwitch, err error) {
	other := v.fleet()
	defer func() { _ = other.Close() }()
	err = v.run(func(c *reconcile.Controller) error {
		done, err = c.SwitchProxy(v.t.Context(), desired, other)
		return err
	})
	return done, err
}

// portEngine lets two containers that run publish no port both.
type portEngine struct {
	*sim.Engine
	v    *volumes
	host string
}

func (e portEngine) Start(ctx context.Context, name string) error {
	var asked []string
	all := e.v.Containers(e.host, state.View{})
	for _, c := range all {
		if c.ID == name || c.Name == name {
			asked = c.Live.Options["publish"]
		}
	}
	for _, c := range all {
		if c.ID != name && c.Name != name && c.Running() && slices.ContainsFunc(c.Live.Options["publish"], func(p string) bool { return slices.Contains(asked, p) }) {
			return fmt.Errorf("Bind for 0.0.0.0:80 failed: port is already allocated (%s has it)", c.Name)
		}
	}
	return e.Engine.Start(ctx, name)
}

// volumeProxy is a proxy of either driver. Each of its calls is one of the simulated engine.
type volumeProxy struct {
	*sim.Proxy
	v      *volumes
	engine *sim.Engine
	host   string
}

func (p *volumeProxy) volume(ctx context.Context, name string, up bool) (map[string]state.Route, error) {
	c, err := p.engine.Inspect(ctx, name, state.View{})
	if err != nil {
		return nil, err
	}
	if up && !c.Running() {
		return nil, fmt.Errorf("%s does not run: %w", name, state.ErrConflict)
	}
	if len(c.Live.Volumes) == 0 {
		return nil, nil
	}
	volume, _, _ := strings.Cut(c.Live.Volumes[0], ":")
	key := p.host + "/" + volume
	p.v.mu.Lock()
	defer p.v.mu.Unlock()
	if p.v.kept[key] == nil {
		p.v.kept[key] = map[string]state.Route{}
	}
	return p.v.kept[key], nil
}

func (p *volumeProxy) Routes(ctx context.Context, name string) ([]state.Route, error) {
	kept, err := p.volume(ctx, name, false)
	if err != nil {
		return nil, err
	}
	if kept == nil {
		return p.v.implied[p.host], nil
	}
	p.v.mu.Lock()
	defer p.v.mu.Unlock()
	var list []state.Route
	for _, route := range slices.Sorted(maps.Keys(kept)) {
		list = append(list, kept[route])
	}
	return list, nil
}

func (p *volumeProxy) change(ctx context.Context, name string, do func(map[string]state.Route)) error {
	kept, err := p.volume(ctx, name, true)
	if err != nil {
		return err
	}
	p.v.mu.Lock()
	defer p.v.mu.Unlock()
	do(kept)
	return nil
}

func (p *volumeProxy) Deploy(ctx context.Context, name string, route state.Route, _, _ time.Duration) error {
	id, _, _ := strings.Cut(route.Targets[0], ":")
	proxy, err := p.engine.Inspect(ctx, name, state.View{})
	if err != nil {
		return err
	}
	target, err := p.engine.Inspect(ctx, id, state.View{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(proxy.IPs)), func(n string) bool { _, on := target.IPs[n]; return on }) {
		return fmt.Errorf("target failed to become healthy: %s is in none of %v", id, proxy.IPs)
	}
	return p.change(ctx, name, func(kept map[string]state.Route) {
		route.Stopped = kept[route.Name].Stopped
		kept[route.Name] = route
	})
}

func (p *volumeProxy) Remove(ctx context.Context, name, route string) error {
	return p.change(ctx, name, func(kept map[string]state.Route) { delete(kept, route) })
}

func (p *volumeProxy) Stop(ctx context.Context, name, route, message string, _ time.Duration) error {
	return p.change(ctx, name, func(kept map[string]state.Route) {
		r := kept[route]
		r.Stopped, r.StopMessage = true, message
		kept[route] = r
	})
}

func (p *volumeProxy) Resume(ctx context.Context, name, route string) error {
	return p.change(ctx, name, func(kept map[string]state.Route) {
		r := kept[route]
		r.Stopped, r.StopMessage = false, ""
		kept[route] = r
	})
}

func (p *volumeProxy) Answers(ctx context.Context, name string) error {
	_, err := p.volume(ctx, name, true)
	return err
}

// withTraefik is the release with Traefik for its proxy.
func withTraefik(desired release.Release) release.Release {
	desired.ProxyServer = release.ProxyServer{Declared: true, Driver: state.DriverTraefik, Name: "traefik", Image: "traefik:v3.1", HTTPPort: 80, HTTPSPort: 443, Publish: true}
	return desired
}

// serving is the proxy that runs on a host and has the ports, with the names of its routes.
func (v *volumes) serving(host string) string {
	var text []string
	for _, c := range v.Containers(host, state.View{}) {
		if !c.Running() || len(c.Live.Options["publish"]) == 0 {
			continue
		}
		line := c.Name
		if len(c.Live.Volumes) > 0 {
			volume, _, _ := strings.Cut(c.Live.Volumes[0], ":")
			for _, name := range slices.Sorted(maps.Keys(v.kept[host+"/"+volume])) {
				line += " " + name
				if v.kept[host+"/"+volume][name].Stopped {
					line += "(stopped)"
				}
			}
		}
		text = append(text, line)
	}
	return strings.Join(text, ", ")
}

// another puts another app's container there, and its route into the proxy that serves.
func (v *volumes) another(host, volume string) {
	id := v.RunContainer(host, "blog-web-v1", state.Spec{Image: repository + ":v1", Network: "kamal"}, map[string]string{"service": "blog", "role": "blog", "destination": ""}, nil)
	v.kept[host+"/"+volume]["blog-web"] = state.Route{Name: "blog-web", Targets: []string{state.ShortID(id) + ":3000"}, Stopped: true, Options: state.RouteOptions{
		Hosts: []string{"blog.example.com"}, PathPrefixes: []string{"/"}, ForwardHeaders: true, BufferRequests: true, BufferResponses: true,
		LogRequestHeaders: []string{"X-A"}, HealthPath: "/", HealthInterval: time.Second, HealthTimeout: time.Second}}
}

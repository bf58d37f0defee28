package sim

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

const (
	// proxyRepository is the repository of the image that kamald makes itself.
	proxyRepository = "kamald/proxy"
	// drainLook is how often the proxy looks whether its old targets are idle.
	drainLook = 5 * time.Millisecond
)

var (
	errProxyEnded = errors.New("the proxy ended: unexpected EOF")
	errUnhealthy  = errors.New("target failed to become healthy within configured timeout")
)

// ProxyImage is an image that runs as the proxy, to be pushed or placed.
func ProxyImage(ref string) Image {
	return Image{Ref: ref, Port: 80, Labels: map[string]string{state.LabelTitle: state.ProxyTitle}}
}

// Proxy drives the proxy of one host. Its routes are in a volume: they outlive the container.
type Proxy struct{ *session }

// Routes reads the routes, sorted by name.
func (p *Proxy) Routes(ctx context.Context, name string) (list []state.Route, err error) {
	err = p.read(ctx, "Proxy.Routes", name, func(h *host) error {
		if _, err := h.container(name); err != nil {
			return err
		}
		list = h.routeList()
		return nil
	})
	return list, err
}

// Deploy routes to the targets once they are healthy, and drains the old ones. When the caller goes away, the proxy goes on.
func (p *Proxy) Deploy(ctx context.Context, name string, route state.Route, deploy, drain time.Duration) error {
	w, h := p.world, p.host
	if err := validate(route, deploy, drain); err != nil {
		return err
	}
	done := make(chan error, 1)
	call := Call{Method: "Proxy.Deploy", Args: route.Name + " " + strings.Join(route.Targets, ","), Mutates: true}
	return p.call(ctx, call, func(*host) error {
		c, err := h.proxy(name)
		if err != nil {
			return err
		}
		up := c.started
		go func() { done <- w.deploy(h, life{c, up}, route, deploy, drain) }()
		return nil
	}, func(ctx context.Context) error {
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Remove takes a route away.
func (p *Proxy) Remove(ctx context.Context, name, route string) error {
	return p.mutate(ctx, "Proxy.Remove", route, func(h *host) error {
		if _, err := h.proxy(name); err != nil {
			return err
		}
		delete(h.routes, route)
		return nil
	})
}

// Image gives an archive for references to kamald's own proxy; fs.ErrNotExist for others. It is no remote call.
func (p *Proxy) Image(ctx context.Context, ref, _ string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(ref, proxyRepository+":") {
		return nil, fmt.Errorf("image %s: %w", ref, fs.ErrNotExist)
	}
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	data, err := p.world.archive([]*stored{{Image: p.world.make(ProxyImage(ref))}}, []string{ref})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// deploy is what the proxy itself does.
func (w *World) deploy(h *host, proxy life, route state.Route, deploy, drain time.Duration) error {
	interval := cmp.Or(route.Options.HealthInterval, time.Second)
	late := min(w.switchesLate(h), deploy)
	time.Sleep(late)
	old, err := w.until(deploy-late, interval, func() ([]*container, bool, error) { return w.trySwitch(h, proxy, route) })
	if errors.Is(err, errUnhealthy) {
		return fmt.Errorf("%w (%s)%s", err, deploy, w.lastAnswers(h, proxy, route))
	}
	if err != nil {
		return err
	}
	return w.drain(h, proxy, old, drain)
}

// until tries at an interval, for a time at most, until the targets are healthy, and gives what was routed to before.
func (w *World) until(limit, interval time.Duration, try func() (old []*container, done bool, err error)) ([]*container, error) {
	deadline := time.Now().Add(limit)
	for {
		old, done, err := try()
		if err != nil || done {
			return old, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, errUnhealthy
		}
		time.Sleep(min(interval, left))
	}
}

// trySwitch switches when every target is healthy, and gives the containers that were routed to and are no more.
func (w *World) trySwitch(h *host, proxy life, route state.Route) (old []*container, switched bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	h.settle(now)
	if proxy.over(h) {
		return nil, false, errProxyEnded
	}
	for _, target := range route.Targets {
		if _, status := h.reach(proxy.container, target, route.Options.HealthPort); status < 200 || status > 299 {
			return nil, false, nil
		}
	}
	route.Options = canonical(route.Options)
	if other := h.conflict(route); other != "" {
		return nil, false, fmt.Errorf("host settings conflict with another service (%s)", other)
	}
	before := h.routes[route.Name]
	if h.unread[route.Name] {
		before = state.Route{}
		delete(h.unread, route.Name)
	}
	route.Stopped, route.Paused, route.StopMessage, route.MaxPause, route.Rollout = before.Stopped, before.Paused, before.StopMessage, before.MaxPause, before.Rollout
	route.Targets = slices.Clone(route.Targets)
	h.routes[route.Name] = route
	for _, target := range before.Targets {
		id, _, _ := strings.Cut(target, ":")
		if c, err := h.container(id); err == nil && !slices.Contains(route.Targets, target) {
			old = append(old, c)
		}
	}
	return old, true, nil
}

// drain waits for the requests in flight; what is left at the end is cut.
func (w *World) drain(h *host, proxy life, old []*container, drain time.Duration) error {
	deadline := time.Now().Add(drain)
	for _, c := range old {
		for {
			w.mu.Lock()
			h.settle(time.Now())
			ended := proxy.over(h)
			idle, late := c.inFlight == 0, !time.Now().Before(deadline)
			if !idle && late {
				c.cuts++
			}
			w.mu.Unlock()
			if ended {
				return errProxyEnded
			}
			if idle || late {
				break
			}
			time.Sleep(drainLook)
		}
	}
	return nil
}

// validate refuses what the real driver refuses before it asks the proxy.
func validate(route state.Route, deploy, drain time.Duration) error {
	o := route.Options
	if route.Name == "" || len(route.Targets) == 0 || o.HealthInterval <= 0 || o.HealthTimeout <= 0 || deploy <= 0 || drain < 0 {
		return fmt.Errorf("route %q is not deployed: %+v within %s, drain %s", route.Name, route, deploy, drain)
	}
	return nil
}

// life is one run of a container, from its start to its end.
type life struct {
	*container
	since time.Time
}

// over tells whether it has ended, also when the container runs again.
func (l life) over(h *host) bool {
	return h.containers[l.id] != l.container || !l.running() || !l.started.Equal(l.since)
}

// proxy finds the proxy's container and sees that it runs.
func (h *host) proxy(name string) (*container, error) {
	c, err := h.container(name)
	if err != nil {
		return nil, err
	}
	if !c.isProxy() {
		return nil, fmt.Errorf("the container %s is no proxy", name)
	}
	if !c.running() {
		return nil, fmt.Errorf("the proxy %s is not running: %w", name, state.ErrConflict)
	}
	return c, nil
}

func (c *container) isProxy() bool { return c.labels[state.LabelTitle] == state.ProxyTitle }

// reach asks a target from the proxy; status 0 when nothing answers.
func (h *host) reach(proxy *container, target string, port int) (*container, int) {
	id, text, err := net.SplitHostPort(target)
	if err != nil {
		return nil, 0
	}
	if port == 0 {
		if port, err = strconv.Atoi(text); err != nil {
			return nil, 0
		}
	}
	c, err := h.container(id)
	if err != nil {
		return nil, 0
	}
	for network := range c.networks {
		if _, shared := proxy.networks[network]; shared {
			status, _ := c.answers(port, time.Now())
			if status >= 300 && status < 400 && !leadsNowhere(c.image.Behaviour.Location) {
				status = http.StatusOK // it follows redirects
			}
			return c, status
		}
	}
	return nil, 0
}

// conflict names another route that has a pair of host and path of this one.
func (h *host) conflict(route state.Route) string {
	for _, name := range slices.Sorted(maps.Keys(h.routes)) {
		other := h.routes[name]
		if name == route.Name || !overlap(hostsOf(route), hostsOf(other)) {
			continue
		}
		if overlap(route.Options.PathPrefixes, other.Options.PathPrefixes) {
			return name
		}
	}
	return ""
}

func (h *host) routeList() []state.Route {
	var list []state.Route
	for _, name := range slices.Sorted(maps.Keys(h.routes)) {
		list = append(list, h.routes[name])
	}
	return list
}

// hostsOf gives the hosts, "" for any.
func hostsOf(route state.Route) []string {
	if len(route.Options.Hosts) == 0 {
		return []string{""}
	}
	return route.Options.Hosts
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(item string) bool { return slices.Contains(b, item) })
}

// canonical is the form in which the real proxy's driver gives options.
func canonical(o state.RouteOptions) state.RouteOptions {
	o.Hosts = slices.DeleteFunc(slices.Clone(o.Hosts), func(host string) bool { return host == "" })
	if len(o.Hosts) == 0 {
		o.Hosts = nil
	}
	var paths []string
	for _, path := range o.PathPrefixes {
		paths = append(paths, "/"+strings.Trim(path, "/"))
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	o.PathPrefixes = paths
	return o
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// askEvery is the pause between two questions whether a container is healthy.
const askEvery = 20 * time.Millisecond

// floor is a release by hand: the engine's calls that it cannot do without, all hosts at once, and nothing else. No lock, no
// record, no look at how it ended.
type floor struct {
	site    *site
	desired release.Release
	digest  string
	tracer  *tracer

	open, proven, stopped *gate
}

// gate holds everybody back until it was passed so many times; a nil one holds nobody back.
type gate struct {
	left atomic.Int32
	once sync.Once
	open chan struct{}
}

func newGate(n int) *gate {
	g := &gate{open: make(chan struct{})}
	g.left.Store(int32(n))
	return g
}

func (g *gate) pass() {
	if g != nil && g.left.Add(-1) <= 0 {
		g.once.Do(func() { close(g.open) })
	}
}

func (g *gate) wait(ctx context.Context) error {
	if g == nil {
		return nil
	}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// raw releases a version of a service by hand: in the order of a release, or as the service unordered with none.
func (s *site) raw(ctx context.Context, service, version string) (trial, error) {
	desired, err := s.desired(service, version)
	if err != nil {
		return trial{}, err
	}
	digest, err := s.digest(ctx, service, version)
	if err != nil {
		return trial{}, err
	}
	f := &floor{site: s, desired: desired, digest: digest}
	if service != unordered {
		f.open, f.proven, f.stopped = newGate(1), newGate(len(desired.Hosts)), newGate(len(desired.Hosts))
	}
	f.tracer = &tracer{began: time.Now()}
	group, ctx := errgroup.WithContext(ctx)
	for _, host := range desired.Hosts {
		group.Go(func() error {
			if err := f.host(ctx, host); err != nil {
				return fmt.Errorf("%s: by hand: %w", host.Name, err)
			}
			return nil
		})
	}
	err = group.Wait()
	return trial{took: time.Since(f.tracer.began), calls: f.tracer.calls}, err
}

// host does one host's part.
func (f *floor) host(ctx context.Context, host release.Host) error {
	raw, err := connector{}.Connect(ctx, host)
	if err != nil {
		return err
	}
	defer func() { go raw.Close() }() // whoever types this by hand is done before
	conn := reconcile.Intercept(host.Name, raw, f.tracer.intercept)
	i := slices.IndexFunc(f.desired.Roles, func(r release.Role) bool { return slices.Contains(r.Hosts, host.Name) })
	role := f.desired.Roles[i]
	olds, err := conn.Engine.Containers(ctx, state.Filter{Labels: map[string]string{state.LabelService: f.desired.Service}})
	if err != nil {
		return err
	}
	id, err := f.boot(ctx, conn, host, role)
	if err != nil {
		return err
	}
	f.proven.pass()
	if err := f.proven.wait(ctx); err != nil {
		return err
	}
	if role.Proxy != nil {
		route := state.Route{Name: f.desired.App().RouteName(role.Name), Options: role.Proxy.Options,
			Targets: []string{net.JoinHostPort(state.ShortID(id), strconv.Itoa(role.Proxy.AppPort))}}
		if err := conn.Proxy.Deploy(ctx, f.desired.ProxyServer.Name, route, f.desired.DeployTimeout, f.desired.DrainTimeout); err != nil {
			return err
		}
	}
	for _, old := range olds {
		if old.Running() {
			if err := conn.Engine.Stop(ctx, old.ID, role.Stop.Grace); err != nil {
				return err
			}
		}
	}
	f.stopped.pass()
	if err := f.stopped.wait(ctx); err != nil {
		return err
	}
	return conn.Engine.Tag(ctx, f.desired.Image(), f.desired.ImageName()+":"+f.desired.App().LatestTag())
}

// boot gets the image, makes the container, starts it when its turn has come, and waits until it is healthy.
func (f *floor) boot(ctx context.Context, conn *reconcile.Connection, host release.Host, role release.Role) (string, error) {
	pinned := f.desired.ImageName() + "@" + f.digest
	if err := conn.Engine.Pull(ctx, pinned, "", f.site.auth()); err != nil {
		return "", err
	}
	if err := conn.Engine.Tag(ctx, pinned, f.desired.Image()); err != nil {
		return "", err
	}
	name := f.desired.App().ContainerName(role.Name, f.desired.Version)
	id, err := conn.Engine.Create(ctx, name, f.spec(name, host, role), nil, nil)
	if err != nil {
		return "", err
	}
	if !role.Primary {
		if err := f.open.wait(ctx); err != nil {
			return "", err
		}
	}
	if err := conn.Engine.Start(ctx, id); err != nil {
		return "", err
	}
	if err := f.prove(ctx, conn, id, role); err != nil {
		return "", err
	}
	if role.Primary {
		f.open.pass()
	}
	return id, nil
}

func (f *floor) spec(name string, host release.Host, role release.Role) state.Spec {
	return state.Spec{
		Image: f.desired.Image(), Cmd: role.Cmd, Network: f.desired.Network, Restart: role.Restart, StopGrace: role.Stop.Grace,
		LogDriver: role.Logging.Driver, LogOptions: role.Logging.Options,
		Env:    map[string]string{"KAMAL_CONTAINER_NAME": name, "KAMAL_VERSION": f.desired.Version, "KAMAL_HOST": host.Name},
		Labels: map[string]string{state.LabelService: f.desired.Service, state.LabelRole: role.Name, state.LabelDestination: ""},
	}
}

// prove asks until the container is healthy: a web one over HTTP, a worker whether it runs.
func (f *floor) prove(ctx context.Context, conn *reconcile.Connection, id string, role release.Role) error {
	ctx, cancel := context.WithTimeout(ctx, f.desired.DeployTimeout)
	defer cancel()
	c, err := conn.Engine.Inspect(ctx, id, state.View{})
	if err != nil || role.Proxy == nil {
		return err
	}
	address := net.JoinHostPort(c.IPs[f.desired.Network], strconv.Itoa(role.Proxy.AppPort))
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		answer, err := conn.Prober.HTTP(ctx, address, role.Proxy.Options.HealthPath, "")
		if err == nil && answer.Status == http.StatusOK {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not healthy: %w", address, context.Cause(ctx))
		}
	}
}

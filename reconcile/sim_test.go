package reconcile_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// connector reaches the simulated hosts; the types are those of the seam.
type connector struct{ *sim.Connector }

func (c connector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := c.Connector.Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	bulk := func(ctx context.Context) (reconcile.Engine, func() error, error) {
		more, err := c.Connector.Connect(ctx, host)
		if err != nil {
			return nil, nil, err
		}
		return more.Engine, more.Close, nil
	}
	return &reconcile.Connection{Engine: conn.Engine, Files: conn.Files, Prober: conn.Prober, Proxy: conn.Proxy, Environ: conn.Environ, Registry: conn.Registry, Installer: conn.Installer, Shell: conn.Shell, Close: conn.Close, Bulk: bulk}, nil
}

// secrets are those at hand in a test.
type secrets map[string]string

func (s secrets) Secret(name string) (release.Secret, bool, error) {
	value, ok := s[name]
	return release.NewSecret(value), ok, nil
}

func (s secrets) Renew(name string) (release.Secret, bool, error) { return s.Secret(name) }

func (s secrets) Sources() []string { return []string{"the test"} }

// memory is a store without a file: the file's own tests are the store's.
type memory struct {
	mu       sync.Mutex
	snapshot state.Snapshot
	releases map[int]state.Record
	plans    []state.PlanRecord
	events   []state.Event
	watch    state.Watch
	full     error // what every write fails with
}

func (m *memory) SaveSnapshot(s state.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.snapshot = s
	return nil
}

func (m *memory) Snapshot(state.App) (state.Snapshot, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot, m.snapshot.Schema > 0, nil
}

func (m *memory) SaveRelease(r state.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	if m.releases == nil {
		m.releases = map[int]state.Record{}
	}
	m.releases[r.Number] = r
	return nil
}

func (m *memory) Releases(state.App) ([]state.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []state.Record
	for _, r := range m.releases {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b state.Record) int { return cmp.Compare(b.Number, a.Number) })
	return list, nil
}

func (m *memory) SavePlan(_ state.App, p state.PlanRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.plans = append(m.plans, p)
	return nil
}

func (m *memory) Plans(state.App, int) ([]state.PlanRecord, error) { return m.plans, nil }

func (m *memory) Append(_ state.App, events ...state.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.events = append(m.events, events...)
	return nil
}

func (m *memory) Events(state.App, int) ([]state.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := slices.Clone(m.events)
	slices.Reverse(newest)
	return newest, nil
}

func (m *memory) SaveWatch(w state.Watch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full != nil {
		return m.full
	}
	m.watch = w
	return nil
}

func (m *memory) Watch(state.App) (state.Watch, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watch, m.watch.Schema > 0, nil
}

func (m *memory) Trim(state.App, int, int) error { return nil }

func (m *memory) Apps() ([]state.App, error) { return nil, nil }
func (m *memory) Close() error               { return nil }

const (
	repository = "registry.example.com/acme/shop"
	canary     = "planted-secret-value"
	readiness  = 2 * time.Second
)

// world is simulated servers with an app on them: web on h1 and h2, workers on h3.
type world struct {
	*sim.World
	t     *testing.T
	store *memory
	log   []reconcile.Progress
	mu    sync.Mutex
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{World: sim.New(seed, sim.WithCredentials("deploy", "registry-password")), t: t, store: &memory{}}
	for _, name := range []string{"h1", "h2", "h3"} {
		w.AddHost(name)
	}
	for n := 1; n <= 6; n++ {
		w.image(fmt.Sprintf("v%d", n), sim.Healthy(300*time.Millisecond))
	}
	return w
}

// image pushes a version that behaves so.
func (w *world) image(version string, b sim.Behaviour) {
	w.Push(sim.Image{Ref: repository + ":" + version, Behaviour: b, Labels: map[string]string{"service": "shop", "version": version}})
}

// push is image, with a pull that takes a time.
func (w *world) push(version string, b sim.Behaviour, takes time.Duration) {
	w.Push(sim.Image{Ref: repository + ":" + version, Behaviour: b, PullTakes: takes, Labels: map[string]string{"service": "shop", "version": version}})
}

// release is the desired release at a version.
func (w *world) release(version string) release.Release {
	ssh := release.SSH{User: "root", Port: 22}
	options := state.RouteOptions{PathPrefixes: []string{"/"}, StripPathPrefix: true, TLSRedirect: true, ForwardHeaders: true,
		ResponseTimeout: 30 * time.Second, HealthPath: "/up", HealthInterval: time.Second, HealthTimeout: 5 * time.Second}
	env := release.Env{Clear: map[string]string{"LOG_LEVEL": "info"}, Secrets: map[string]string{"TOKEN": "TOKEN"}}
	return release.Release{
		Service: "shop", Repository: "acme/shop", Version: version, PrimaryRole: "web", RetainContainers: 2,
		DeployTimeout: 10 * time.Second, ReadinessDelay: readiness, DrainTimeout: 5 * time.Second, RunDirectory: ".kamal", Network: "kamal",
		Registry: &release.Registry{Server: "registry.example.com", Username: "deploy", PasswordSecret: "REGISTRY_PASSWORD"},
		SSH:      ssh,
		Hosts:    []release.Host{{Name: "h1", Address: "h1", SSH: ssh}, {Name: "h2", Address: "h2", SSH: ssh}, {Name: "h3", Address: "h3", SSH: ssh}},
		Roles: []release.Role{
			{Name: "web", Primary: true, Hosts: []string{"h1", "h2"}, Env: env, Restart: "unless-stopped", Stop: release.Stop{Grace: 5 * time.Second},
				Proxy: &release.Proxy{AppPort: 3000, Options: options}},
			{Name: "workers", Hosts: []string{"h3"}, Env: env, Restart: "unless-stopped", Stop: release.Stop{Grace: 5 * time.Second}, Cmd: []string{"work"}},
		},
		ProxyServer: release.ProxyServer{Name: "kamal-proxy", Image: "kamald/proxy:1.0.0", HTTPPort: 80, HTTPSPort: 443, Publish: true},
		Rollout:     release.Rollout{ParallelRoles: true},
	}
}

// controller is one run of kamald: its own connections, the same store.
func (w *world) controller() *reconcile.Controller { return w.over(connector{w.Connector()}) }

// over is a run that reaches the hosts in a way of its own.
func (w *world) over(way reconcile.Connector) *reconcile.Controller {
	c := reconcile.NewController(reconcile.NewFleet(way), w.store, secrets{"TOKEN": canary, "REGISTRY_PASSWORD": "registry-password"})
	c.LockWait = true
	c.NewSpool, c.StageBytes = func() reconcile.Spool { return &image.Spool{} }, 2<<10
	c.Report = func(p reconcile.Progress) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log = append(w.log, p)
	}
	return c
}

// apply makes a version true in a run of its own.
func (w *world) apply(ctx context.Context, desired release.Release) (reconcile.Report, error) {
	c := w.controller()
	defer func() { _ = c.Close() }()
	return c.Apply(ctx, desired, reconcile.Options{})
}

// mustApply wants the apply to succeed, and the plan after it to be empty.
func (w *world) mustApply(desired release.Release) reconcile.Report {
	w.t.Helper()
	report, err := w.apply(w.t.Context(), desired)
	if err != nil {
		w.t.Fatalf("apply %s: %v\n%s", desired.Version, err, w.progress())
	}
	w.mustBeEmpty(desired)
	return report
}

func (w *world) mustBeEmpty(desired release.Release) {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, reconcile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if !planned.Plan.Empty() {
		w.t.Fatalf("the plan after an apply is not empty: %+v %+v", planned.Plan.Items, planned.Plan.Problems)
	}
}

// versions gives what runs: "h1/web=v1 h2/web=v1 h3/workers=v1", sorted.
func (w *world) versions() string {
	var list []string
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Role != "" && c.Running() {
				list = append(list, fmt.Sprintf("%s/%s=%s", host, c.Role, c.Version()))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// latest gives the version that latest marks on a host, "" when there is none.
func (w *world) latest(host string) string {
	id := w.ImageID(host, repository+":latest")
	for n := range 10 {
		version := fmt.Sprintf("v%d", n)
		if id != "" && w.ImageID(host, repository+":"+version) == id {
			return version
		}
	}
	return id
}

func (w *world) progress() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text strings.Builder
	for _, p := range w.log {
		fmt.Fprintf(&text, "%s %s %s %s\n", p.Kind, p.Host, p.Step, p.Message)
	}
	return text.String()
}

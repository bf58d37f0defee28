package loop_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const repository = "registry.example.com/acme/shop"

var shop = state.App{Service: "shop"}

// connector reaches the simulated hosts; the types are those of the seam.
type connector struct{ *sim.Connector }

func (c connector) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	conn, err := c.Connector.Connect(ctx, host)
	if err != nil {
		return nil, err
	}
	return &reconcile.Connection{Engine: conn.Engine, Files: conn.Files, Prober: conn.Prober, Proxy: conn.Proxy, Environ: conn.Environ, Registry: conn.Registry, Installer: conn.Installer, Shell: conn.Shell, Close: conn.Close}, nil
}

// secrets are those at hand in a test.
type secrets map[string]string

func (s secrets) Secret(name string) (release.Secret, bool, error) {
	value, ok := s[name]
	return release.NewSecret(value), ok, nil
}
func (s secrets) Renew(name string) (release.Secret, bool, error) { return s.Secret(name) }
func (s secrets) Sources() []string                               { return []string{"the test"} }

// memory is a store of one app without a file.
type memory struct {
	mu       sync.Mutex
	snapshot state.Snapshot
	releases map[int]state.Record
	plans    []state.PlanRecord
	events   []state.Event
	watch    state.Watch
	full     error // what every write fails with
	breaks   bool  // the next plan that is kept ends in a panic
}

func (m *memory) write(do func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full == nil {
		do()
	}
	return m.full
}

func (m *memory) SaveSnapshot(s state.Snapshot) error { return m.write(func() { m.snapshot = s }) }
func (m *memory) SaveWatch(w state.Watch) error       { return m.write(func() { m.watch = w }) }
func (m *memory) SaveRelease(r state.Record) error {
	return m.write(func() {
		if m.releases == nil {
			m.releases = map[int]state.Record{}
		}
		m.releases[r.Number] = r
	})
}
func (m *memory) SavePlan(_ state.App, p state.PlanRecord) error {
	return m.write(func() {
		if m.breaks {
			m.breaks = false
			panic("planted")
		}
		m.plans = append(m.plans, p)
	})
}
func (m *memory) Append(_ state.App, events ...state.Event) error {
	return m.write(func() { m.events = append(m.events, events...) })
}
func (m *memory) Trim(_ state.App, events, plans int) error {
	return m.write(func() {
		m.events = m.events[max(len(m.events)-events, 0):]
		m.plans = m.plans[max(len(m.plans)-plans, 0):]
	})
}

func (m *memory) Snapshot(state.App) (state.Snapshot, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot, m.snapshot.Schema > 0, nil
}

func (m *memory) Watch(state.App) (state.Watch, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watch, m.watch.Schema > 0, nil
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

func (m *memory) Plans(state.App, int) ([]state.PlanRecord, error) { return m.plans, nil }

func (m *memory) Events(state.App, int) ([]state.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := slices.Clone(m.events)
	slices.Reverse(newest)
	return newest, nil
}

func (m *memory) Apps() ([]state.App, error) { return nil, nil }
func (m *memory) Close() error               { return nil }

// source proposes what the test says.
type source struct {
	mu      sync.Mutex
	release release.Release
	err     error
	changed func()
	breaks  bool // reading it ends in a panic
}

func (s *source) Read(context.Context) (loop.Proposal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks {
		panic("planted")
	}
	return loop.Proposal{Release: s.release, From: "the test"}, s.err
}

func (s *source) Watch(ctx context.Context, changed func()) {
	s.mu.Lock()
	s.changed = changed
	s.mu.Unlock()
	<-ctx.Done()
}

// propose changes what is wanted.
func (s *source) propose(change func(*release.Release), err error) {
	s.mu.Lock()
	change(&s.release)
	s.err = err
	changed := s.changed
	s.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// world is simulated servers with an app on them (web on h1 and h2, workers on h3) and a daemon that drives it.
type world struct {
	*sim.World
	t      *testing.T
	store  *memory
	source *source
	loop   *loop.Loop
	stop   func()

	opened atomic.Int64 // controllers of the daemon, each a writer of its own

	limited bool // the workers ask for a limit of memory
	checked bool // the workers have a check of their own

	hooks  sync.Mutex
	before func(reconcile.Call) error
	first  atomic.Pointer[first]

	mu          sync.Mutex
	transitions []loop.Transition
	log         []reconcile.Progress
}

func newWorld(t *testing.T) *world {
	w := &world{World: sim.New(1, sim.WithCredentials("deploy", "registry-password")), t: t, store: &memory{}}
	for _, name := range []string{"h1", "h2", "h3"} {
		w.AddHost(name)
	}
	for n := 1; n <= 4; n++ {
		w.push(fmt.Sprintf("v%d", n), sim.Healthy(300*time.Millisecond))
	}
	w.source = &source{release: desired("v1")}
	return w
}

func (w *world) push(version string, b sim.Behaviour) {
	w.Push(sim.Image{Ref: repository + ":" + version, Behaviour: b, Labels: map[string]string{"service": "shop", "version": version}})
}

// desired is a release that the daemon may heal and roll out.
func desired(version string) release.Release {
	ssh := release.SSH{User: "root", Port: 22}
	options := state.RouteOptions{PathPrefixes: []string{"/"}, StripPathPrefix: true, TLSRedirect: true, ForwardHeaders: true,
		ResponseTimeout: 30 * time.Second, HealthPath: "/up", HealthInterval: time.Second, HealthTimeout: 5 * time.Second}
	env := release.Env{Clear: map[string]string{"LOG_LEVEL": "info"}, Secrets: map[string]string{"TOKEN": "TOKEN"}}
	var hosts []release.Host
	for _, name := range []string{"h1", "h2", "h3"} {
		hosts = append(hosts, release.Host{Name: name, Address: name, SSH: ssh})
	}
	return release.Release{
		Service: "shop", Repository: "acme/shop", Version: version, PrimaryRole: "web", RetainContainers: 2,
		DeployTimeout: 10 * time.Second, ReadinessDelay: 2 * time.Second, DrainTimeout: 5 * time.Second, RunDirectory: ".kamal", Network: "kamal",
		Registry: &release.Registry{Server: "registry.example.com", Username: "deploy", PasswordSecret: "REGISTRY_PASSWORD"},
		SSH:      ssh, Hosts: hosts,
		Roles: []release.Role{
			{Name: "web", Primary: true, Hosts: []string{"h1", "h2"}, Env: env, Restart: "unless-stopped", Stop: release.Stop{Grace: 5 * time.Second},
				Proxy: &release.Proxy{AppPort: 3000, Options: options}},
			{Name: "workers", Hosts: []string{"h3"}, Env: env, Restart: "unless-stopped", Stop: release.Stop{Grace: 5 * time.Second}, Cmd: []string{"work"}},
		},
		ProxyServer: release.ProxyServer{Name: "kamal-proxy", Image: "kamald/proxy:1.0.0", HTTPPort: 80, HTTPSPort: 443, Publish: true},
		Rollout:     release.Rollout{ParallelRoles: true},
		Reconcile: release.Reconcile{Mode: release.ModeRelease, Interval: 5 * time.Minute, Budget: 50, Window: 10 * time.Minute, Flap: 5,
			MaxRemove: 30, MinFree: 10},
	}
}

// open makes a controller of one run of kamald.
func (w *world) open(release.Release) (*reconcile.Controller, error) {
	way := w.Connector().As(fmt.Sprintf("daemon %d", w.opened.Add(1)))
	c := reconcile.NewController(reconcile.NewFleet(connector{way}, w.calls), w.store, secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
	c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
	return c, nil
}

// by is a run of kamald on somebody else's machine.
func (w *world) by(do func(c *reconcile.Controller) error) {
	w.t.Helper()
	c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector().As("laptop")}), &memory{}, secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
	c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
	c.Owner = reconcile.Owner{Who: "ada", Machine: "laptop", PID: 7}
	c.LockWait = true
	defer func() { _ = c.Close() }()
	if err := do(c); err != nil {
		w.t.Fatal(err)
	}
}

// wanted is a release as this world's file has it.
func (w *world) wanted(version string) release.Release {
	r := desired(version)
	if w.limited {
		r.Roles[1].Options = map[string][]string{"memory": {"536870912"}}
	}
	if w.checked {
		r.Roles[1].Health = &release.Health{TCP: 3000, Timeout: 2 * time.Second, Interval: time.Second}
	}
	return r
}

// deployed puts a version on the servers before there is a daemon, by another machine.
func (w *world) deployed(version string) *world {
	w.by(func(c *reconcile.Controller) error {
		_, err := c.Apply(w.t.Context(), w.wanted(version), reconcile.Options{})
		return err
	})
	return w
}

// start begins a daemon, which ends with the test, or by stop.
func (w *world) start(change ...func(*loop.Options)) *world {
	o := loop.Options{Store: w.store, Open: w.open, Comparator: "test 1", Notify: func(t loop.Transition) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.transitions = append(w.transitions, t)
	}, Log: func(n loop.Notice) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if n.Progress != nil {
			w.log = append(w.log, *n.Progress)
		}
	}}
	for _, c := range change {
		c(&o)
	}
	w.loop = loop.New(o)
	if err := w.loop.Drive(loop.Settings{App: shop, ImageWait: 30 * time.Minute, Source: w.source}); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() { w.loop.Run(ctx); close(ended) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	return w
}

// settle lets the daemon see the servers a first time, where it only reports, and then do what is to be done.
func (w *world) settle() *world {
	w.pass(time.Second)
	w.loop.Look(shop)
	w.pass(10 * time.Second)
	return w
}

func (w *world) pass(d time.Duration) { time.Sleep(d) }

// running gives what runs: "h1/web=v1 h2/web=v1 h3/workers=v1", sorted.
func (w *world) running() string {
	var list []string
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Role != "" && c.Destination == "" && c.Running() {
				list = append(list, fmt.Sprintf("%s/%s=%s", host, c.Role, c.Version()))
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (w *world) want(running string) {
	w.t.Helper()
	if is := w.running(); is != running {
		w.t.Errorf("%s runs, and not %s\n%s", is, running, w.said())
	}
}

func all(version string) string {
	return fmt.Sprintf("h1/web=%[1]s h2/web=%[1]s h3/workers=%[1]s", version)
}

// conditions gives the kinds that hold, sorted.
func (w *world) conditions() string {
	status, err := w.loop.Status(shop)
	if err != nil {
		w.t.Fatal(err)
	}
	var kinds []string
	for _, c := range status.Conditions {
		kinds = append(kinds, c.Kind)
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), " ")
}

func (w *world) wantConditions(kinds string) {
	w.t.Helper()
	if is := w.conditions(); is != kinds {
		status, _ := w.loop.Status(shop)
		w.t.Errorf("the conditions are %q and not %q: %+v\nround: %+v\n%s", is, kinds, status.Conditions, status.Round, w.said())
	}
}

// told gives the kinds of what people were told, in order.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kinds []string
	for _, t := range w.transitions {
		kind := t.Kind
		if t.Over {
			kind += " over"
		}
		kinds = append(kinds, kind)
	}
	return strings.Join(kinds, ", ")
}

func (w *world) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text strings.Builder
	for _, p := range w.log {
		fmt.Fprintf(&text, "%s %s %s %s %s\n", p.At.Format("15:04:05.000"), p.Kind, p.Host, p.Step, p.Message)
	}
	for _, t := range w.transitions {
		fmt.Fprintf(&text, "%s told %s: %s\n", t.At.Format("15:04:05.000"), t.Kind, t.Summary)
	}
	return text.String()
}

var errBroken = errors.New("line 3: an argument is missing")

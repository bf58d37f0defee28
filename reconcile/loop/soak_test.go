package loop_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// fleet is many apps on many simulated hosts, driven by one daemon.
type fleet struct {
	*sim.World
	t      *testing.T
	rand   *rand.Rand
	stores map[state.App]*memory
	apps   []release.Release
	loop   *loop.Loop
	stop   func()
	around func(state.App, *sim.Connector) *reconcile.Fleet // how an app's servers are reached; nil: as they are
	hears  func(loop.Notice)                                // nil: nobody

	mu     sync.Mutex
	runs   int               // controllers that were made, each a writer of its own
	healed map[state.App]int // repairs that people were told of
	told   map[state.App]map[string]int
}

// newFleet puts so many apps, each on so many hosts of its own, on the servers, and starts the daemon.
func newFleet(t *testing.T, seed uint64, apps, hosts int) *fleet {
	f := newServers(t, seed, apps, hosts)
	f.begin(stores(f.stores))
	time.Sleep(time.Minute)
	return f
}

// newServers is newFleet without a daemon.
func newServers(t *testing.T, seed uint64, apps, hosts int) *fleet {
	f := &fleet{World: sim.New(seed, sim.WithCredentials("deploy", "registry-password")), t: t, rand: rand.New(rand.NewPCG(seed, 1)),
		stores: map[state.App]*memory{}, healed: map[state.App]int{}, told: map[state.App]map[string]int{}}
	for n := range apps {
		f.apps = append(f.apps, f.deploy(n, hosts))
	}
	return f
}

// begin starts the daemon, with a store for all apps.
func (f *fleet) begin(store state.Store) {
	f.loop = loop.New(loop.Options{Comparator: "test", Events: 300, Plans: 10, Store: store, Jitter: f.jitter, Notify: f.notified, Log: f.hears, Open: func(r release.Release) (*reconcile.Controller, error) {
		if own, ok := store.(stores); ok {
			return f.controller(r.App(), own[r.App()]), nil
		}
		return f.controller(r.App(), store), nil
	}})
	for _, r := range f.apps {
		if err := f.loop.Drive(loop.Settings{App: r.App(), Source: &source{release: r}}); err != nil {
			f.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	go func() { f.loop.Run(ctx); close(ended) }()
	f.stop = func() { cancel(); <-ended }
}

func (f *fleet) controller(app state.App, store state.Store) *reconcile.Controller {
	f.mu.Lock()
	f.runs++
	way := f.Connector().As(fmt.Sprintf("%s %d", app, f.runs))
	f.mu.Unlock()
	fleet := reconcile.NewFleet(connector{way})
	if f.around != nil {
		fleet = f.around(app, way)
	}
	c := reconcile.NewController(fleet, store, secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
	c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
	return c
}

func (f *fleet) jitter(most time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(f.rand.Int64N(int64(most) + 1))
}

func (f *fleet) notified(t loop.Transition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told[t.App] == nil {
		f.told[t.App] = map[string]int{}
	}
	f.told[t.App][t.Kind]++
	if t.Kind == "healed" {
		f.healed[t.App] += len(strings.Split(strings.TrimPrefix(t.Summary, "healed: "), ", "))
	}
}

// deploy releases one app on hosts of its own: four fifths of them serve, the others work.
func (f *fleet) deploy(n, hosts int) release.Release {
	r := desired("v1")
	r.Service = fmt.Sprintf("app%d", n)
	r.Repository = "acme/" + r.Service
	r.Reconcile.Budget, r.Reconcile.Flap = 100, 5
	r.Hosts = nil
	var names []string
	for i := range hosts {
		name := fmt.Sprintf("h%d-%d", n, i)
		f.AddHost(name)
		names = append(names, name)
		r.Hosts = append(r.Hosts, release.Host{Name: name, Address: name, SSH: r.SSH})
	}
	r.Roles = slices.Clone(r.Roles)
	work := max(hosts/5, 1)
	r.Roles[0].Hosts, r.Roles[1].Hosts = names[:hosts-work], names[hosts-work:]
	f.Push(sim.Image{Ref: r.ImageName() + ":v1", Behaviour: sim.Healthy(300 * time.Millisecond), Labels: map[string]string{"service": r.Service, "version": "v1"}})
	store := &memory{}
	f.stores[r.App()] = store
	c := f.controller(r.App(), &memory{})
	defer func() { _ = c.Close() }()
	if _, err := c.Apply(f.t.Context(), r, reconcile.Options{}); err != nil {
		f.t.Fatal(err)
	}
	return r
}

// fault befalls a random place of an app; it tells what, and whether somebody has to heal it.
func (f *fleet) fault(r release.Release) (what string, heals bool) {
	role := r.Roles[f.pick(len(r.Roles))]
	host := role.Hosts[f.pick(len(role.Hosts))]
	name := r.App().ContainerName(role.Name, "v1")
	has := slices.ContainsFunc(f.Containers(host, state.View{}), func(c state.Container) bool { return c.Name == name && c.Running() })
	switch kind := f.pick(7); {
	case kind == 0 && has:
		f.RemoveContainer(host, name)
		return "removed", true
	case kind == 1 && has:
		f.StopContainer(host, name)
		return "stopped", true
	case kind == 2 && role.Primary:
		f.RemoveRoute(host, r.App().RouteName(role.Name))
		return "unrouted", true
	case kind == 3 && has:
		f.DetachNetwork(host, name, "kamal")
		return "detached", true
	case kind == 4:
		f.RestartEngine(host, 5*time.Second)
		return "engine restarted", false
	case kind == 5:
		f.Reboot(host, 20*time.Second)
		return "rebooted", false
	case kind == 6:
		f.Cut(host)
		time.AfterFunc(time.Duration(1+f.pick(180))*time.Second, func() { f.Restore(host) })
		return "cut", false
	}
	return "", false
}

func (f *fleet) pick(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rand.IntN(n)
}

// amiss names what does not run as it was released, and what runs twice.
func (f *fleet) amiss(r release.Release) (list []string) {
	for _, role := range r.Roles {
		for _, host := range role.Hosts {
			n := 0
			for _, c := range f.Containers(host, state.View{}) {
				if c.Service == r.Service && c.Destination == "" && c.Role == role.Name && c.Running() {
					n++
				}
			}
			if n != 1 {
				list = append(list, fmt.Sprintf("%s runs %d of %s", host, n, role.Name))
			}
			if role.Primary && f.Answer(host, "example.com", "/") != 200 {
				list = append(list, host+" does not answer")
			}
		}
	}
	return list
}

// stores are the stores of several apps as one.
type stores map[state.App]*memory

func (s stores) SaveSnapshot(x state.Snapshot) error                { return s[x.App].SaveSnapshot(x) }
func (s stores) Snapshot(a state.App) (state.Snapshot, bool, error) { return s[a].Snapshot(a) }
func (s stores) SaveRelease(x state.Record) error                   { return s[x.App].SaveRelease(x) }
func (s stores) Releases(a state.App) ([]state.Record, error)       { return s[a].Releases(a) }
func (s stores) SavePlan(a state.App, x state.PlanRecord) error     { return s[a].SavePlan(a, x) }
func (s stores) Plans(a state.App, limit int) ([]state.PlanRecord, error) {
	return s[a].Plans(a, limit)
}
func (s stores) Append(a state.App, events ...state.Event) error      { return s[a].Append(a, events...) }
func (s stores) Events(a state.App, limit int) ([]state.Event, error) { return s[a].Events(a, limit) }
func (s stores) SaveWatch(x state.Watch) error                        { return s[x.App].SaveWatch(x) }
func (s stores) Watch(a state.App) (state.Watch, bool, error)         { return s[a].Watch(a) }
func (s stores) Trim(a state.App, events, plans int) error            { return s[a].Trim(a, events, plans) }
func (s stores) Apps() ([]state.App, error)                           { return nil, nil }
func (s stores) Close() error                                         { return nil }

// TestADayOfFaultsIsHealed: a daemon's day, with something happening somewhere every few minutes.
func TestADayOfFaultsIsHealed(t *testing.T) {
	apps, hosts, hours := 4, 10, 3
	if os.Getenv("KAMALD_LONG") != "" {
		apps, hosts, hours = 20, 10, 24
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 7, apps, hosts)
		held := check(t, f.World, f.apps...)
		flapping := f.apps[apps-1]
		f.apps = f.apps[:apps-1]
		flaps := flapping.Roles[1].Hosts[0]
		held.flaps[flaps+"/workers"] = true
		faults, wanted := map[string]int{}, map[state.App]int{}
		var heap []uint64
		for minute := range hours * 60 {
			f.spoil(flaps, flapping.App().ContainerName("workers", "v1"))
			for _, r := range f.apps {
				if f.pick(10) > 0 {
					continue
				}
				what, heals := f.fault(r)
				if what != "" {
					faults[what]++
				}
				if heals {
					wanted[r.App()]++
				}
			}
			time.Sleep(time.Minute)
			if minute%60 == 59 {
				heap = append(heap, heapInUse())
			}
		}
		time.Sleep(30 * time.Minute) // quiet
		total, healed := 0, 0
		for _, r := range f.apps {
			if list := f.amiss(r); len(list) > 0 {
				status, _ := f.loop.Status(r.App())
				t.Errorf("%s: %v; conditions %+v, round %+v", r.Service, list, status.Conditions, status.Round)
			}
			total, healed = total+wanted[r.App()], healed+f.healed[r.App()]
			if n := len(f.stores[r.App()].events); n > 600 {
				t.Errorf("%s: the store has %d events", r.Service, n)
			}
		}
		t.Logf("%d apps on %d hosts, %d hours: faults %v, of which %d are somebody's to heal, and %d were healed; heap %v KiB", apps, apps*hosts, hours, faults, total, healed, heap)
		if healed < total*9/10 || healed > total*12/10 { // two faults in one place are one repair; a host that was cut may have missed its engine's
			t.Errorf("%d repairs of %d faults", healed, total)
		}
		if len(heap) > 1 && heap[len(heap)-1] > 2*heap[0] {
			t.Errorf("memory grows: %v KiB", heap)
		}
		f.judgeFlapping(flapping)
		held.judge()
		f.stop()
	})
}

// spoil has a container end again and again, also one that a repair has made.
func (f *fleet) spoil(host, name string) {
	if slices.ContainsFunc(f.Containers(host, state.View{}), func(c state.Container) bool { return c.Name == name }) {
		f.Misbehave(host, name, sim.Exits(1, 2*time.Second))
	}
}

// judgeFlapping wants an app that ends again and again to be left alone after a while, and people to know.
func (f *fleet) judgeFlapping(r release.Release) {
	status, err := f.loop.Status(r.App())
	if err != nil {
		f.t.Fatal(err)
	}
	if !slices.ContainsFunc(status.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionFlapping }) || f.healed[r.App()] > 40 || f.told[r.App()]["drifted"]+f.told[r.App()]["not-converging"] > 60 || f.told[r.App()]["not-converging"] == 0 {
		f.t.Errorf("it is not left alone, or nobody knows: %d repairs, told %v, conditions %+v", f.healed[r.App()], f.told[r.App()], status.Conditions)
	}
	f.t.Logf("%s was repaired %d times; told %v; conditions %+v", r.Service, f.healed[r.App()], f.told[r.App()], status.Conditions)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc / 1024
}

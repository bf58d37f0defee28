package sim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	repo  = "registry.example.com/shop"
	web   = "web1"
	net   = "kamal"
	proxy = "kamal-proxy"
)

// bench is a world with one host, its proxy running, and a connection.
type bench struct {
	*sim.World
	*sim.Connection
}

func setup(t *testing.T, images ...sim.Image) bench {
	t.Helper()
	w := sim.New(1)
	w.AddHost(web)
	for _, image := range images {
		w.Push(image)
	}
	w.Place(web, sim.ProxyImage("kamald/proxy:v1"))
	b := bench{w, connect(t, w)}
	must(t, b.Engine.CreateNetwork(t.Context(), net))
	w.RunContainer(web, proxy, state.Spec{Image: "kamald/proxy:v1", Network: net, Restart: "unless-stopped"}, nil, nil)
	return b
}

func connect(t *testing.T, w *sim.World) *sim.Connection {
	t.Helper()
	c, err := w.Connector().Connect(t.Context(), release.Host{Name: web, Address: web})
	must(t, err)
	return c
}

// run pulls an image's tag, makes a container of it, and starts it.
func (b bench) run(t *testing.T, name, tag string) (id string) {
	t.Helper()
	must(t, b.Engine.Pull(t.Context(), repo+":"+tag, "", release.Auth{}))
	id, err := b.Engine.Create(t.Context(), name, state.Spec{Image: repo + ":" + tag, Network: net, Restart: "unless-stopped"}, nil, nil)
	must(t, err)
	must(t, b.Engine.Start(t.Context(), name))
	return id
}

func (b bench) route(t *testing.T, id string) error {
	t.Helper()
	route := state.Route{Name: "shop-web", Targets: []string{state.ShortID(id) + ":3000"}}
	route.Options.HealthInterval, route.Options.HealthTimeout = 100*time.Millisecond, time.Second
	return b.Proxy.Deploy(t.Context(), proxy, route, 3*time.Second, 10*time.Second)
}

func TestASwitchLosesNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := sim.Behaviour{Ready: time.Second, Serves: 300 * time.Millisecond}
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: slow}, sim.Image{Ref: repo + ":v2", Behaviour: slow})
		old := b.run(t, "one", "v1")
		must(t, b.route(t, old))

		stop, failed, sent := make(chan struct{}), 0, 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					sent++
					if b.Request(web, "shop.example.com", "/") != 200 {
						failed++
					}
				}
			}
		}()
		must(t, b.route(t, b.run(t, "two", "v2")))
		must(t, b.Engine.Stop(t.Context(), "one", 10*time.Second))
		close(stop)
		<-done
		if failed > 0 || sent < 5 {
			t.Fatalf("%d of %d requests failed", failed, sent)
		}
		if got := b.Routes(web)[0].TargetID(); got == state.ShortID(old) {
			t.Fatal("the route is still the old one's")
		}
	})
}

func TestStoppingTheTargetLosesItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Behaviour{Serves: time.Second}})
		must(t, b.route(t, b.run(t, "one", "v1")))
		status := make(chan int)
		go func() { status <- b.Request(web, "", "/") }()
		synctest.Wait()
		must(t, b.Engine.Stop(t.Context(), "one", time.Second))
		if got := <-status; got != 502 {
			t.Fatalf("got %d from a container that was stopped meanwhile", got)
		}
		if got := b.Request(web, "", "/"); got != 502 {
			t.Fatalf("got %d from a container that is stopped", got)
		}
	})
}

func TestADrainEndsWithItsTimeoutAndCutsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Behaviour{Serves: time.Minute}}, sim.Image{Ref: repo + ":v2"})
		must(t, b.route(t, b.run(t, "one", "v1")))
		status := make(chan int)
		go func() { status <- b.Request(web, "", "/") }()
		two := b.run(t, "two", "v2")
		began := time.Now()
		must(t, b.route(t, two))
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Fatalf("the deploy took %s, want its drain of 10s", took)
		}
		if got := <-status; got != 504 {
			t.Fatalf("got %d, want 504", got)
		}
	})
}

func TestTheProxyTakesOnlyHealthyTargets(t *testing.T) {
	for name, behaviour := range map[string]sim.Behaviour{
		"exits": sim.Exits(1, 0), "sick": sim.NeverHealthy(500), "redirects": sim.Redirects("https://elsewhere/login"),
		"elsewhere": sim.ListensElsewhere(8080), "too late": sim.Healthy(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: behaviour})
				if err := b.route(t, b.run(t, "one", "v1")); err == nil {
					t.Fatal("it was taken")
				}
				if routes := b.Routes(web); len(routes) != 0 {
					t.Fatalf("routes: %v", routes)
				}
			})
		})
	}
}

func TestWhatACallerLeftBehindTheProxyFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Healthy(2 * time.Second)})
		id := b.run(t, "one", "v1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		route := state.Route{Name: "shop-web", Targets: []string{state.ShortID(id) + ":3000"}}
		route.Options.HealthInterval, route.Options.HealthTimeout = time.Second, time.Second
		if err := b.Proxy.Deploy(ctx, proxy, route, 5*time.Second, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if routes := b.Routes(web); len(routes) != 1 {
			t.Fatalf("routes: %v", routes)
		}
	})
}

func TestRoutesMatchByHostThenByPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1"}, sim.Image{Ref: repo + ":v2", Behaviour: sim.Behaviour{Status: 201}})
		any, exact := state.ShortID(b.run(t, "one", "v1")), state.ShortID(b.run(t, "two", "v2"))
		b.SetRoute(web, state.Route{Name: "any", Targets: []string{any + ":3000"}})
		b.SetRoute(web, state.Route{Name: "exact", Targets: []string{exact + ":3000"},
			Options: state.RouteOptions{Hosts: []string{"a.example.com"}, PathPrefixes: []string{"/x"}}})
		for path, want := range map[string]int{"/": 200, "/x": 201, "/x/y": 201, "/xy": 200} {
			if got := b.Request(web, "a.example.com", path); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
		b.RemoveRoute(web, "any")
		if got := b.Request(web, "b.example.com", "/x"); got != 404 {
			t.Errorf("an unknown host: %d", got)
		}
		b.DetachNetwork(web, "two", net)
		if got := b.Request(web, "a.example.com", "/x"); got != 502 {
			t.Errorf("a detached target: %d", got)
		}
		b.StopContainer(web, proxy)
		if got := b.Request(web, "a.example.com", "/x"); got != 0 {
			t.Errorf("without a proxy: %d", got)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

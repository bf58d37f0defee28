package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestProxiesAreSwitchedWithAllTheirRoutesAndBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolumes(t, 611)
		kamal, traefik := v.release("v1"), withTraefik(v.release("v1"))
		apply := func(desired release.Release) {
			t.Helper()
			if err := v.run(func(c *reconcile.Controller) error {
				_, err := c.Apply(t.Context(), desired, reconcile.Options{})
				return err
			}); err != nil {
				t.Fatalf("%v\n%s", err, v.progress())
			}
		}
		apply(kamal)
		v.another("h1", "kamal-proxy-config")
		const both = " blog-web(stopped) shop-web"
		for i, desired := range []release.Release{traefik, kamal, traefik} {
			name, old := desired.ProxyServer.Name, desired.ProxyServer.OtherName()
			err := v.run(func(c *reconcile.Controller) error {
				planned, err := c.Plan(t.Context(), desired, reconcile.Options{})
				if err == nil && (len(planned.Plan.Problems) != 2 || !strings.Contains(planned.Plan.Problems[0].Next, "kamald proxy switch")) {
					t.Errorf("a plan before the switch: %+v", planned.Plan.Problems)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			done, err := v.switchTo(desired)
			if err != nil || done.Needed() != 2 || len(done.Hosts) != 2 {
				t.Fatalf("%+v: %v\n%s", done, err, v.progress())
			}
			if got := v.serving("h1") + "; " + v.serving("h2"); got != name+both+"; "+name+" shop-web" {
				t.Fatalf("%d: %s", i, got)
			}
			for _, on := range done.Hosts {
				if !on.Done || on.From.Name != old || on.Risk != plan.Downtime {
					t.Errorf("%+v", on)
				}
			}
			if got := v.ownerOf("h1", name); desired.ProxyServer.Declared && got != "shop" {
				t.Errorf("%s is of %q: who asked for it is not on the container", name, got)
			}
			if lost := strings.Join(done.Hosts[0].Lost, "; "); (name == "traefik") != strings.Contains(lost, "blog-web: proxy.logging") && i == 0 {
				t.Errorf("lost: %q", lost)
			}
			if done, err := v.switchTo(desired); err != nil || done.Needed() != 0 {
				t.Errorf("again: %+v: %v", done, err)
			}
			err = v.run(func(c *reconcile.Controller) error {
				planned, err := c.Plan(t.Context(), desired, reconcile.Options{})
				if err == nil && !planned.Plan.Empty() {
					t.Errorf("a plan after the switch: %+v %+v", planned.Plan.Items, planned.Plan.Problems)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		apply(withTraefik(v.release("v2")))
		if got := v.serving("h1"); got != "traefik"+both || !strings.Contains(v.versions(), "h1/web=v2 h2/web=v2") {
			t.Errorf("after a release: %s, %s", got, v.versions())
		}
	})
}

// The outage is the stop of the one and the start of the other: nothing else is done between.
func TestNothingIsDoneBetweenTheStopOfOneProxyAndTheStartOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolumes(t, 612)
		if err := v.run(func(c *reconcile.Controller) error {
			_, err := c.Apply(t.Context(), v.release("v1"), reconcile.Options{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var all []sim.Call
		v.Before(func(c sim.Call) error { all = append(all, c); return nil })
		if _, err := v.switchTo(withTraefik(v.release("v1"))); err != nil {
			t.Fatal(err)
		}
		hosts := 0
		for _, host := range []string{"h1", "h2"} {
			var calls []sim.Call
			for _, c := range all {
				if c.Host == host && strings.HasPrefix(c.Method, "Engine.") {
					calls = append(calls, c)
				}
			}
			for i, c := range calls {
				if c.Method == "Engine.Stop" && !strings.Contains(c.Args, "rehearsal") && i+1 < len(calls) {
					hosts++
					if calls[i+1].Method != "Engine.Start" {
						t.Errorf("after %s: %s", c, calls[i+1])
					}
				}
			}
		}
		if hosts != 2 {
			t.Errorf("%d proxies were stopped", hosts)
		}
	})
}

// Whatever call fails, is cut off, loses its reply or is the last of a run that is killed: a proxy serves every route on every host,
// or is started again by the next run; and that comes to its end.
func TestWhateverFailsInASwitchAProxyServesEveryRoute(t *testing.T) {
	for name, fault := range map[string]func(*sim.World, int){"fails": (*sim.World).FailNth, "loses its reply": (*sim.World).LostReplyNth,
		"is torn": (*sim.World).TearNth, "is the last": (*sim.World).KillNth, "is the last, carried out": (*sim.World).KillAfterNth} {
		t.Run("the call "+name, func(t *testing.T) {
			calls := 0
			for n := 0; n == 0 || n <= calls; n += switchStride() {
				synctest.Test(t, func(t *testing.T) { calls = max(calls, switchWithFault(t, n, name, fault)) })
				n -= map[bool]int{true: switchStride() - 1}[n == 0]
			}
			t.Logf("of %d calls", calls)
		})
	}
}

// switchStride is how many calls are gone on by: every call meets every fault in the long run.
func switchStride() int {
	if long() {
		return 1
	}
	return 19
}

// switchWithFault switches with a fault at the n-th call, none for 0, and gives the number of calls.
func switchWithFault(t *testing.T, n int, name string, fault func(*sim.World, int)) int {
	v := newVolumes(t, 613)
	apply := func(desired release.Release) {
		t.Helper()
		if err := v.run(func(c *reconcile.Controller) error {
			_, err := c.Apply(t.Context(), desired, reconcile.Options{})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	apply(v.release("v1"))
	v.another("h1", "kamal-proxy-config")
	before, desired := v.Calls(), withTraefik(v.release("v1"))
	if n > 0 {
		fault(v.World, before+n)
	}
	_, err := v.switchTo(desired)
	calls := v.Calls() - before
	if n == 0 {
		if err != nil || calls < 50 {
			t.Fatalf("%d calls, %v", calls, err)
		}
		return calls
	}
	killed := v.Killed()
	want := map[string]string{"h1": " blog-web(stopped) shop-web", "h2": " shop-web"}
	for host, routes := range want {
		if got := v.serving(host); got != "traefik"+routes && got != "kamal-proxy"+routes && !(killed && got == "") {
			t.Errorf("call %d %s, %v: %s has %q", n, name, err, host, got)
		}
	}
	v.Revive()
	v.ClearHooks()
	if killed {
		time.Sleep(2 * time.Minute) // its leases pass
	}
	_, err = v.switchTo(desired)
	if err != nil || v.serving("h1") != "traefik"+want["h1"] || v.serving("h2") != "traefik"+want["h2"] {
		t.Errorf("call %d %s; again: %v, %q, %q", n, name, err, v.serving("h1"), v.serving("h2"))
	}
	for _, host := range []string{"h1", "h2"} {
		for _, c := range v.Containers(host, state.View{}) {
			if strings.Contains(c.Name, "rehearsal") {
				t.Errorf("call %d %s: %s is left on %s", n, name, c.Name, host)
			}
		}
	}
	return calls
}

// kamal1 is a server as Kamal 1 leaves it: a Traefik that reads labels, and containers in the engine's default network.
func (v *volumes) kamal1(hosts ...string) {
	for _, host := range hosts {
		v.Place(host, sim.Image{Ref: "traefik:v2.10", Port: 80, Behaviour: sim.Healthy(0)})
		v.Place(host, sim.Image{Ref: repository + ":v1", Behaviour: sim.Healthy(0)})
		v.RunContainer(host, "traefik", state.Spec{Image: "traefik:v2.10", Network: "bridge", Options: map[string][]string{"publish": {"80:80"}}}, nil, nil)
		id := v.RunContainer(host, "shop-web-v1", state.Spec{Image: repository + ":v1", Network: "bridge"}, map[string]string{"service": "shop", "role": "web", "destination": ""}, nil)
		v.implied[host] = []state.Route{{Name: "shop-web", Targets: []string{state.ShortID(id) + ":3000"}, Options: state.RouteOptions{PathPrefixes: []string{"/"}}, Implied: true}}
	}
}

func TestATraefikOfKamal1MakesWayForEitherProxy(t *testing.T) {
	for name, change := range map[string]func(release.Release) release.Release{"kamal-proxy": func(r release.Release) release.Release { return r }, "traefik": withTraefik} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVolumes(t, 614)
				v.kamal1("h1", "h2")
				desired := change(v.release("v1"))
				done, err := v.switchTo(desired)
				if err != nil {
					t.Fatalf("%v\n%s", err, v.progress())
				}
				for i, host := range []string{"h1", "h2"} {
					if got := v.serving(host); got != name+" shop-web" {
						t.Errorf("%s: %s", host, got)
					}
					if on := done.Hosts[i]; !slices.Equal(on.Attach, []string{"shop-web-v1"}) || on.Routes[0].Implied || on.Routes[0].Options.HealthPath != "/up" {
						t.Errorf("%+v", on)
					}
					for _, c := range v.Containers(host, state.View{}) {
						if _, attached := c.IPs["kamal"]; c.Name == "shop-web-v1" && (!attached || !c.Running()) {
							t.Errorf("%s is in %v", c.Name, c.IPs)
						}
					}
				}
			})
		})
	}
}

func TestWhatStandsInTheWayOfASwitchIsNamedAndNothingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVolumes(t, 615)
		v.kamal1("h1", "h2")
		v.StopContainer("h1", "shop-web-v1")
		before := len(v.History())
		done, err := v.switchTo(v.release("v1"))
		if !errors.Is(err, reconcile.ErrNoSwitch) || !strings.Contains(err.Error(), "h1: the route shop-web goes to the container shop-web-v1, which does not run") {
			t.Errorf("%+v: %v", done, err)
		}
		for _, c := range v.History()[before:] {
			if c.Mutates && !strings.HasPrefix(c.Method, "Files.") {
				t.Errorf("it did %s", c)
			}
		}
		if v.serving("h1") != "traefik" {
			t.Errorf("h1 has %s", v.serving("h1"))
		}
	})
}

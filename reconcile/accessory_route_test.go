package reconcile_test

import (
	"fmt"
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

const mailHost = "mail.example.com"

// behindProxy is the release with the accessory on h3 behind the proxy there, which has no role's route.
func (w *world) behindProxy(version, image string) release.Release {
	desired := w.withRedis(version, image)
	proxy := *desired.Roles[0].Proxy
	proxy.Options.Hosts, proxy.Certificate, proxy.PrivateKey = []string{mailHost}, "", ""
	desired.Accessories[0].Proxy = &proxy
	return desired
}

// redisAnswers is what the accessory's name is answered with.
func (w *world) redisAnswers() int { return w.Answer("h3", mailHost, "/") }

// routed is the container that the accessory's route goes to, "" for no route.
func (w *world) routed() string {
	for _, r := range w.Routes("h3") {
		if r.Name == "shop-redis" {
			return r.TargetID()
		}
	}
	return ""
}

func (w *world) mustServe(when string) {
	w.t.Helper()
	if got := w.redisAnswers(); got != 200 || w.routed() != state.ShortID(w.redisID()) {
		w.t.Fatalf("%s it answers %d, and its route goes to %q, not %q\n%s", when, got, w.routed(), state.ShortID(w.redisID()), w.progress())
	}
}

// accessories carries out a command about the accessory.
func (w *world) accessories(do func(c *reconcile.Controller) (reconcile.Commanded, error)) reconcile.Commanded {
	w.t.Helper()
	var done reconcile.Commanded
	w.using(func(c *reconcile.Controller) {
		var err error
		if done, err = do(c); err != nil {
			w.t.Fatalf("%v\n%s", err, w.progress())
		}
	})
	return done
}

var theRedis = []string{"redis"}

func TestAnAccessoryBehindTheProxyServesAndItsRouteIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.mustApply(desired)
		w.mustServe("after a deploy")
		w.mustBeEmpty(desired)

		w.RemoveRoute("h3", "shop-redis")
		if drift := w.drift(desired); !slices.ContainsFunc(drift, func(i plan.Item) bool {
			return i.Resource == plan.ResourceRoute && i.Role == "accessory/redis" && i.Class == plan.DriftRoute
		}) {
			t.Errorf("the drift of a lost route is %+v", drift)
		}
		w.healed(desired)
		w.mustServe("after its route was lost")

		other := w.RunContainer("h3", "by-hand", state.Spec{Image: ours + "redis:7", Network: "kamal"}, nil, nil)
		route := w.Routes("h3")[0]
		route.Targets = []string{state.ShortID(other) + ":3000"}
		w.SetRoute("h3", route)
		w.healed(desired)
		w.mustServe("after its route was moved")

		w.RemoveContainer("h3", "shop-redis")
		w.healed(desired)
		w.mustServe("after its container was lost")
		w.mustBeEmpty(desired)
	})
}

func TestAnotherContainerOfAnAccessoryTakesTheRouteOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.cache("redis:9", sim.NeverHealthy(503))
		w.mustApply(w.behindProxy("v1", "redis:7"))
		w.mustApply(w.behindProxy("v1", "redis:8"))
		w.mustServe("after another image")
		id := w.redisID()
		if report, err := w.apply(t.Context(), w.behindProxy("v1", "redis:9")); err == nil || !report.Undone || len(report.Left) > 0 {
			t.Fatalf("%+v %v", report, err)
		}
		if w.redisID() != id {
			t.Errorf("another container is there")
		}
		w.mustServe("after one that never was healthy")
		w.mustBeEmpty(w.behindProxy("v1", "redis:8"))
	})
}

func TestAReleaseThatFailsLeavesTheRouteOfAnAccessoryAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.image("v9", sim.NeverHealthy(503))
		w.mustApply(w.withRedis("v1", "redis:7")) // it is not proxied
		if report, err := w.apply(t.Context(), w.behindProxy("v9", "redis:7")); err == nil || !report.Undone {
			t.Fatalf("%+v %v", report, err)
		}
		if w.routed() != "" || w.redis() != "redis:7" {
			t.Errorf("it is routed to %q and runs as %q", w.routed(), w.redis())
		}
		w.mustApply(w.behindProxy("v1", "redis:7"))
		w.mustServe("after an apply")
		w.mustApply(w.withRedis("v1", "redis:7"))
		if w.routed() != "" {
			t.Errorf("not proxied any more, it has a route to %s", w.routed())
		}
		w.mustBeEmpty(w.withRedis("v1", "redis:7"))
	})
}

// Who stops an accessory has the proxy answer at once that it is not there: nobody waits for a container that is gone.
func TestStoppingAnAccessoryTakesItsRouteAwayFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.mustApply(desired)
		w.mustNote()
		before := len(w.History())
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.StopAccessories(t.Context(), desired, theRedis, nil, "a dump")
		})
		var order []string
		for _, call := range w.History()[before:] {
			if call.Mutates && (strings.HasPrefix(call.Method, "Proxy.") || call.Method == "Engine.Stop") {
				order = append(order, call.Method)
			}
		}
		if fmt.Sprint(order) != "[Proxy.Stop Proxy.Remove Engine.Stop]" || w.redis() != "redis:7 stopped" || w.redisAnswers() != 404 {
			t.Errorf("it did %v; %s answers %d", order, w.redis(), w.redisAnswers())
		}
		w.healed(desired)
		w.mustApply(desired)
		if w.routed() != "" {
			t.Error("something has put the route back")
		}
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.StartAccessories(t.Context(), desired, theRedis, nil)
		})
		w.mustServe("after start")
		w.mustBeEmpty(desired)
		done := w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.StartAccessories(t.Context(), desired, theRedis, nil)
		})
		if !done.Done[0].Unchanged {
			t.Errorf("a second start did %+v", done.Done)
		}
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.RestartAccessories(t.Context(), desired, theRedis, nil)
		})
		w.mustServe("after restart")
		w.mustBeEmpty(desired)
	})
}

func TestAStartHasTheRouteServeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, disturb := range map[string]func(w *world, r state.Route){
			"lost":    func(w *world, _ state.Route) { w.RemoveRoute("h3", "shop-redis") },
			"stopped": func(w *world, r state.Route) { r.Stopped = true; w.SetRoute("h3", r) },
		} {
			w := newWorldWithRedis(t)
			desired := w.behindProxy("v1", "redis:7")
			w.mustApply(desired)
			disturb(w, w.Routes("h3")[0])
			if w.redisAnswers() == 200 {
				t.Fatalf("%s: it serves", name)
			}
			w.using(func(c *reconcile.Controller) {
				said := map[string]string{"lost": "the proxy does not know it", "stopped": "its route is stopped"}[name]
				list, err := c.Accessories(t.Context(), desired, theRedis, nil)
				if err != nil || len(list) != 1 || !strings.Contains(strings.Join(list[0].Notes, "; "), said) {
					t.Errorf("%s: the details are %+v %v", name, list, err)
				}
			})
			done := w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
				return c.StartAccessories(t.Context(), desired, theRedis, nil)
			})
			w.mustServe(name + ": after start")
			if one := done.Done[0]; one.Unchanged || !strings.Contains(one.Did, "route") {
				t.Errorf("%s: it did %+v", name, one)
			}
		}
	})
}

func TestAStartWithoutAProxySaysWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.mustApply(desired)
		w.StopContainer("h3", "kamal-proxy")
		w.RemoveRoute("h3", "shop-redis")
		w.using(func(c *reconcile.Controller) {
			if _, err := c.StartAccessories(t.Context(), desired, theRedis, nil); err == nil || !strings.Contains(err.Error(), "kamald proxy boot --hosts h3") {
				t.Errorf("it said %v", err)
			}
		})
	})
}

func TestRebootingAnAccessoryThatWasStoppedHasItServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.using(func(c *reconcile.Controller) { // its host has no proxy yet
			if _, err := c.BootAccessories(t.Context(), desired, theRedis, nil, false); err != nil {
				t.Fatalf("%v\n%s", err, w.progress())
			}
		})
		w.mustServe("after boot")
		w.mustApply(desired)
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.StopAccessories(t.Context(), desired, theRedis, nil, "")
		})
		w.using(func(c *reconcile.Controller) {
			if _, err := c.BootAccessories(t.Context(), desired, theRedis, nil, true); err != nil {
				t.Fatalf("%v\n%s", err, w.progress())
			}
		})
		w.mustServe("after reboot")
		w.mustBeEmpty(desired)
	})
}

func TestRemovingAnAccessoryTakesItsRouteAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.mustApply(desired)
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.RemoveAccessories(t.Context(), desired, theRedis, nil, false)
		})
		if w.routed() != "" || w.redis() != "" {
			t.Errorf("it is %q with a route to %q", w.redis(), w.routed())
		}
		w.mustApply(desired)
		w.mustServe("after an apply")
		left := w.release("v1")
		w.healed(left)
		w.mustServe("while nobody has agreed that it goes")
		w.mustApply(left)
		if w.routed() != "" || w.redis() != "" || w.redisAnswers() != 404 {
			t.Errorf("out of the file it is %q with a route to %q", w.redis(), w.routed())
		}
		w.mustBeEmpty(left)
	})
}

// What is an accessory's is neither the app's, that goes with it, nor another's.
func TestTheRouteOfAnAccessoryOutlivesTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		w.mustApply(desired)
		var shown []reconcile.ProxyHost
		w.using(func(c *reconcile.Controller) {
			var err error
			if shown, err = c.Proxies(t.Context(), desired, nil); err != nil {
				t.Fatal(err)
			}
		})
		at := slices.IndexFunc(shown, func(h reconcile.ProxyHost) bool { return h.Host == "h3" })
		if at < 0 || len(shown[at].Routes) != 1 || !shown[at].Routes[0].Own || shown[at].Routes[0].Accessory != "redis" || len(shown[at].Conflicts) > 0 {
			t.Fatalf("the proxies are %+v", shown)
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.StopApp(t.Context(), desired, reconcile.StopReason{}, nil, nil); err != nil {
				t.Fatal(err)
			}
		})
		w.mustServe("while the app is stopped")
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RemoveApp(t.Context(), desired, "", nil, nil); err != nil {
				t.Fatal(err)
			}
		})
		w.mustServe("after app remove")
		if _, there := w.File("h3", "/root/.kamal/apps/shop/env/accessories/redis.env"); !there {
			t.Error("the secrets of an accessory that stays are gone")
		}
		for _, name := range w.FileNames("h1") {
			if strings.Contains(name, "apps/shop/env/") {
				t.Errorf("of the app's secrets there stays %s", name)
			}
		}
		removed := func(desired release.Release, did string) {
			t.Helper()
			w.using(func(c *reconcile.Controller) {
				done, err := c.RemoveService(t.Context(), desired, false)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(done.Done, func(one reconcile.CommandedOn) bool { return one.Host == "h3" && strings.Contains(one.Did, did) }) {
					t.Errorf("it did %+v", done.Done)
				}
			})
		}
		shared := w.behindProxy("v1", "redis:7")
		shared.Accessories[0].Shared = true
		removed(shared, "behind it (redis)")
		w.mustServe("after remove, where another destination may have it")
		removed(desired, "removed shop-redis")
		if w.routed() != "" {
			t.Error("its route is left")
		}
	})
}

func TestTheCertificateOfAnAccessoryIsBroughtAndStaysWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const file = ".kamal/proxy/apps-config/shop/tls/accessory/redis/cert.pem"
		w := newWorldWithRedis(t)
		desired := w.behindProxy("v1", "redis:7")
		proxy := desired.Accessories[0].Proxy
		proxy.Certificate, proxy.PrivateKey, proxy.Options.TLS = "CERTIFICATE_PEM", "PRIVATE_KEY_PEM", true
		w.mustKeyed(desired, "one")
		if data, _ := w.File("h3", file); string(data) != pem("one")+"\n" || w.Mode("h3", file) != 0o600 {
			t.Errorf("it lies there as %q with %o", data, w.Mode("h3", file))
		}
		if o := w.Routes("h3")[0].Options; o.CertificatePath != "/home/kamal-proxy/.apps-config/shop/tls/accessory/redis/cert.pem" {
			t.Errorf("the route has the certificate %q", o.CertificatePath)
		}
		before := deploysOf(w, "h3")
		w.mustKeyed(desired, "two")
		if data, _ := w.File("h3", file); string(data) != pem("two")+"\n" || deploysOf(w, "h3") != before+1 {
			t.Errorf("it lies there as %q, after %d deploys", data, deploysOf(w, "h3")-before)
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RemoveApp(t.Context(), desired, "", nil, nil); err != nil {
				t.Fatal(err)
			}
		})
		if _, there := w.File("h3", file); !there {
			t.Error("app remove has taken the accessory's certificate")
		}
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.RemoveAccessories(t.Context(), desired, theRedis, nil, true)
		})
		if _, there := w.File("h3", file); there {
			t.Error("its certificate outlives it and its data")
		}
		time.Sleep(time.Second)
	})
}

// A container's name may be what another app's route is called.
func TestAnAccessoryTakesNoRouteOfAnotherApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.mustApply(w.withRedis("v1", "redis:7"))
		desired := w.behindProxy("v1", "redis:7")
		proxy := *desired.Accessories[0].Proxy
		w.Place("h3", sim.ProxyImage("kamald/proxy:1.0.0"))
		w.RunContainer("h3", "kamal-proxy", state.Spec{Image: "kamald/proxy:1.0.0", Network: "kamal"}, nil, nil)
		id := w.RunContainer("h3", "shop-redis-v7", state.Spec{Image: ours + "redis:7", Network: "kamal"}, map[string]string{"service": "blog", "role": "redis", "destination": ""}, nil)
		w.SetRoute("h3", state.Route{Name: "shop-redis", Targets: []string{state.ShortID(id) + ":3000"}, Options: proxy.Options})
		p := w.planned(desired, reconcile.Options{}).Plan
		if !slices.ContainsFunc(p.Problems, func(p plan.Problem) bool {
			return strings.Contains(p.Summary, "goes to shop-redis-v7, which is another app's")
		}) {
			t.Errorf("the plan has the problems %+v", p.Problems)
		}
		w.mustBeEmpty(w.withRedis("v1", "redis:7")) // it is not proxied, and the route is none of its
		w.using(func(c *reconcile.Controller) {
			if _, err := c.StartAccessories(t.Context(), desired, theRedis, nil); err == nil || !strings.Contains(err.Error(), "it is left so") {
				t.Errorf("start said %v", err)
			}
			if _, err := c.StopAccessories(t.Context(), w.withRedis("v1", "redis:7"), theRedis, nil, ""); err != nil {
				t.Error(err)
			}
		})
		if w.routed() != state.ShortID(id) {
			t.Errorf("the route goes to %q", w.routed())
		}
	})
}

func TestAnAccessoryThatIsNotProxiedStopsWhateverTheProxySays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Routes" && strings.Contains(w.progress(), "begin h3 accessory-stop") {
				return fmt.Errorf("its state cannot be read")
			}
			return nil
		})
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.StopAccessories(t.Context(), desired, theRedis, nil, "")
		})
		if w.redis() != "redis:7 stopped" {
			t.Errorf("it is %s", w.redis())
		}
	})
}

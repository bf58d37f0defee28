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

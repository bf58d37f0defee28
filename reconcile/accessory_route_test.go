package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

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

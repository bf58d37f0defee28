package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// sharing is a released world with another app behind the same proxy of h1, in maintenance, and one that serves.
func sharing(t *testing.T, seed uint64) *world {
	w := newWorld(t, seed)
	w.mustApply(w.release("v1"))
	w.Place("h1", sim.Image{Ref: "blog:v1", Behaviour: sim.Healthy(0)})
	id := w.RunContainer("h1", "blog-web-v1", state.Spec{Image: "blog:v1", Network: "kamal"}, map[string]string{"service": "blog", "role": "web", "destination": ""}, nil)
	options := w.Routes("h1")[0].Options
	for _, name := range []string{"blog-web", "wiki-web"} {
		options.Hosts = []string{name + ".example.com"}
		route := state.Route{Name: name, Targets: []string{state.ShortID(id) + ":3000"}, Options: options}
		if name == "wiki-web" {
			route.Stopped, route.StopMessage = true, "moved"
		}
		w.SetRoute("h1", route)
	}
	return w
}

// serves tells what every app on h1 answers.
func (w *world) serves() string {
	return fmt.Sprint(w.Answer("h1", "shop.example.com", "/"), w.Answer("h1", "blog-web.example.com", "/"), w.Answer("h1", "wiki-web.example.com", "/"))
}

const allServe = "200 200 503"

// proxies names the proxy's containers on a host, with their states.
func (w *world) proxies(host string) string {
	var names []string
	for _, c := range w.Containers(host, state.View{}) {
		if strings.HasPrefix(c.Name, "kamal-proxy") {
			names = append(names, c.Name+" "+string(c.Status))
		}
	}
	return strings.Join(names, ", ")
}

// elsewise asks for another image of the proxy.
func elsewise(desired release.Release, image string) release.Release {
	desired.ProxyServer.Declared, desired.ProxyServer.Image = true, image
	return desired
}

func TestARebootTakesAnotherImageAndKeepsTheRoutesOfEveryApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 801)
		before, old := w.Routes("h1"), w.proxies("h1")
		desired := elsewise(w.release("v1"), "kamald/proxy:2.0.0")
		w.using(func(c *reconcile.Controller) {
			done, err := c.RebootProxy(t.Context(), desired, nil, false)
			if err != nil || len(done.Done) != 2 || !strings.Contains(done.Done[0].Did, "kamald/proxy:2.0.0") || len(done.Done[0].Notes) != 1 {
				t.Fatalf("%+v %v", done, err)
			}
		})
		for _, c := range w.Containers("h1", state.View{}) {
			if c.Name == "kamal-proxy" && c.Live.Image != "kamald/proxy:2.0.0" {
				t.Errorf("it is of %s", c.Live.Image)
			}
		}
		if w.serves() != allServe || w.proxies("h1") != old || !reflect.DeepEqual(w.Routes("h1"), before) {
			t.Errorf("%s, %s\n%+v", w.serves(), w.proxies("h1"), w.Routes("h1"))
		}
		w.noLocks(0)
		w.mustBeEmpty(desired)
	})
}

func TestAProxyThatReadsNothingOfWhatItKeptGetsItAllBack(t *testing.T) {
	for name, act := range map[string]func(ctx context.Context, c *reconcile.Controller, desired release.Release) (reconcile.Commanded, error){
		"reboot": func(ctx context.Context, c *reconcile.Controller, desired release.Release) (reconcile.Commanded, error) {
			return c.RebootProxy(ctx, desired, []string{"h1"}, false)
		},
		"restart": func(ctx context.Context, c *reconcile.Controller, desired release.Release) (reconcile.Commanded, error) {
			return c.RestartProxy(ctx, desired, []string{"h1"}, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sharing(t, 802)
				before := w.Routes("h1")
				w.ForgetsRoutes("h1", true)
				w.using(func(c *reconcile.Controller) {
					done, err := act(t.Context(), c, w.release("v1"))
					if err != nil || strings.Count(strings.Join(done.Done[0].Notes, "\n"), "was put back") != 3 {
						t.Errorf("%+v %v", done, err)
					}
				})
				if w.serves() != allServe || !reflect.DeepEqual(w.Routes("h1"), before) {
					t.Errorf("%s\n%+v\n%+v", w.serves(), w.Routes("h1"), before)
				}
			})
		})
	}
}

func TestARouteThatCannotBePutBackIsNamedAndTheOthersServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 803)
		w.StopContainer("h1", "blog-web-v1")
		w.ForgetsRoutes("h1", true)
		w.using(func(c *reconcile.Controller) {
			done, err := c.RebootProxy(t.Context(), w.release("v1"), []string{"h1"}, false)
			if err == nil || !strings.Contains(done.Done[0].Error, "route blog-web") || !strings.Contains(done.Done[0].Error, "route wiki-web") {
				t.Errorf("%+v %v", done, err)
			}
		})
		if status := w.Answer("h1", "shop.example.com", "/"); status != 200 || w.proxies("h1") != "kamal-proxy running" {
			t.Errorf("%d %s", status, w.proxies("h1"))
		}
	})
}

func TestWhenTheNewProxyDoesNotComeUpTheOldOneServesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 804)
		bad := sim.ProxyImage("proxy.example.com/bad:v1")
		bad.Behaviour = sim.NeverHealthy(500)
		bad.Behaviour.Logs = []string{`{"msg":"Request","path":"/?token=word"}`, "no certificate"}
		w.Place("h1", bad)
		w.using(func(c *reconcile.Controller) {
			_, err := c.RebootProxy(t.Context(), elsewise(w.release("v1"), "proxy.example.com/bad:v1"), []string{"h1"}, false)
			if err == nil || !strings.Contains(err.Error(), "the old one serves again") || !strings.Contains(err.Error(), "no certificate") {
				t.Errorf("%v", err)
			}
		})
		if w.serves() != allServe || w.proxies("h1") != "kamal-proxy running" {
			t.Errorf("%s, %s", w.serves(), w.proxies("h1"))
		}
		w.noLocks(0)
	})
}

func TestARollingRebootEndsWhereOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 805)
		w.mustApply(w.release("v1"))
		desired := elsewise(w.release("v1"), "kamald/proxy:2.0.0")
		h2 := w.Containers("h2", state.View{})
		w.Before(func(c sim.Call) error {
			if c.Host == "h1" && c.Method == "Engine.Create" {
				return sim.ErrFault
			}
			return nil
		})
		w.using(func(c *reconcile.Controller) {
			done, err := c.RebootProxy(t.Context(), desired, nil, true)
			if err == nil || len(done.Done) != 2 || !strings.Contains(done.Done[0].Error, "nothing was changed") || !strings.Contains(done.Done[1].Error, "not begun: it failed on h1") {
				t.Errorf("%+v %v", done, err)
			}
		})
		if w.proxies("h1") != "kamal-proxy running" || !reflect.DeepEqual(w.Containers("h2", state.View{}), h2) {
			t.Errorf("%s; %s", w.proxies("h1"), w.proxies("h2"))
		}
	})
}

func TestAFileThatSaysNothingOfTheProxyDoesNotTakeItsSettingsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 806)
		with := w.release("v1")
		with.ProxyServer.Declared, with.ProxyServer.HTTPPort = true, 8080
		w.mustApply(with)
		without := w.release("v1")
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RebootProxy(t.Context(), without, nil, false); err == nil || !strings.Contains(err.Error(), "8080:80") || !strings.Contains(err.Error(), "proxy_server block") {
				t.Errorf("%v", err)
			}
			if _, err := c.RebootProxy(t.Context(), with, nil, false); err != nil {
				t.Error(err)
			}
		})
	})
}

// Whatever happens to one call of a reboot, the proxy serves afterwards, or it is said that it does not.
func TestARebootNeverLeavesAHostWithoutAProxyUnlessItSaysSo(t *testing.T) {
	step := 17
	if long() {
		step = 1
	}
	for _, f := range []struct {
		name   string
		inject func(w *world, n int)
		killed bool
	}{
		{"fails", func(w *world, n int) { w.FailNth(n) }, false},
		{"reply is lost", func(w *world, n int) { w.LostReplyNth(n) }, false},
		{"hangs", func(w *world, n int) { w.HangNth(n) }, false},
		{"is torn", func(w *world, n int) { w.TearNth(n) }, false},
		{"cut for 5 s", func(w *world, n int) {
			w.Before(func(c sim.Call) error {
				if c.N == n && strings.HasPrefix(c.Host, "h") {
					w.Cut(c.Host)
					time.AfterFunc(5*time.Second, func() { w.Restore(c.Host) })
				}
				return nil
			})
		}, false},
		{"kamald killed", func(w *world, n int) { w.KillNth(n) }, true},
		{"killed after it", func(w *world, n int) { w.KillAfterNth(n) }, true},
	} {
		t.Run(f.name, func(t *testing.T) {
			for n := 1; rebootDisturbed(t, f.inject, n, f.killed); n += step {
			}
		})
	}
}

// rebootDisturbed disturbs the n-th call of a reboot; false when it has fewer.
func rebootDisturbed(t *testing.T, inject func(w *world, n int), n int, killed bool) (met bool) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 807)
		before := w.Routes("h1")
		desired := elsewise(w.release("v1"), "kamald/proxy:2.0.0")
		first := w.Calls()
		inject(w, first+n)
		c := w.controller()
		_, err := c.RebootProxy(t.Context(), desired, []string{"h1"}, false)
		_ = c.Close()
		met = w.Calls()-first >= n
		time.Sleep(6 * time.Second) // a cut ends
		w.ClearHooks()
		w.Revive()
		switch {
		case killed:
			time.Sleep(2 * time.Minute) // the leases pass
			if _, err := w.apply(t.Context(), w.release("v1")); err != nil {
				t.Errorf("n=%d: the apply after it: %v", n, err)
			}
		case w.serves() != allServe && (err == nil || !strings.Contains(err.Error(), "nothing may be served")):
			t.Errorf("n=%d: it answers %s, %s; and says: %v", n, w.serves(), w.proxies("h1"), err)
		}
		if got := w.serves(); got != allServe || !reflect.DeepEqual(w.Routes("h1"), before) {
			t.Errorf("n=%d: it answers %s\n%+v\n%v", n, got, w.Routes("h1"), err)
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RebootProxy(t.Context(), desired, []string{"h1"}, false); err != nil {
				t.Errorf("n=%d: the next reboot: %v", n, err)
			}
		})
		left := slices.DeleteFunc(strings.Split(w.proxies("h1"), ", "), func(name string) bool {
			return strings.Contains(name, "_replaced_") && strings.HasSuffix(name, " exited")
		})
		if w.serves() != allServe || len(left) != 1 || left[0] != "kamal-proxy running" {
			t.Errorf("n=%d: after the next reboot %s, %s", n, w.serves(), w.proxies("h1"))
		}
		w.noLocks(n)
	})
	return met
}

func TestAProxyThatIsStoppedOnPurposeStaysSoForEveryAppUntilItIsStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 808)
		w.using(func(c *reconcile.Controller) {
			if done, err := c.StopProxy(t.Context(), w.release("v1"), "new cable", []string{"h1"}); err != nil || done.Done[0].Did != "was stopped" {
				t.Fatalf("%+v %v", done, err)
			}
			w.mustBeEmpty(w.release("v1"))
			other := w.release("v1")
			other.Service = "blog"
			w.store = &memory{}
			planned := w.planWith(other, reconcile.Options{})
			if len(planned.Plan.Problems) == 0 || !strings.Contains(planned.Plan.Problems[0].Summary, "new cable") {
				t.Errorf("another app: %+v", planned.Plan.Problems)
			}
		})
		w.using(func(c *reconcile.Controller) {
			if _, err := c.StartProxy(t.Context(), w.release("v1"), nil); err != nil || w.serves() != allServe {
				t.Errorf("%s %v", w.serves(), err)
			}
			if _, there := w.File("h1", ".kamal/proxy/kamald-stopped.json"); there {
				t.Error("it is still noted")
			}
			if _, err := c.StopProxy(t.Context(), w.release("v1"), "", []string{"h1"}); err != nil {
				t.Fatal(err)
			}
		})
		w.StartContainer("h1", "kamal-proxy") // a hand has started it; then it crashed
		time.Sleep(time.Second)
		w.StopContainer("h1", "kamal-proxy")
		if planned := w.planWith(w.release("v1"), reconcile.Options{}); len(planned.Plan.Steps) == 0 || len(planned.Plan.Gates) > 0 {
			t.Errorf("an old note is believed: %+v", planned.Plan)
		}
	})
}

func TestAProxyIsNotRemovedWhileOtherAppsNeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sharing(t, 809)
		w.MakeDir("h2", ".kamal/apps/wiki")
		w.using(func(c *reconcile.Controller) {
			done, err := c.RemoveProxy(t.Context(), w.release("v1"), false, nil)
			if err == nil || !strings.Contains(done.Done[0].Error, "blog-web") || !strings.Contains(done.Done[1].Error, "wiki") || w.serves() != allServe {
				t.Errorf("%+v %v", done, err)
			}
			w.RemoveFile("h2", ".kamal/apps/wiki")
			if done, err = c.RemoveProxy(t.Context(), w.release("v1"), false, []string{"h2"}); err != nil || w.proxies("h2") != "" || w.ImageID("h2", "kamald/proxy:1.0.0") != "" {
				t.Errorf("%+v %v", done, err)
			}
			if _, err = c.RemoveProxy(t.Context(), w.release("v1"), true, []string{"h1"}); err != nil || w.proxies("h1") != "" {
				t.Errorf("%s %v", w.proxies("h1"), err)
			}
			if _, err = c.BootProxy(t.Context(), w.release("v1"), nil); err != nil || w.serves() != allServe {
				t.Errorf("%s %v", w.serves(), err)
			}
		})
	})
}

func TestProxyCommandsAreRefusedWhileAnotherHasTheDeployLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 810)
		w.mustApply(w.release("v1"))
		w.mustAcquire("migration")
		w.using(func(c *reconcile.Controller) {
			before := len(w.History())
			_, err := c.RestartProxy(t.Context(), w.release("v1"), nil, false)
			if _, locked := errors.AsType[*reconcile.LockedError](err); !locked {
				t.Errorf("%v", err)
			}
			for _, call := range w.History()[before:] {
				if strings.HasPrefix(call.Method, "Engine.") {
					t.Errorf("%v", call)
				}
			}
		})
	})
}

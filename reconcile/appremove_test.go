package reconcile_test

import (
	"context"
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

// removing takes a part of the app away, in a run of its own.
func (w *world) removing(ctx context.Context, hosts, roles []string) (done reconcile.Commanded, err error) {
	w.using(func(c *reconcile.Controller) { done, err = c.RemoveApp(ctx, w.release("v1"), "", hosts, roles) })
	return done, err
}

// remains are the app's things on a host: containers, routes, images and files.
func (w *world) remains(host string, app state.App) (list []string) {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Service == app.Service && c.Destination == app.Destination {
			list = append(list, "container "+c.Name)
		}
	}
	for _, route := range w.Routes(host) {
		if route.Name == app.RouteName("web") {
			list = append(list, "route "+route.Name)
		}
	}
	for _, tag := range []string{"v1", "v2", app.LatestTag()} {
		if w.ImageID(host, repository+":"+tag) != "" {
			list = append(list, "image "+tag)
		}
	}
	for _, name := range w.FileNames(host) {
		if strings.Contains(name, "/apps/"+app.String()+"/") || strings.Contains(name, "/apps-config/"+app.String()) || strings.Contains(name, "/lock-"+app.String()) || strings.Contains(name, "/"+app.String()+"-audit.log") {
			list = append(list, "file "+name)
		}
	}
	return list
}

func TestARemovedAppStaysAwayUntilItIsBooted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 921)
		desired := w.release("v1")
		desired.Roles[0].Volumes = []string{"shop-data:/data", "/srv/uploads:/uploads"}
		w.mustApply(desired)
		done, err := w.removing(t.Context(), []string{"h2"}, nil)
		if err != nil {
			t.Fatalf("%+v %v", done, err)
		}
		if notes := strings.Join(done.Done[0].Notes, " "); !strings.Contains(notes, "shop-data, /srv/uploads") {
			t.Errorf("what of its data stays is not said: %+v", done.Done)
		}
		for _, left := range w.remains("h2", desired.App()) {
			if !strings.Contains(left, "/shop/kamald") && !strings.HasSuffix(left, "-audit.log") {
				t.Errorf("%s is left", left)
			}
		}
		if w.versions() != onlyH1AndWorkers || len(w.remains("h1", desired.App())) == 0 || !slices.Contains(w.Volumes("h2"), "shop-data") {
			t.Errorf("%s %v", w.versions(), w.Volumes("h2"))
		}
		if repairs := w.healing(); len(repairs.Plan.Steps) > 0 {
			t.Errorf("healing would bring it back: %+v", repairs.Plan.Steps)
		}
		if _, err := w.held((*reconcile.Controller).BootApp, reconcile.Options{}); err == nil || !strings.Contains(err.Error(), "kamald env push") {
			t.Errorf("without its secrets: %v", err)
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.PushEnv(t.Context(), desired, plan.Filter{Hosts: []string{"h2"}}); err != nil {
				t.Fatal(err)
			}
		})
		if report, err := w.held((*reconcile.Controller).BootApp, reconcile.Options{}); err != nil || w.versions() != allV1 || w.answers() != bothServe {
			t.Errorf("%+v %v %s\n%s", report, err, w.versions(), w.progress())
		}
		w.mustBeEmpty(desired)
	})
}

func TestARemovedRoleLeavesTheOthersOfItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 922)
		desired := w.release("v1")
		desired.Roles[1].Hosts = []string{"h1", "h3"}
		w.mustApply(desired)
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RemoveApp(t.Context(), desired, "", []string{"h1"}, []string{"workers"}); err != nil {
				t.Fatal(err)
			}
		})
		if w.versions() != allV1 || w.ImageID("h1", repository+":v1") == "" {
			t.Errorf("%s", w.versions())
		}
		w.mustBeEmpty(desired)
	})
}

func TestARemovedServiceLeavesNothingAndNobodyElsesThings(t *testing.T) {
	for _, data := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 923)
			desired, beta := w.release("v1"), w.release("v2")
			desired.Roles[0].Volumes, desired.Roles[1].Volumes = []string{"shop-data:/data"}, []string{"shared:/shared"}
			beta.Destination = "beta"
			proxied := *beta.Roles[0].Proxy
			proxied.Options.Hosts, beta.Roles[0].Proxy = []string{"beta.example.com"}, &proxied
			beta.Hosts = slices.Delete(slices.Clone(beta.Hosts), 1, 2)
			beta.Roles[0].Hosts, beta.Roles[1].Volumes = []string{"h1"}, []string{"shared:/shared"} // on h1 and h3
			w.mustApply(desired)
			w.mustApply(atVersion(desired, "v2"))
			w.mustApply(beta)
			others := map[string][]string{}
			for _, host := range w.Hosts() {
				others[host] = allBut(w.remains(host, beta.App()), "image v1")
			}
			var done reconcile.Commanded
			remove := func() {
				w.using(func(c *reconcile.Controller) {
					var err error
					if done, err = c.RemoveService(t.Context(), atVersion(desired, "v2"), data); err != nil {
						t.Fatalf("%+v %v\n%s", done, err, w.progress())
					}
				})
			}
			remove()
			for _, host := range w.Hosts() {
				if now := w.remains(host, beta.App()); host != "h2" && !slices.Equal(now, others[host]) {
					t.Errorf("%s: beta had\n%s\nand has\n%s", host, strings.Join(others[host], "\n"), strings.Join(now, "\n"))
				}
				for _, left := range w.remains(host, desired.App()) {
					if image := strings.TrimPrefix(left, "image "); image == left || host == "h2" || image == "latest" || image == "v1" {
						t.Errorf("%s: %s is left", host, left)
					}
				}
			}
			if slices.Contains(w.Volumes("h1"), "shop-data") == data || slices.Contains(w.Volumes("h2"), "shop-data") == data || !slices.Contains(w.Volumes("h3"), "shared") {
				t.Errorf("with data %t: %v %v %v", data, w.Volumes("h1"), w.Volumes("h2"), w.Volumes("h3"))
			}
			if proxies := w.proxyHosts(); proxies != "h1" {
				t.Errorf("proxies on %s; beta needs that of h1, and nobody that of h2", proxies)
			}
			remove() // what is gone already is no failure
			for _, one := range done.Done {
				if !one.Unchanged && one.Did != "removed its files" {
					t.Errorf("%+v", one)
				}
			}
			w.mustBeEmpty(beta)
		})
	}
}

// A migration that failed and one that still runs, and what an interrupted run took assets out of, have the app's image.
func TestARemovedServiceLeavesNoContainerOfAHookNorOfAssets(t *testing.T) {
	for _, runs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 927)
			w.mustApply(w.release("v1"))
			desired := w.migrating("v2", sim.Exits(3, time.Minute))
			if _, err := w.apply(t.Context(), desired); err == nil {
				t.Fatal("the migration succeeds")
			}
			if runs {
				w.StartContainer("h1", "shop-hook.migrate-2")
			}
			conn, err := w.Connector().Connect(t.Context(), release.Host{Name: "h1"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Engine.Create(t.Context(), "shop-web-assets", state.Spec{Image: repository + ":v1", Cmd: []string{"assets"}}, nil, nil); err != nil {
				t.Fatal(err)
			}
			all := w.Containers("h1", state.View{})
			hook := all[slices.IndexFunc(all, func(c state.Container) bool { return c.Hook != "" })].ID
			before := len(w.History())
			w.using(func(c *reconcile.Controller) {
				if done, err := c.RemoveService(t.Context(), desired, false); err != nil {
					t.Fatalf("%+v %v", done, err)
				}
			})
			for _, c := range w.Containers("h1", state.View{}) {
				t.Errorf("%s is left", c.Name)
			}
			if left := w.remains("h1", desired.App()); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			stopped := slices.ContainsFunc(w.History()[before:], func(c sim.Call) bool { return c.Method == "Engine.Stop" && c.Args == hook })
			if stopped != runs {
				t.Errorf("it runs: %t, and is asked to end: %t", runs, stopped)
			}
		})
	}
}

func allBut(list []string, one string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == one })
}

// atVersion is a release at another version.
func atVersion(desired release.Release, version string) release.Release {
	desired.Version = version
	return desired
}

// proxyHosts names the hosts that have a proxy.
func (w *world) proxyHosts() string {
	var hosts []string
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Name == "kamal-proxy" {
				hosts = append(hosts, host)
			}
		}
	}
	return strings.Join(hosts, " ")
}

// deliberate are the commands that take away on purpose what releases must not.
var deliberate = []struct {
	name string
	act  func(context.Context, *reconcile.Controller, release.Release) error
	ends func(*history) string // what is not as it should be in the end
}{
	{"stop", func(ctx context.Context, c *reconcile.Controller, desired release.Release) error {
		done, err := c.StopApp(ctx, desired, reconcile.StopReason{Reason: "test"}, nil, nil)
		return everywhere(done, err)
	}, func(h *history) string { return h.ours(h.release("v1").App()) }},
	{"remove app", func(ctx context.Context, c *reconcile.Controller, desired release.Release) error {
		done, err := c.RemoveApp(ctx, desired, "", nil, nil)
		return everywhere(done, err)
	}, func(h *history) string {
		return h.leftOf(func(left string) bool {
			return !strings.Contains(left, "/shop/kamald") && !strings.HasSuffix(left, "-audit.log")
		})
	}},
	{"remove", func(ctx context.Context, c *reconcile.Controller, desired release.Release) error {
		done, err := c.RemoveService(ctx, desired, true)
		return everywhere(done, err)
	}, func(h *history) string {
		return h.leftOf(func(left string) bool { return left != "image v1" }) + strings.Join(h.besideRemains("shop-redis", "shop"), "\n")
	}},
}

// everywhere counts a host that was left out as a failure.
func everywhere(done reconcile.Commanded, err error) error {
	if err == nil && len(done.Skipped) > 0 {
		return sim.ErrFault
	}
	return err
}

// leftOf joins what is left of the app that should not be.
func (h *history) leftOf(counts func(string) bool) string {
	var list []string
	for _, host := range h.Hosts() {
		for _, left := range h.remains(host, h.release("v1").App()) {
			if counts(left) {
				list = append(list, host+": "+left)
			}
		}
	}
	return strings.Join(list, "\n")
}

// Whatever happens to the n-th remote call of a command that takes an app away, nobody else's thing is touched, everything was noted
// before it was done, and doing it again is enough. In between nothing heals what was stopped on purpose.
func TestEveryCallOfARemovalMayFail(t *testing.T) {
	step := 23
	if long() {
		step = envInt("KAMALD_STEP", 1)
	}
	for i, d := range deliberate {
		for j, f := range faults {
			t.Run(d.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				for n, met := 1+(7*i+3*j)%step, true; met; n += step {
					synctest.Test(t, func(t *testing.T) {
						h := observed(newWorld(t, uint64(n)))
						h.beside("h1", "other-web-1", map[string]string{"service": "other", "role": "web", "destination": ""})
						h.beside("h3", "shop-web-beta-v1", map[string]string{"service": "shop", "role": "web", "destination": "beta"})
						h.beside("h2", "by-hand", nil)
						desired := h.release("v1")
						desired.Roles[0].Volumes = []string{"shop-data:/data"}
						if d.name == "remove" {
							h.cache("redis:7", sim.Healthy(300*time.Millisecond))
							desired.Accessories = []release.Accessory{redis("redis:7")}
						}
						h.must(desired)
						target := h.targetOf("h1", "shop-web")
						h.SetRoute("h1", state.Route{Name: "other-web", Targets: []string{target + ":3000"}, Options: state.RouteOptions{Hosts: []string{"other.example.com"}}})
						act := func(by string) *command {
							return h.run(by, desired, func(c *reconcile.Controller) (reconcile.Report, error) {
								return reconcile.Report{Kind: plan.KindNone}, d.act(t.Context(), c, desired)
							})
						}
						first := h.Calls()
						f.inject(h, first+n)
						c := act("disturbed")
						met = h.Calls() >= first+n
						h.listen()
						h.Revive()
						time.Sleep(6 * time.Minute)
						for round := 0; round < 3 && (c.err != nil || round == 0); round++ {
							c = act("again")
						}
						if left := d.ends(h); c.err != nil || left != "" {
							t.Errorf("n=%d: %v; left:\n%s\n%s", n, c.err, left, h.progress())
						}
						if !slices.ContainsFunc(h.Routes("h1"), func(r state.Route) bool { return r.Name == "other-web" }) || !strings.Contains(h.proxyHosts(), "h1") {
							t.Errorf("n=%d: the proxy of another app, or its route, is gone: %s", n, h.proxyHosts())
						}
						for _, found := range append(h.violations(), texts(h.wrapUp())...) {
							if strings.Contains(found, "lock-proxy") || strings.HasPrefix(found, "I8 h2") && strings.Contains(found, "kamal") && !strings.Contains(found, "by-hand") {
								continue // of the proxy that nobody needs
							}
							if on := strings.Fields(found)[0]; !slices.Contains([]string{"I1", "I2", "I11", "I3", "I4", "I7", "requests"}, strings.TrimSuffix(on, ":")) {
								t.Errorf("n=%d: %s", n, found)
							}
						}
					})
				}
			})
		}
	}
}

func texts(list []violation) (all []string) {
	for _, v := range list {
		all = append(all, v.String())
	}
	return all
}

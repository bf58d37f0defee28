package reconcile_test

import (
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

// ours is where the accessory's images are: the simulated registries all want the release's credentials.
const ours = "registry.example.com/"

// redis is an accessory on h3, with a secret, a file that has one in it, a directory and a volume.
func redis(image string) release.Accessory {
	return release.Accessory{Name: "redis", Service: "shop-redis", Image: ours + image, Hosts: []string{"h3"}, Network: "kamal", Restart: "unless-stopped",
		Env:     release.Env{Clear: map[string]string{"TZ": "UTC"}, Secrets: map[string]string{"TOKEN": "TOKEN"}},
		Volumes: []string{"redis-sockets:/run/redis"}, Stop: release.Stop{Grace: 5 * time.Second}, OnChange: release.OnChangeRecreate,
		Files: []release.Placed{{Path: "./shop-redis/etc/redis.conf", To: "/etc/redis.conf", Mode: "0640", Owner: "999:999",
			Content: []release.Part{{Text: "requirepass "}, {Secret: "TOKEN"}, {Text: "\n"}}}},
		Directories: []release.Placed{{Path: "./shop-redis/data", To: "/data", Mode: "0750", Owner: "999:999"}}}
}

// withRedis is the release with the accessory beside it.
func (w *world) withRedis(version, image string) release.Release {
	desired := w.release(version)
	desired.Accessories = []release.Accessory{redis(image)}
	return desired
}

// cache pushes an image for the accessory.
func (w *world) cache(ref string, b sim.Behaviour) { w.Push(sim.Image{Ref: ours + ref, Behaviour: b}) }

func newWorldWithRedis(t *testing.T) *world {
	w := newWorld(t, 11)
	for _, ref := range []string{"redis:7", "redis:8"} {
		w.cache(ref, sim.Healthy(300*time.Millisecond))
	}
	return w
}

// redis gives what runs of the accessory on h3: "redis:7", "redis:7 stopped", "" for none.
func (w *world) redis() string {
	for _, c := range w.Containers("h3", state.View{}) {
		if c.Name == "shop-redis" && c.Running() {
			return strings.TrimPrefix(c.Live.Image, ours)
		} else if c.Name == "shop-redis" {
			return strings.TrimPrefix(c.Live.Image, ours) + " stopped"
		}
	}
	return ""
}

func (w *world) redisID() string {
	for _, c := range w.Containers("h3", state.View{}) {
		if c.Name == "shop-redis" {
			return c.ID
		}
	}
	return ""
}

// planned gives the plan for a release, which must be one.
func (w *world) planned(desired release.Release, options reconcile.Options) reconcile.Planned {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, options)
	if err != nil {
		w.t.Fatal(err)
	}
	return planned
}

func (w *world) healed(desired release.Release) reconcile.Report {
	w.t.Helper()
	var report reconcile.Report
	w.using(func(c *reconcile.Controller) {
		survey, err := c.Survey(w.t.Context(), desired, reconcile.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		if report, err = c.Heal(w.t.Context(), desired, *survey.Drift.Held, reconcile.Options{}); err != nil {
			w.t.Fatal(err)
		}
	})
	return report
}

func TestAnAccessoryIsThereBeforeTheAppIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.mustApply(w.withRedis("v1", "redis:7"))
		if got := w.redis(); got != "redis:7" {
			t.Fatalf("the accessory is %q\n%s", got, w.progress())
		}
		log := w.progress()
		if healthy, made := strings.Index(log, "done h3 prove/h3/accessory/redis"), strings.Index(log, "begin h1 create/h1/web"); healthy < 0 || made < healthy {
			t.Errorf("the app was made before the accessory was healthy:\n%s", log)
		}
		if data, _ := w.File("h3", "shop-redis/etc/redis.conf"); string(data) != "requirepass "+canary+"\n" {
			t.Errorf("the file has %q", data)
		}
		if mode := w.Mode("h3", "shop-redis/etc/redis.conf"); mode != 0o640 {
			t.Errorf("the file's mode is %o", mode)
		}
		if user, group := w.Owner("h3", "shop-redis/data"); user != 999 || group != 999 {
			t.Errorf("the directory belongs to %d:%d", user, group)
		}
		if _, ok := w.File("h3", ".kamal/apps/shop/env/accessories/redis.env"); !ok {
			t.Error("there is no file with its secrets")
		}
		for _, c := range w.Containers("h3", state.View{}) {
			if c.Name == "shop-redis" && (c.Accessory != "shop/redis" || c.Service != "shop-redis" || c.Role != "" || strings.Contains(c.Asked.JSON(), canary)) {
				t.Errorf("the container is %+v", c)
			}
		}
		for _, r := range w.store.releases {
			if strings.Contains(string(r.Release), canary) {
				t.Error("the secret is in the record")
			}
		}
	})
}

func TestAnotherImageFollowsOnChange(t *testing.T) {
	for policy, want := range map[string]string{release.OnChangeRecreate: "redis:8", release.OnChangePlan: "redis:7", release.OnChangeIgnore: "redis:7"} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				w.mustApply(w.withRedis("v1", "redis:7"))
				desired := w.withRedis("v1", "redis:8")
				desired.Accessories[0].OnChange = policy
				items := w.planned(desired, reconcile.Options{}).Plan.Items
				shown := slices.ContainsFunc(items, func(i plan.Item) bool {
					return i.Role == "accessory/redis" && slices.Contains(i.Fields, plan.Field{Path: "image", Before: ours + "redis:7", After: ours + "redis:8"}) && (i.Deferred != "") == (policy == release.OnChangePlan)
				})
				if shown != (policy != release.OnChangeIgnore) {
					t.Errorf("the plan shows %+v", items)
				}
				w.mustApply(desired)
				if got := w.redis(); got != want {
					t.Errorf("the accessory is %s\n%s", got, w.progress())
				}
				if got := w.versions(); got != allV1 {
					t.Errorf("the app runs %s", got)
				}
				if n := len(w.Containers("h3", state.View{})); n != 2 {
					t.Errorf("h3 has %d containers", n)
				}
			})
		})
	}
}

func TestAnAccessoryThatDoesNotComeUpBringsTheOldOneBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.cache("redis:9", sim.Exits(1, time.Second))
		w.mustApply(w.withRedis("v1", "redis:7"))
		id := w.redisID()
		desired := w.withRedis("v2", "redis:9")
		desired.Accessories[0].Files[0].Content[2].Text = "\nmaxmemory 1mb\n"
		if report, err := w.apply(t.Context(), desired); err == nil || !report.Undone || len(report.Left) > 0 {
			t.Fatalf("%+v %v", report, err)
		}
		if w.redis() != "redis:7" || w.redisID() != id {
			t.Errorf("the accessory is %s\n%s", w.redis(), w.progress())
		}
		if data, _ := w.File("h3", "shop-redis/etc/redis.conf"); string(data) != "requirepass "+canary+"\n" {
			t.Errorf("its file has %q", data)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("the app runs %s", got)
		}
		w.mustBeEmpty(w.withRedis("v1", "redis:7"))
	})
}

func TestHealingStartsWhatEndedAndNotWhatSomebodyStopped(t *testing.T) {
	t.Run("removed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldWithRedis(t)
			w.mustApply(w.withRedis("v1", "redis:7"))
			w.RemoveContainer("h3", "shop-redis")
			w.healed(w.withRedis("v1", "redis:7"))
			if got := w.redis(); got != "redis:7" {
				t.Errorf("the accessory is %q\n%s", got, w.progress())
			}
		})
	})
	t.Run("stopped by hand", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldWithRedis(t)
			desired := w.withRedis("v1", "redis:7")
			w.mustApply(desired)
			w.StopContainer("h3", "shop-redis")
			w.healed(desired)
			if got := w.redis(); got != "redis:7 stopped" {
				t.Errorf("the accessory is %q", got)
			}
			w.mustApply(desired)
			if got := w.redis(); got != "redis:7" {
				t.Errorf("after an apply it is %q", got)
			}
		})
	})
	t.Run("stopped on purpose", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldWithRedis(t)
			desired := w.withRedis("v1", "redis:7")
			w.mustApply(desired)
			w.using(func(c *reconcile.Controller) {
				if _, err := c.StopAccessories(t.Context(), desired, []string{"redis"}, nil, "a dump"); err != nil {
					t.Fatal(err)
				}
			})
			w.healed(desired)
			w.mustApply(desired)
			if got := w.redis(); got != "redis:7 stopped" {
				t.Errorf("the accessory is %q\n%s", got, w.progress())
			}
			if gates := w.planned(desired, reconcile.Options{}).Plan.Gates; len(gates) != 1 || !strings.Contains(gates[0].String(), "a dump") {
				t.Errorf("the plan says %v", gates)
			}
			w.using(func(c *reconcile.Controller) {
				if _, err := c.StartAccessories(t.Context(), desired, []string{"redis"}, nil); err != nil {
					t.Fatal(err)
				}
			})
			if got := w.redis(); got != "redis:7" {
				t.Errorf("after start it is %q", got)
			}
			if gates := w.planned(desired, reconcile.Options{}).Plan.Gates; len(gates) != 0 {
				t.Errorf("the plan still says %v", gates)
			}
		})
	})
	t.Run("another configuration", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorldWithRedis(t)
			desired := w.withRedis("v1", "redis:7")
			w.mustApply(desired)
			id := w.redisID()
			w.WriteFile("h3", "shop-redis/etc/redis.conf", []byte("by hand\n"))
			if drift := w.drift(desired); !slices.ContainsFunc(drift, func(i plan.Item) bool {
				return i.Role == "accessory/redis" && i.Deferred != "" || i.Role == "accessory/redis" && i.Cause == plan.Drift
			}) {
				t.Errorf("the drift is %+v", drift)
			}
			w.healed(desired)
			if w.redisID() != id {
				t.Error("healing has made another container")
			}
			w.mustApply(desired)
			if data, _ := w.File("h3", "shop-redis/etc/redis.conf"); w.redisID() == id || string(data) != "requirepass "+canary+"\n" {
				t.Errorf("an apply left the file as %q", data)
			}
		})
	})
}

func (w *world) drift(desired release.Release) (items []plan.Item) {
	w.t.Helper()
	w.using(func(c *reconcile.Controller) {
		planned, err := c.Drift(w.t.Context(), desired, reconcile.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		items = planned.Plan.Drifted()
	})
	return items
}

func TestAnAccessoryThatKamalMadeIsAdoptedWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.Place("h3", sim.Image{Ref: ours + "redis:7", Behaviour: sim.Healthy(300 * time.Millisecond)})
		w.WithNetwork("h3", "kamal")
		w.WriteFile("h3", "shop-redis/etc/redis.conf", []byte("requirepass "+canary+"\n"))
		w.WriteFile("h3", ".kamal/apps/shop/env/accessories/redis.env", []byte("TOKEN="+canary+"\n"))
		spec := state.Spec{Image: ours + "redis:7", Network: "kamal", Restart: "unless-stopped", LogOptions: map[string]string{"max-size": "10m"},
			Env: map[string]string{"KAMAL_HOST": "h3", "TZ": "UTC"}, Labels: map[string]string{"service": "shop-redis"},
			Volumes: []string{"redis-sockets:/run/redis", "/root/shop-redis/etc/redis.conf:/etc/redis.conf", "/root/shop-redis/data:/data"}}
		id := w.RunContainer("h3", "shop-redis", spec, nil, map[string]release.Secret{"TOKEN": release.NewSecret(canary)})
		time.Sleep(time.Second)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		if w.redisID() != id || w.redis() != "redis:7" {
			t.Errorf("it was made anew: %s", w.progress())
		}
		for _, item := range w.planned(desired, reconcile.Options{}).Plan.Items {
			if item.Role == "accessory/redis" {
				t.Errorf("the plan has %+v", item)
			}
		}
		desired.Accessories = nil
		w.mustApply(desired)
		if w.redis() != "" {
			t.Errorf("after it left the file it is %q", w.redis())
		}
		if _, ok := w.File("h3", "shop-redis/etc/redis.conf"); !ok {
			t.Error("what it has kept is gone")
		}
	})
}

func TestAccessoriesMayBeAllThatAFileHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Roles, desired.PrimaryRole, desired.Hosts = nil, "", desired.Hosts[2:]
		w.mustApply(desired)
		if w.redis() != "redis:7" {
			t.Fatalf("it is %q\n%s", w.redis(), w.progress())
		}
		if len(w.store.releases) != 1 {
			t.Errorf("%d releases are recorded", len(w.store.releases))
		}
		w.RemoveContainer("h3", "shop-redis")
		w.healed(desired)
		if w.redis() != "redis:7" {
			t.Errorf("after healing it is %q", w.redis())
		}
	})
}

package reconcile_test

import (
	"context"
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

func TestARebootIsWhatIsHeldAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].OnChange = release.OnChangePlan
		w.mustApply(desired)
		desired = w.withRedis("v2", "redis:8") // of a version that is not released
		desired.Accessories[0].OnChange = release.OnChangePlan
		w.using(func(c *reconcile.Controller) {
			if report, err := c.BootAccessories(t.Context(), desired, []string{"redis"}, nil, true); err != nil || report.Kind != plan.KindAccessory {
				t.Fatalf("%+v %v\n%s", report, err, w.progress())
			}
		})
		if w.redis() != "redis:8" || w.versions() != allV1 {
			t.Fatalf("%s runs beside %s", w.redis(), w.versions())
		}
		if drift := w.drift(desired); len(drift) > 0 {
			t.Errorf("the drift is %+v", drift)
		}
		w.RemoveContainer("h3", "shop-redis")
		w.healed(desired)
		if w.redis() != "redis:8" {
			t.Errorf("healing brings back %q", w.redis())
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RemoveAccessories(t.Context(), desired, []string{"redis"}, nil, false); err != nil {
				t.Fatal(err)
			}
		})
		w.healed(desired)
		if _, kept := w.File("h3", "shop-redis/etc/redis.conf"); w.redis() != "" || !kept {
			t.Errorf("after remove it is %q, its files are there: %t", w.redis(), kept)
		}
		w.using(func(c *reconcile.Controller) {
			if _, err := c.RemoveAccessories(t.Context(), desired, []string{"redis"}, nil, true); err != nil {
				t.Fatal(err)
			}
		})
		for _, name := range w.FileNames("h3") {
			if strings.Contains(name, "shop-redis") || strings.Contains(name, "accessories/redis") {
				t.Errorf("%s is left", name)
			}
		}
		w.mustApply(desired)
		if w.redis() != "redis:8" {
			t.Errorf("an apply of the file makes %q", w.redis())
		}
	})
}

// What is held is compared with the file as a whole: neither the place of an accessory in it nor that of its host is another afterwards.
func TestAfterARebootTheFileIsWhatIsHeld(t *testing.T) {
	for name, before := range map[string]func(desired *release.Release){
		"it was there": func(*release.Release) {},
		"it came":      func(desired *release.Release) { desired.Accessories = desired.Accessories[1:] },
		"with its own host": func(desired *release.Release) {
			desired.Accessories, desired.Hosts = desired.Accessories[1:], slices.Delete(slices.Clone(desired.Hosts), 1, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				w.AddHost("h4")
				file := w.withQueue("redis:7")
				file.Hosts = slices.Insert(slices.Clone(file.Hosts), 1, release.Host{Name: "h4", Address: "h4", SSH: file.SSH})
				file.Accessories[0].Hosts, file.Accessories[0].OnChange = []string{"h4"}, release.OnChangePlan
				held := file
				before(&held)
				w.mustApply(held)
				file.Accessories[0].Image = ours + "redis:8"
				w.using(func(c *reconcile.Controller) {
					if report, err := c.BootAccessories(t.Context(), file, []string{"redis"}, nil, true); err != nil {
						t.Fatalf("%+v %v\n%s", report, err, w.progress())
					}
					if survey, err := c.Survey(t.Context(), file, reconcile.Options{}); err != nil || !survey.Same {
						t.Errorf("the same: %t %v", survey.Same, err)
					}
				})
			})
		})
	}
}

// One that is healthy long before another fails comes back with it, whoever ends the run.
func TestOneFailedRebootBringsAllOldOnesBack(t *testing.T) {
	for name, after := range map[string]time.Duration{"it fails": time.Hour, "it is interrupted": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				w.mustApply(w.withQueue("redis:7"))
				before := w.extras()
				id, desired := w.redisID(), w.withQueue("redis:8")
				desired.Accessories[1].Health = &release.Health{TCP: 9999, Interval: time.Second, Timeout: time.Second} // nobody listens there
				ctx, end := context.WithTimeout(t.Context(), after)
				defer end()
				w.using(func(c *reconcile.Controller) {
					report, err := c.BootAccessories(ctx, desired, []string{"redis", "queue"}, nil, true)
					if err == nil || !report.Undone || len(report.Left) > 0 {
						t.Errorf("%+v %v", report, err)
					}
				})
				if w.redis() != "redis:7" || w.redisID() != id || !slices.Equal(w.extras(), before) {
					t.Errorf("it is %q beside %v\n%s", w.redis(), w.extras(), w.progress())
				}
				w.mustBeEmpty(w.withQueue("redis:7"))
			})
		})
	}
}

// Halting leaves a failed release to be looked at; whoever makes a database anew gets the old one back.
func TestAFailedRebootBringsTheOldOneBackWhateverHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.cache("redis:9", sim.Exits(1, time.Second))
		w.mustApply(w.withRedis("v1", "redis:7"))
		id, desired := w.redisID(), w.withRedis("v1", "redis:9")
		desired.Rollout.Halt = true
		w.using(func(c *reconcile.Controller) {
			if report, err := c.BootAccessories(t.Context(), desired, theRedis, nil, true); err == nil || !report.Undone {
				t.Errorf("%+v %v", report, err)
			}
		})
		if w.redis() != "redis:7" || w.redisID() != id {
			t.Errorf("it is %q\n%s", w.redis(), w.progress())
		}
	})
}

// A note of a stop that was not done would keep healing from starting what ends later.
func TestAStopThatFailedIsNotedOnlyWhereItRunsNoMore(t *testing.T) {
	for name, method := range map[string]string{"the stop": "Engine.Stop", "its route": "Proxy.Stop"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.behindProxy("v1", "redis:7")
				w.mustApply(desired)
				w.Before(func(c sim.Call) error {
					if c.Method == method && c.Host == "h3" {
						return sim.ErrFault
					}
					return nil
				})
				w.using(func(c *reconcile.Controller) {
					if done, err := c.StopAccessories(t.Context(), desired, theRedis, nil, "a dump"); err == nil {
						t.Errorf("it was stopped: %s", toldBy(done))
					}
				})
				w.ClearHooks()
				if got := w.redis(); got != "redis:7" {
					t.Fatalf("it is %q", got)
				}
				w.RemoveContainer("h3", "shop-redis")
				w.healed(desired)
				if got := w.redis(); got != "redis:7" {
					t.Errorf("after healing it is %q\n%s", got, w.progress())
				}
			})
		})
	}
}

func TestAnUnknownAccessoryIsAnErrorWithTheOptions(t *testing.T) {
	desired := (&world{t: t}).withRedis("v1", "redis:7")
	if _, err := reconcile.AccessoryNames(desired, "rediss"); err == nil || !strings.Contains(err.Error(), "redis and all") || !strings.Contains(err.Error(), "Did you mean") {
		t.Errorf("%v", err)
	}
	if names, err := reconcile.AccessoryNames(desired, "all"); err != nil || fmt.Sprint(names) != "[redis]" {
		t.Errorf("%v %v", names, err)
	}
}

func TestAnAccessoryThatLeftTheFileGoesAndItsDataStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.mustApply(w.withRedis("v1", "redis:7"))
		w.WriteFile("h3", "shop-redis/data/dump.rdb", []byte("data"))
		desired := w.release("v1")
		planned := w.planned(desired, reconcile.Options{})
		i := slices.IndexFunc(planned.Plan.Items, func(i plan.Item) bool { return i.Role == "accessory/redis" })
		if i < 0 || planned.Plan.Items[i].Risk != plan.Destructive || !strings.Contains(planned.Plan.Items[i].Reason, "redis-sockets") || !strings.Contains(planned.Plan.Items[i].Reason, "shop-redis/data") {
			t.Fatalf("the plan is %+v", planned.Plan.Items)
		}
		w.healed(desired)
		if w.redis() != "redis:7" {
			t.Error("healing has taken it away")
		}
		w.mustApply(desired)
		if data, _ := w.File("h3", "shop-redis/data/dump.rdb"); w.redis() != "" || string(data) != "data" {
			t.Errorf("it is %q, and its data %q", w.redis(), data)
		}
	})
}

func TestAHostOfAnAccessoryAloneIsEmptiedWhenItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.AddHost("h4")
		desired := w.withRedis("v1", "redis:7")
		desired.Hosts = append(desired.Hosts, release.Host{Name: "h4", Address: "h4", SSH: desired.SSH})
		desired.Accessories[0].Hosts = []string{"h4"}
		w.mustApply(desired)
		runs := func() (n int) {
			for _, c := range w.Containers("h4", state.View{}) {
				if c.Name == "shop-redis" && c.Running() {
					n++
				}
			}
			return n
		}
		if runs() != 1 {
			t.Fatalf("it does not run on h4\n%s", w.progress())
		}
		if _, ok := w.File("h4", ".kamal/apps/shop/kamald/releases/1.json"); !ok {
			t.Error("h4 has no record")
		}
		w.RemoveContainer("h4", "shop-redis")
		w.healed(desired)
		if runs() != 1 {
			t.Error("healing has not brought it back")
		}
		w.mustApply(w.withRedis("v1", "redis:7")) // it moves to h3, and h4 leaves
		if runs() != 0 || w.redis() != "redis:7" {
			t.Errorf("%d run on h4, and h3 has %q\n%s", runs(), w.redis(), w.progress())
		}
	})
}

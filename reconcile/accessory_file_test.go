package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

const redisConf = "shop-redis/etc/redis.conf"

// An engine that starts a container without its file makes a directory in its place: the host is seen all the same, and an apply puts
// the file there.
func TestADirectoryInTheFilesPlaceIsSeenAndMended(t *testing.T) {
	for name, stopped := range map[string]bool{"it runs": false, "it has ended": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				w.mustApply(desired)
				w.RemoveFile("h3", redisConf)
				w.MakeDir("h3", redisConf)
				if stopped {
					w.StopContainer("h3", "shop-redis")
					desired.Accessories[0].OnChange = release.OnChangePlan
				}
				p := w.planned(desired, reconcile.Options{}).Plan
				if len(p.Unreachable) > 0 || !slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Role == "accessory/redis" && i.Host == "h3" }) {
					t.Fatalf("%+v\n%+v", p.Unreachable, p.Items)
				}
				w.mustApply(desired)
				if data, _ := w.File("h3", redisConf); w.redis() != "redis:7" || string(data) != "requirepass "+canary+"\n" {
					t.Errorf("%q, with %q\n%s", w.redis(), data, w.progress())
				}
				w.mustBeEmpty(desired)
			})
		})
	}
}

// What somebody keeps in such a directory is not thrown away.
func TestADirectoryThatHoldsSomethingStaysInTheFilesPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.RemoveFile("h3", redisConf)
		w.WriteFile("h3", redisConf+"/notes", []byte("mine"))
		if _, err := w.apply(t.Context(), desired); err == nil || !strings.Contains(err.Error(), "a directory lies there, with notes in it") {
			t.Errorf("%v", err)
		}
		if data, _ := w.File("h3", redisConf+"/notes"); string(data) != "mine" || w.redis() != "redis:7" {
			t.Errorf("%q, beside %q", data, w.redis())
		}
	})
}

// A container's user may take a file for itself: what cannot be read is taken for what was put there.
func TestAFileThatTheUserMayNotReadIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.Deny("h3", redisConf)
		planned := w.planned(desired, reconcile.Options{})
		if len(planned.Plan.Unreachable) > 0 || !planned.Plan.Empty() || len(planned.Plan.Items) > 0 {
			t.Errorf("%+v\n%+v", planned.Plan.Unreachable, planned.Plan.Items)
		}
		w.mustApply(desired)
	})
}

// No command starts a container without its files: its engine would make directories in their place.
func TestAnAccessoryIsNotStartedWithoutItsFiles(t *testing.T) {
	for name, gone := range map[string]func(w *world){
		"gone":        func(*world) {},
		"a directory": func(w *world) { w.MakeDir("h3", redisConf) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				w.mustApply(desired)
				w.RemoveFile("h3", redisConf)
				gone(w)
				refused := func(verb, runs string, do func(c *reconcile.Controller) (reconcile.Commanded, error)) {
					w.using(func(c *reconcile.Controller) {
						if done, err := do(c); err == nil || !strings.Contains(toldBy(done), redisConf+" is not there; `kamald accessory reboot redis` puts it there") {
							t.Errorf("%s: %v\n%s", verb, err, toldBy(done))
						}
					})
					if got := w.redis(); got != runs {
						t.Errorf("after %s it is %q", verb, got)
					}
				}
				refused("restart", "redis:7", func(c *reconcile.Controller) (reconcile.Commanded, error) {
					return c.RestartAccessories(t.Context(), desired, theRedis, nil)
				})
				w.StopContainer("h3", "shop-redis")
				refused("start", "redis:7 stopped", func(c *reconcile.Controller) (reconcile.Commanded, error) {
					return c.StartAccessories(t.Context(), desired, theRedis, nil)
				})
				w.using(func(c *reconcile.Controller) {
					if report, err := c.BootAccessories(t.Context(), desired, theRedis, nil, true); err != nil || w.redis() != "redis:7" {
						t.Errorf("a reboot: %+v %v", report, err)
					}
				})
			})
		})
	}
}

// Which of its mounts are files a container says: what the file has become since waits for a reboot, and keeps none from starting.
func TestAnAccessoryStartsAsItWasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		a := &desired.Accessories[0]
		a.OnChange = release.OnChangePlan
		a.Files = append(slices.Clone(a.Files), release.Placed{Path: "./shop-redis/data", To: "/data", Mode: "0644", Content: []release.Part{{Text: "x"}}})
		a.Directories = nil
		w.accessories(func(c *reconcile.Controller) (reconcile.Commanded, error) {
			return c.RestartAccessories(t.Context(), desired, theRedis, nil)
		})
		if w.redis() != "redis:7" {
			t.Errorf("it is %q", w.redis())
		}
	})
}

func TestWhatDetailsSayOfAnAccessoryIsWhatAnApplyDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		w.mustApply(w.withRedis("v1", "redis:7"))
		w.using(func(c *reconcile.Controller) {
			list, err := c.Accessories(t.Context(), w.withRedis("v1", "redis:8"), theRedis, nil)
			if err != nil || len(list) != 1 || len(list[0].Notes) == 0 || strings.Contains(strings.Join(list[0].Notes, "; "), "leaves what is there") {
				t.Errorf("the details are %+v %v", list, err)
			}
		})
	})
}

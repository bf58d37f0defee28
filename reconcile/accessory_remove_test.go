package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// toldBy gives all notes and deeds of a command, a line each.
func toldBy(done reconcile.Commanded) string {
	var b strings.Builder
	for _, one := range done.Done {
		fmt.Fprintf(&b, "%s %s: %s %s\n", one.Host, one.Role, one.Did+one.Error, strings.Join(one.Notes, "; "))
	}
	return b.String()
}

// other is a release of another service on the same hosts, with an accessory of its own beside the first one's, of the same image.
func (w *world) other() release.Release {
	beta := w.release("v2")
	beta.Destination = "beta"
	proxied := *beta.Roles[0].Proxy
	proxied.Options.Hosts, beta.Roles[0].Proxy = []string{"beta.example.com"}, &proxied
	beta.Hosts = slices.Delete(slices.Clone(beta.Hosts), 1, 2)
	beta.Roles[0].Hosts = []string{"h1"} // on h1 and h3
	a := redis("redis:7")
	a.Service, a.Volumes = "beta-redis", []string{"common:/common"}
	a.Files[0].Path, a.Directories[0].Path = "./beta-redis/etc/redis.conf", "./beta-redis/data"
	beta.Accessories = []release.Accessory{a}
	return beta
}

// besideRemains is all that there is of an accessory on h3: its container, files and secrets.
func (w *world) besideRemains(service, app string) (list []string) {
	for _, c := range w.Containers("h3", state.View{}) {
		if c.Service == service {
			list = append(list, c.Name+" "+c.ID+" "+string(c.Status))
		}
	}
	for _, name := range w.FileNames("h3") {
		if strings.Contains(name, "/"+service+"/") || strings.Contains(name, "/apps/"+app+"/env/accessories/") {
			list = append(list, "file "+name)
		}
	}
	return list
}

func TestARemovedServiceTakesItsAccessoriesWithItAndLeavesTheirData(t *testing.T) {
	for _, data := range []bool{false, true} {
		t.Run(fmt.Sprintf("with data %t", data), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				desired.Accessories[0].Volumes = []string{"redis-sockets:/run/redis", "common:/common"}
				gone := redis("redis:8") // of an accessory that is not in the file any more
				gone.Name, gone.Service = "queue", "shop-queue"
				gone.Files, gone.Directories, gone.Env, gone.Volumes = nil, nil, release.Env{}, []string{"queue-data:/data"}
				desired.Accessories = append(desired.Accessories, gone)
				w.mustApply(desired)
				w.mustApply(w.other())
				w.WriteFile("h3", "shop-redis/data/dump.rdb", []byte("data"))
				desired.Accessories = desired.Accessories[:1]
				others := w.besideRemains("beta-redis", "shop-beta")
				var done reconcile.Commanded
				remove := func() {
					w.using(func(c *reconcile.Controller) {
						var err error
						if done, err = c.RemoveService(t.Context(), desired, data); err != nil {
							t.Fatalf("%s\n%v", toldBy(done), err)
						}
					})
				}
				remove()
				if now := w.besideRemains("beta-redis", "shop-beta"); !slices.Equal(now, others) || len(now) < 3 {
					t.Errorf("the other had\n%v\nand has\n%v", others, now)
				}
				for _, service := range []string{"shop-redis", "shop-queue"} {
					for _, left := range w.besideRemains(service, "shop") {
						if data || !strings.Contains(left, "/shop-redis/data") {
							t.Errorf("%s is left", left)
						}
					}
				}
				if kept, _ := w.File("h3", "shop-redis/data/dump.rdb"); (string(kept) == "data") == data {
					t.Errorf("its data is %q", kept)
				}
				volumes := w.Volumes("h3")
				for volume, stays := range map[string]bool{"redis-sockets": !data, "queue-data": !data, "common": true} {
					if slices.Contains(volumes, volume) != stays {
						t.Errorf("volume %s: %v\n%s", volume, volumes, toldBy(done))
					}
				}
				if said := toldBy(done); !data && (!strings.Contains(said, "redis-sockets") || !strings.Contains(said, "/shop-redis/data") || !strings.Contains(said, "its data stays: volume queue-data")) ||
					data && !strings.Contains(said, "another container has the volume common: it stays") {
					t.Errorf("it says\n%s", said)
				}
				remove() // what is gone already is no failure
				w.mustBeEmpty(w.other())
			})
		})
	}
}

func TestSharedAccessoriesStayWhenAServiceIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Shared = true
		w.mustApply(desired)
		w.using(func(c *reconcile.Controller) {
			done, err := c.RemoveService(t.Context(), desired, true)
			if err != nil || !strings.Contains(toldBy(done), "the accessory redis stays: others may share it") {
				t.Errorf("%s\n%v", toldBy(done), err)
			}
		})
		if data, _ := w.File("h3", "shop-redis/etc/redis.conf"); w.redis() != "redis:7" || len(data) == 0 || !slices.Contains(w.Volumes("h3"), "redis-sockets") {
			t.Errorf("it is %q, with %q", w.redis(), data)
		}
	})
}

// The app may need its database until its last request has ended, on whichever host.
func TestAccessoriesEndAfterEveryRoleOfEveryHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Stop" && c.Host == "h2" {
				return sim.ErrFault
			}
			return nil
		})
		remove := func() (done reconcile.Commanded, err error) {
			w.using(func(c *reconcile.Controller) { done, err = c.RemoveService(t.Context(), desired, false) })
			return done, err
		}
		done, err := remove()
		if err == nil || w.redis() != "redis:7" || !strings.Contains(toldBy(done), "they may need it") {
			t.Fatalf("with a role that could not be ended it is %q: %v\n%s", w.redis(), err, toldBy(done))
		}
		w.ClearHooks()
		if done, err := remove(); err != nil || w.redis() != "" {
			t.Errorf("%v %q\n%s", err, w.redis(), toldBy(done))
		}
		log := w.progress()
		if last, first := strings.LastIndex(log, "done h2 remove/h2/web"), strings.LastIndex(log, "begin h3 remove/h3/shop-redis"); last < 0 || first < last {
			t.Errorf("the accessory went before the last role:\n%s", log)
		}
	})
}

func TestAnAccessorysVolumesGoWithItsDataWhereNothingElseHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Volumes = []string{"redis-sockets:/run/redis", "workers-data:/w", "by-hand:/h"}
		desired.Roles[1].Volumes = []string{"workers-data:/data"}
		w.mustApply(desired)
		w.RunContainer("h3", "by-hand", state.Spec{Image: ours + "redis:7", Volumes: []string{"by-hand:/data"}}, nil, nil)
		w.StopContainer("h3", "by-hand")
		var done reconcile.Commanded
		act := func(ctx context.Context, data bool) {
			w.using(func(c *reconcile.Controller) {
				var err error
				if done, err = c.RemoveAccessories(ctx, desired, []string{"redis"}, nil, data); err != nil {
					t.Fatal(err)
				}
			})
		}
		act(t.Context(), false)
		if volumes := w.Volumes("h3"); !slices.Contains(volumes, "redis-sockets") || !strings.Contains(toldBy(done), "volume redis-sockets stays") {
			t.Errorf("%v\n%s", volumes, toldBy(done))
		}
		act(t.Context(), true)
		volumes, said := w.Volumes("h3"), toldBy(done)
		if slices.Contains(volumes, "redis-sockets") || !slices.Contains(volumes, "workers-data") || !slices.Contains(volumes, "by-hand") {
			t.Errorf("left are %v", volumes)
		}
		for _, want := range []string{"workers has the volume workers-data, too: it stays", "another container has the volume by-hand: it stays", "removed the volumes redis-sockets"} {
			if !strings.Contains(said, want) {
				t.Errorf("nobody says %q:\n%s", want, said)
			}
		}
	})
}

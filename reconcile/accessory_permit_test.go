package reconcile_test

import (
	"io/fs"
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

// byHand changes permissions and the owner of a file on h3, as a person there would.
func (w *world) byHand(name string, mode fs.FileMode, user, group int) {
	w.t.Helper()
	conn, err := w.Connector().Connect(w.t.Context(), release.Host{Name: "h3", Address: "h3"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Files.Chmod(w.t.Context(), name, mode); err != nil {
		w.t.Fatal(err)
	}
	if err := conn.Files.Chown(w.t.Context(), name, user, group); err != nil {
		w.t.Fatal(err)
	}
}

func TestPermissionsOfAnAccessorysFilesAreSeenAndPutRight(t *testing.T) {
	const conf, data = "shop-redis/etc/redis.conf", "shop-redis/data"
	for name, mend := range map[string]func(w *world, desired release.Release){
		"by an apply": func(w *world, desired release.Release) { w.mustApply(desired) },
		"by healing":  func(w *world, desired release.Release) { w.healed(desired) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				desired.Accessories[0].OnChange = release.OnChangePlan
				w.mustApply(desired)
				w.mustBeEmpty(desired)
				id := w.redisID()
				w.byHand(conf, 0o666, 0, 0)
				w.byHand(data, 0o700, 999, 0)
				items := w.drift(desired)
				want := []plan.Field{{Path: "file /etc/redis.conf mode", Before: "0666", After: "0640"}, {Path: "file /etc/redis.conf owner", Before: "0:0", After: "999:999"},
					{Path: "file /data mode", Before: "0700", After: "0750"}, {Path: "file /data owner", Before: "999:0", After: "999:999"}}
				if len(items) != 1 || !slices.Equal(items[0].Fields, want) {
					t.Fatalf("the drift is %+v", items)
				}
				mend(w, desired)
				for _, one := range []struct {
					name string
					mode fs.FileMode
				}{{conf, 0o640}, {data, 0o750}} {
					if user, group := w.Owner("h3", one.name); w.Mode("h3", one.name) != one.mode || user != 999 || group != 999 {
						t.Errorf("%s is %o of %d:%d", one.name, w.Mode("h3", one.name), user, group)
					}
				}
				if content, _ := w.File("h3", conf); w.redisID() != id || w.redis() != "redis:7" || string(content) != "requirepass "+canary+"\n" {
					t.Errorf("another container runs, or another file lies there: %s\n%s", w.redis(), w.progress())
				}
				w.mustBeEmpty(desired)
			})
		})
	}
}

// They are asked for beside all else that needs no answer: an accessory makes a look no longer.
func TestPermissionsTakeNoFurtherRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		took := func(of release.Release) time.Duration {
			began := time.Now()
			w.using(func(c *reconcile.Controller) {
				if _, err := c.Look(t.Context(), of, nil, nil, false); err != nil {
					t.Fatal(err)
				}
			})
			return time.Since(began)
		}
		took(desired)
		without := desired
		without.Accessories = slices.Clone(desired.Accessories)
		without.Accessories[0].Files, without.Accessories[0].Directories = nil, nil
		if with, none := took(desired), took(without); with > none+none/4 {
			t.Errorf("a look takes %s with files, and %s without", with, none)
		}
	})
}

// A directory that nobody gives a mode keeps what its container's user wants, also when the accessory is made anew.
func TestADirectoryKeepsTheModeThatItsUserWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Directories[0].Mode = release.DirectoryMode
		w.mustApply(desired)
		w.byHand("shop-redis/data", 0o700, 999, 999)
		w.mustBeEmpty(desired)
		w.using(func(c *reconcile.Controller) {
			if _, err := c.BootAccessories(t.Context(), desired, []string{"redis"}, nil, true); err != nil {
				t.Fatal(err)
			}
		})
		if mode := w.Mode("h3", "shop-redis/data"); mode != 0o700 {
			t.Errorf("it is %o", mode)
		}
		for _, c := range w.Containers("h3", state.View{}) {
			if strings.HasPrefix(c.Name, "shop-redis_") {
				t.Errorf("%s is left", c.Name)
			}
		}
	})
}

// A database's user takes its directory for itself, and whoever is not root there cannot give it another mode.
func TestADirectoryThatItsUserHasTakenHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		desired.Accessories[0].Directories[0].Owner = ""
		w.mustApply(desired)
		w.byHand("shop-redis/data", 0o700, 999, 999)
		w.Before(func(c sim.Call) error {
			if c.Method == "Files.Chmod" && strings.HasSuffix(c.Args, "shop-redis/data") {
				return fs.ErrPermission
			}
			return nil
		})
		w.using(func(c *reconcile.Controller) {
			if _, err := c.BootAccessories(t.Context(), desired, []string{"redis"}, nil, true); err != nil {
				t.Error(err)
			}
		})
		next := w.withRedis("v2", "redis:7")
		next.Accessories = desired.Accessories
		if _, err := w.apply(t.Context(), next); err != nil {
			t.Error(err)
		}
		if said := w.progress(); !strings.Contains(said, "shop-redis/data belongs to another user there and keeps its mode") {
			t.Errorf("nobody says it:\n%s", said)
		}
		if p := w.planned(next, reconcile.Options{}).Plan; len(p.Items) != 1 || p.Items[0].Cause != plan.Drift {
			t.Errorf("it is not told: %+v", p.Items)
		}
	})
}

// What is made on the way to a file is for the SSH user alone: a directory of the accessory's is not.
func TestADirectoryWithAFileInItIsOpenToItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		a := &desired.Accessories[0]
		a.Files[0].Path, a.Files[0].To = "./shop-redis/data/etc/redis.conf", "/data/etc/redis.conf"
		etc := a.Directories[0]
		etc.Path, etc.To = "./shop-redis/data/etc", "/data/etc"
		a.Directories = append([]release.Placed{etc}, a.Directories...)
		for i := range a.Directories {
			a.Directories[i].Mode = release.DirectoryMode
		}
		w.mustApply(desired)
		for _, name := range []string{"shop-redis/data", "shop-redis/data/etc"} {
			if mode := w.Mode("h3", name); mode != 0o755 {
				t.Errorf("%s is %o", name, mode)
			}
		}
	})
}

// An engine makes a directory that is not there, for root: one that belongs to another is made before the container starts again.
func TestADirectoryThatIsGoneIsMadeBeforeTheContainerStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.StopContainer("h3", "shop-redis")
		w.RemoveFile("h3", "shop-redis/data")
		w.mustApply(desired)
		if user, group := w.Owner("h3", "shop-redis/data"); user != 999 || group != 999 || w.redis() != "redis:7" {
			t.Errorf("it belongs to %d:%d, and beside it is %q\n%s", user, group, w.redis(), w.progress())
		}
	})
}

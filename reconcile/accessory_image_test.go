package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// queue is a second accessory on h3.
func queue(image string) release.Accessory {
	a := redis(image)
	a.Name, a.Service, a.Files, a.Directories, a.Volumes = "queue", "shop-queue", nil, nil, nil
	return a
}

// What a new accessory would meet is found before anything begins, beside all else.
func TestWhatIsInTheWayOfAnAccessoryIsFoundBeforeAnythingBegins(t *testing.T) {
	publish := func(a *release.Accessory) { a.Options = map[string][]string{"publish": {"6379:3000"}} }
	for _, one := range []struct {
		name, want string
		trouble    func(w *world, desired *release.Release)
	}{
		{"no such image", "h3/accessory/redis: its image registry.example.com/redis:404 cannot be got there", func(_ *world, desired *release.Release) { desired.Accessories[0].Image = ours + "redis:404" }},
		{"a registry that does not know us", "h3/accessory/redis: its image registry.example.com/redis:7 cannot be got there", func(_ *world, desired *release.Release) {
			desired.Accessories[0].Registry = &release.Registry{Server: "registry.example.com", Username: "nobody", PasswordSecret: "TOKEN"}
		}},
		{"a port of another's container", "h3/accessory/redis: port 6379/tcp, which it publishes, is held there by the container by-hand", func(w *world, desired *release.Release) {
			publish(&desired.Accessories[0])
			w.foreign("h3", "by-hand", "6379:6379")
		}},
		{"a port of two that are made", "h3/accessory/queue: port 6379/tcp, which it publishes, is taken there by accessory redis too", func(_ *world, desired *release.Release) {
			desired.Accessories = append(desired.Accessories, queue("redis:7"))
			publish(&desired.Accessories[0])
			publish(&desired.Accessories[1])
		}},
		{"a port of another accessory", "h3/accessory/queue: port 6379/tcp, which it publishes, is held there by shop-redis, an accessory of this app", func(w *world, desired *release.Release) {
			publish(&desired.Accessories[0])
			w.mustApply(*desired)
			added := queue("redis:7")
			publish(&added)
			desired.Accessories = append(desired.Accessories, added)
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldWithRedis(t)
				desired := w.withRedis("v1", "redis:7")
				one.trouble(w, &desired)
				var err error
				w.untouched(func() { _, err = w.apply(t.Context(), desired) })
				if !errors.Is(err, reconcile.ErrProblems) || !strings.Contains(err.Error(), one.want) || !strings.Contains(err.Error(), "next: ") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A reboot pulls, so that it asks, too; what runs is left alone when there is nothing to be had.
func TestARebootIsNotBegunWithoutItsImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithRedis(t)
		desired := w.withRedis("v1", "redis:7")
		w.mustApply(desired)
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Manifest" {
				return errors.New("the registry is down")
			}
			return nil
		})
		w.untouched(func() {
			w.using(func(c *reconcile.Controller) {
				if _, err := c.BootAccessories(t.Context(), desired, []string{"redis"}, nil, true); !errors.Is(err, reconcile.ErrProblems) {
					t.Errorf("%v", err)
				}
			})
		})
		w.ClearHooks()
		time.Sleep(time.Second)
		w.mustBeEmpty(desired)
	})
}

package loop_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// breaches are what a kamald that has gone wrong might do: to shop, web on h1 and h2, workers on h3.
var breaches = []struct {
	name, invariant, says string
	deed                  func(p planter)
}{
	{"the target of a route is stopped", "I1", "takes away", func(p planter) {
		p.locked("h1", "a", func(c *reconcile.Connection) error {
			return c.Engine.Stop(p.t.Context(), "shop-web-v1", time.Second)
		})
	}},
	{"a route is taken away", "I1", "takes away", func(p planter) {
		p.locked("h2", "a", func(c *reconcile.Connection) error { return c.Proxy.Remove(p.t.Context(), "kamal-proxy", "shop-web") })
	}},
	{"a worker ends with no new primary", "I2", "before the barrier", func(p planter) {
		p.locked("h3", "a", func(c *reconcile.Connection) error { return c.Engine.Remove(p.t.Context(), "shop-workers-v1") })
	}},
	{"latest moves to what runs nowhere", "I3", "is not well there", func(p planter) {
		p.Place("h1", sim.Image{Ref: repository + ":v2"})
		p.locked("h1", "a", func(c *reconcile.Connection) error {
			return c.Engine.Tag(p.t.Context(), repository+":v2", repository+":latest")
		})
	}},
	{"something is done without the lock", "I5", "without the lock", func(p planter) {
		p.as("a", "h1", func(c *reconcile.Connection) error { return c.Engine.Start(p.t.Context(), "shop-web-v1") })
	}},
	{"two write under one lock", "I5", "under the lock of", func(p planter) {
		start := func(c *reconcile.Connection) error { return c.Engine.Start(p.t.Context(), "shop-web-v1") }
		p.locked("h1", "a", start)
		p.as("b", "h1", start)
	}},
	{"something is done when the lease has passed", "I5", "last renewal", func(p planter) {
		p.locked("h1", "a", func(c *reconcile.Connection) error {
			time.Sleep(leaseOfLocks + time.Second)
			return c.Engine.Start(p.t.Context(), "shop-web-v1")
		})
	}},
	{"what nobody labelled is removed", "I8", "touches by-hand", func(p planter) {
		p.locked("h1", "a", func(c *reconcile.Connection) error { return c.Engine.Remove(p.t.Context(), "by-hand") })
	}},
	{"another destination's container is stopped", "I8", "touches shop-web-beta-v1", func(p planter) {
		p.locked("h2", "a", func(c *reconcile.Connection) error {
			return c.Engine.Stop(p.t.Context(), "shop-web-beta-v1", time.Second)
		})
	}},
	{"another's tag moves", "I8", "another's tag", func(p planter) {
		p.locked("h1", "a", func(c *reconcile.Connection) error { return c.Engine.RemoveImage(p.t.Context(), "other/thing:1") })
	}},
	{"another's route is taken", "I8", "another's route", func(p planter) {
		p.locked("h1", "a", func(c *reconcile.Connection) error {
			return c.Proxy.Remove(p.t.Context(), "kamal-proxy", "shop-web-beta")
		})
	}},
	{"another destination's file is written", "I8", "another's file", func(p planter) {
		p.as("a", "h1", func(c *reconcile.Connection) error {
			return c.Files.Write(p.t.Context(), ".kamal/apps/shop-beta/kamald/fence", nil, 0o600)
		})
	}},
	{"another destination's lock is taken away", "I8", "another's file", func(p planter) {
		p.as("a", "h1", func(c *reconcile.Connection) error { return c.Files.Mkdir(p.t.Context(), ".kamal/lock-shop-beta") })
	}},
	{"what stood beside is gone", "I8", "was", func(p planter) { p.RemoveContainer("h1", "by-hand") }},
}

// planter does things to servers as somebody.
type planter struct{ *world }

func (p planter) as(who, host string, deed func(c *reconcile.Connection) error) {
	p.t.Helper()
	conn, err := connector{p.Connector().As(who)}.Connect(p.t.Context(), release.Host{Name: host, Address: host})
	if err != nil {
		p.t.Fatal(err)
	}
	_ = deed(conn) // what comes of it is no matter: it was begun
}

// locked is as, under the host's lock.
func (p planter) locked(host, who string, deed func(c *reconcile.Connection) error) {
	p.t.Helper()
	p.as(who, host, func(c *reconcile.Connection) error {
		text := base64.StdEncoding.EncodeToString([]byte("Locked by: " + who + " at 2000-01-01T00:00:00Z\nNonce: " + who + "\n"))
		if err := c.Files.Write(context.WithoutCancel(p.t.Context()), ".kamal/lock-shop/details", []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
		return deed(c)
	})
}

// The checker of the soak finds what is planted, and nothing before that.
func TestTheCheckerOfTheSoakFindsEveryBreachThatIsPlanted(t *testing.T) {
	for _, b := range breaches {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t).deployed("v1")
				held := check(t, w.World, desired("v1"))
				time.Sleep(time.Minute)
				for _, host := range w.Hosts() {
					w.MakeDir(host, ".kamal/lock-shop")
				}
				if found := held.done(); len(found) > 0 {
					t.Fatalf("before: %q", found)
				}
				b.deed(planter{w})
				for _, breach := range held.done() {
					if strings.Contains(breach, " "+b.invariant+" ") && strings.Contains(breach, b.says) {
						return
					}
				}
				t.Errorf("it was not found among %q", held.found)
			})
		})
	}
}

// And it has no word to say of a release that goes well, of one that fails, of a rollback and of a repair.
func TestTheCheckerOfTheSoakHasNothingToSayOfWhatIsAsItShouldBe(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1")
		held := check(t, w.World, desired("v1"))
		w.start().settle()
		w.push("bad", sim.Exits(1, time.Second))
		for _, version := range []string{"v2", "bad", "v3"} {
			w.propose(version)
			w.pass(3 * time.Minute)
		}
		w.want(all("v3"))
		w.RemoveContainer("h1", "shop-web-v3")
		w.pass(time.Minute)
		w.want(all("v3"))
		w.order(loopRollback())
		w.want(all("v2"))
		held.judge()
	})
}

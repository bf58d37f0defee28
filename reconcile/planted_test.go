package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// call lets a run of kamald that wants a version do something of its own choice on a host.
func (h *history) call(host, version string, deed func(c *reconcile.Connection) error) *command {
	return h.run("planted", h.release(version), func(*reconcile.Controller) (reconcile.Report, error) {
		conn, err := connector{h.Connector().As(h.commands[len(h.commands)-1].name)}.Connect(h.t.Context(), release.Host{Name: host, Address: host})
		if err != nil {
			return reconcile.Report{}, err
		}
		return reconcile.Report{}, deed(conn)
	})
}

// planted are breaches of the invariants, by a kamald that has gone wrong; v1, v2 and v3 were released one after another.
var planted = []struct {
	name, invariant, says string
	deed                  func(h *history)
}{
	{"the target of a route is stopped", "I1", "takes away", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Engine.Stop(h.t.Context(), "shop-web-v3", time.Second)
		})
	}},
	{"a route is taken away", "I1", "takes away", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error { return c.Proxy.Remove(h.t.Context(), "kamal-proxy", "shop-web") })
	}},
	{"requests meet nobody", "I1", "a request", func(h *history) {
		h.run("planted", h.release("v4"), func(*reconcile.Controller) (reconcile.Report, error) {
			h.RemoveRoute("h2", "shop-web")
			time.Sleep(time.Second)
			return reconcile.Report{}, nil
		})
	}},
	{"a worker stops before any new primary is healthy", "I2", "before the barrier", func(h *history) {
		h.call("h3", "v4", func(c *reconcile.Connection) error {
			return c.Engine.Stop(h.t.Context(), "shop-workers-v3", time.Second)
		})
	}},
	{"a worker is killed before any primary has the new configuration", "I2", "before the barrier", func(h *history) {
		desired := h.release("v3")
		for i := range desired.Roles {
			desired.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": "debug"}
		}
		h.run("planted", desired, func(*reconcile.Controller) (reconcile.Report, error) {
			conn, err := connector{h.Connector().As(h.commands[len(h.commands)-1].name)}.Connect(h.t.Context(), desired.Hosts[2])
			if err != nil {
				return reconcile.Report{}, err
			}
			return reconcile.Report{}, conn.Engine.Remove(h.t.Context(), "shop-workers-v3")
		})
	}},
	{"latest moves before the others are healthy", "I3", "is not healthy there", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Engine.Tag(h.t.Context(), repository+":v2", repository+":latest")
		})
	}},
	{"a failed release leaves a role without its container", "I4", "after a failure", func(h *history) {
		h.run("planted", h.release("v4"), func(*reconcile.Controller) (reconcile.Report, error) {
			h.StopContainer("h3", "shop-workers-v3")
			return reconcile.Report{}, errors.New("it failed")
		})
	}},
	{"a failed release moves latest", "I4", "after a failure", func(h *history) {
		h.call("h3", "v4", func(c *reconcile.Connection) error {
			_ = c.Engine.Tag(h.t.Context(), repository+":v2", repository+":latest")
			return errors.New("it failed")
		})
	}},
	{"two releases with one number", "I5", "release 3 of shop is", func(h *history) {
		h.WriteFile("h2", ".kamal/apps/shop/kamald/releases/3.json", []byte(`{"number": 3, "version": "v4"}`))
	}},
	{"two writers at once", "I5", "write at once", func(h *history) {
		h.run("one", h.release("v4"), func(*reconcile.Controller) (reconcile.Report, error) {
			mine := h.commands[len(h.commands)-1]
			mine.calls = append(mine.calls, began{"h1", "Engine.Start", time.Now(), 0})
			time.Sleep(time.Second)
			h.run("two", h.release("v4"), func(*reconcile.Controller) (reconcile.Report, error) {
				other := h.commands[len(h.commands)-1]
				other.calls = append(other.calls, began{"h1", "Engine.Start", time.Now(), 0})
				return reconcile.Report{}, nil
			})
			time.Sleep(time.Second)
			mine.calls = append(mine.calls, began{"h1", "Engine.Stop", time.Now(), 1})
			return reconcile.Report{}, nil
		})
	}},
	{"a call begins when the lease has passed", "I5", "last renewal", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			_ = c.Files.Mkdir(h.t.Context(), ".kamal/lock-shop")
			time.Sleep(2 * lease)
			mine := h.commands[len(h.commands)-1]
			mine.calls = append(mine.calls, began{"h1", "Engine.Start", time.Now(), 0})
			return c.Engine.Start(h.t.Context(), "shop-web-v3")
		})
	}},
	{"a secret in an event", "I6", "the store", func(h *history) {
		_ = h.desk.of(state.App{Service: "shop"}).Append(state.App{}, state.Event{Message: "TOKEN=" + canary})
	}},
	{"a secret in a host's log", "I6", "the file", func(h *history) { h.WriteFile("h1", ".kamal/shop-audit.log", []byte(canary)) }},
	{"a secret in an error", "I6", "an error", func(h *history) {
		h.call("h1", "v3", func(*reconcile.Connection) error { return errors.New("cannot use " + canary) })
	}},
	{"a secret in a call", "I6", "a call", func(h *history) {
		h.call("h1", "v3", func(c *reconcile.Connection) error { return c.Files.Write(h.t.Context(), "/tmp/"+canary, nil, 0o600) })
	}},
	{"a plan that never ends", "I7", "is not empty", func(h *history) { h.find(h.planIsEmpty(h.release("v4"), "after an apply")...) }},
	{"what nobody labelled is removed", "I8", "touches", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error { return c.Engine.Remove(h.t.Context(), "by-hand") })
	}},
	{"another destination's container is stopped", "I8", "touches", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Engine.Stop(h.t.Context(), "shop-web-beta-v1", time.Second)
		})
	}},
	{"another destination's latest moves", "I8", "moves a tag", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Engine.Tag(h.t.Context(), repository+":v2", repository+":latest-beta")
		})
	}},
	{"the route of another destination is taken away", "I8", "takes a route", func(h *history) {
		h.must(h.destination("staging", "v3"))
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Proxy.Remove(h.t.Context(), "kamal-proxy", "shop-web-staging")
		})
	}},
	{"an image of another destination is removed", "I8", "another destination keeps", func(h *history) {
		h.must(h.destination("staging", "v5"))
		h.call("h1", "v4", func(c *reconcile.Connection) error { return c.Engine.RemoveImage(h.t.Context(), repository+":v5") })
	}},
	{"a file of another destination is written", "I8", "writes a file", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error {
			return c.Files.Write(h.t.Context(), ".kamal/apps/shop-staging/kamald/fence", nil, 0o600)
		})
	}},
	{"what stood beside is gone", "I8", "was", func(h *history) { h.RemoveContainer("h1", "by-hand") }},
	{"a host that could not be observed is touched", "I9", "is called there", func(h *history) {
		c := h.call("h1", "v4", func(*reconcile.Connection) error { return nil })
		c.report.Plan.Unreachable = []plan.Skipped{{Host: "h1"}}
		c.calls = []began{{"h1", "Engine.Start", time.Now(), 0}}
		h.check(c)
	}},
	{"a host that could not be observed is not named", "I9", "nobody says so", func(h *history) {
		c := h.call("h1", "v4", func(*reconcile.Connection) error { return nil })
		c.report.Plan.Unreachable = []plan.Skipped{{Host: "h1"}}
		h.check(c)
	}},
	{"a change that the store knows nothing of", "I10", "nothing about it", func(h *history) {
		h.call("h1", "v4", func(c *reconcile.Connection) error { return c.Engine.Start(h.t.Context(), "shop-web-v2") })
	}},
	{"a container to go back to is removed", "I11", "removes", func(h *history) {
		h.call("h1", "v3", func(c *reconcile.Connection) error { return c.Engine.Remove(h.t.Context(), "shop-web-v2") })
	}},
	{"an image to go back to is removed", "I11", "removes an image", func(h *history) {
		h.call("h1", "v3", func(c *reconcile.Connection) error { return c.Engine.RemoveImage(h.t.Context(), repository+":v1") })
	}},
}

func TestTheCheckerFindsEveryBreachThatIsPlanted(t *testing.T) {
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := observed(newWorld(t, 1))
				h.beside("h1", "by-hand", nil)
				h.beside("h1", "shop-web-beta-v1", map[string]string{"service": "shop", "role": "web", "destination": "beta"})
				ran("v1", "v2", "v3")(h)
				h.find(h.wrapUp()...)
				if found := h.violations(); len(found) > 0 {
					t.Fatalf("before: %v", found)
				}
				p.deed(h)
				h.find(h.wrapUp()...)
				for _, v := range h.violations() {
					if strings.HasPrefix(v, p.invariant+" ") && strings.Contains(v, p.says) {
						return
					}
				}
				t.Errorf("it was not found among %q", h.violations())
			})
		})
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// byKamal is a server fleet that Kamal deployed a version on: no label and no record of kamald's.
func (w *world) byKamal(version string) {
	w.mustApply(w.release(version))
	for _, host := range w.Hosts() {
		w.RemoveFile(host, ".kamal/apps/shop/kamald")
		w.handMade(host, version)
	}
	w.store = &memory{}
}

// handMade replaces a host's containers by equal ones of a version that kamald did not make, and moves latest, as `kamal deploy` does.
func (w *world) handMade(host, version string) {
	spec := func(c state.Container) state.Spec {
		s := *c.Asked
		s.Image = repository + ":" + version
		s.Digest = ""
		return s
	}
	for _, c := range w.Containers(host, state.View{}) {
		if c.Role == "" || !c.Running() || c.Asked == nil {
			continue
		}
		made := spec(c)
		role := c.Role
		values := map[string]release.Secret{}
		for name := range made.Secrets {
			values[name] = release.NewSecret(canary)
		}
		w.RemoveContainer(host, c.Name)
		id := w.RunContainer(host, "shop-"+role+"-"+version, made, nil, values)
		for _, route := range w.Routes(host) {
			if route.Name == "shop-"+role {
				route.Targets = []string{state.ShortID(id) + ":3000"}
				w.SetRoute(host, route)
			}
		}
	}
	w.Retag(host, repository+":"+version, repository+":latest")
}

func (w *world) mustAdopt(version string) reconcile.Adopted {
	w.t.Helper()
	var adopted reconcile.Adopted
	w.using(func(c *reconcile.Controller) {
		runs, err := c.Runs(w.t.Context(), w.release("v6"))
		if err != nil || runs != version {
			w.t.Fatalf("runs %q: %v", runs, err)
		}
		if adopted, err = c.Adopt(w.t.Context(), w.release(runs), false); err != nil {
			w.t.Fatal(err)
		}
	})
	return adopted
}

func TestAHandsMoveIsReportedAndNeverPutBackUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		move func(w *world)
		runs string
	}{
		"latest by hand": {func(w *world) { w.Retag("h1", repository+":v1", repository+":latest") }, "v2"},
		"the old one started and the new one stopped": {func(w *world) {
			for host, role := range map[string]string{"h1": "web", "h2": "web", "h3": "workers"} {
				w.StartContainer(host, "shop-"+role+"-v1")
				w.StopContainer(host, "shop-"+role+"-v2")
			}
		}, "v1"},
		"a kamal deploy": {func(w *world) {
			for _, host := range w.Hosts() {
				w.Place(host, sim.Image{Ref: repository + ":v5", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v5"}})
				w.handMade(host, "v5")
			}
		}, "v5"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 404)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				c.move(w)
				before := w.versions()
				for _, version := range []string{"v2", "v3"} {
					if p := w.mustPlan(w.release(version)); !p.Empty() || len(p.Moved) == 0 || p.Waits == "" {
						t.Errorf("the plan of %s: %+v", version, p)
					}
					_, err := w.apply(t.Context(), w.release(version))
					var moved *reconcile.HandMovedError
					if !errors.As(err, &moved) || !strings.Contains(err.Error(), "kamald adopt") {
						t.Errorf("apply of %s: %v", version, err)
					}
				}
				w.using(func(c *reconcile.Controller) {
					drift, err := c.Drift(t.Context(), w.release("v2"), reconcile.Options{})
					if err != nil || len(drift.Plan.Moved) == 0 {
						t.Errorf("drift: %+v %v", drift.Plan.Moved, err)
					}
				})
				w.mustAdopt(c.runs)
				if got := w.versions(); got != before {
					t.Errorf("adopt changed %s to %s", before, got)
				}
				if p := w.mustPlan(w.release(c.runs)); len(p.Moved) > 0 {
					t.Errorf("after adopt: %+v", p.Moved)
				}
				w.mustBeHeld("v3")
				w.mustRelease("v3")
				w.mustBeEmpty(w.release("v3"))
			})
		})
	}
}

func TestAServerThatKamalDeployedIsAdoptedWithNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 405)
		w.byKamal("v1")
		if p := w.mustPlan(w.release("v1")); len(p.Moved) > 0 || p.Waits != "" {
			t.Errorf("a first plan: %+v", p)
		}
		adopted := w.mustAdopt("v1")
		if adopted.Release == 0 || adopted.Already {
			t.Errorf("adopted: %+v", adopted)
		}
		if again := w.mustAdopt("v1"); !again.Already {
			t.Errorf("again: %+v", again)
		}
		w.mustBeHeld("v2")
		w.mustResume()
		w.mustApply(w.release("v2"))
		w.mustRollBack(w.release("v2"))
		if got := w.versions(); got != allV1 {
			t.Errorf("after the rollback: %s", got)
		}
	})
}

func TestAnAdoptionThatIsKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	killedEverywhere(t, func(w *world) { w.byKamal("v1") }, func(c *reconcile.Controller, w *world) {
		_, _ = c.Adopt(w.t.Context(), w.release("v1"), false)
	}, func(w *world) {
		w.mustAdopt("v1")
		if got := w.versions(); got != allV1 {
			w.t.Errorf("runs: %s", got)
		}
		w.mustBeHeld("v2")
		w.mustRelease("v2") // takes over a lock that was left
	})
}

// A run that dies between the tag and the record has moved latest with no record: that is not a hand's move.
func TestARunThatIsKilledIsNoHandsMove(t *testing.T) {
	for name, back := range map[string]bool{"a release": false, "a rollback to a container that is still there": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 406)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.Before(func(c sim.Call) error {
					if c.Method == "Files.Write" && strings.Contains(c.Args, "/releases/3.json") {
						return sim.ErrFault
					}
					return nil
				})
				w.using(func(c *reconcile.Controller) {
					if back {
						_, _ = c.Rollback(ctx, w.release("v2"), reconcile.Back{}, reconcile.Options{})
					} else {
						_, _ = c.Apply(ctx, w.release("v3"), reconcile.Options{})
					}
				})
				w.ClearHooks()
				if p := w.mustPlan(w.release("v2")); len(p.Moved) > 0 || p.Waits != "" {
					t.Errorf("taken for a hand's move: %+v", p.Moved)
				}
				w.mustApply(w.release("v4"))
			})
		})
	}
}

// Nor when another run has come and failed since.
func TestARollbackThatIsKilledBeforeAFailureIsNoHandsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 411)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.Before(func(c sim.Call) error {
			if c.Method != "Engine.Tag" {
				return nil
			}
			w.Kill()
			return context.Canceled
		})
		w.using(func(c *reconcile.Controller) {
			_, _ = c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{})
		})
		w.ClearHooks()
		w.Revive()
		time.Sleep(time.Minute)
		w.image("v9", sim.Exits(1, 0))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil || w.versions() != allV1 {
			t.Fatalf("%s: %v", w.versions(), err)
		}
		w.mustApply(w.release("v2"))
	})
}

package reconcile_test

import (
	"errors"
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

// save plans a release and gives it as a file would.
func (w *world) save(desired release.Release) plan.Saved {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(w.t.Context(), desired, reconcile.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := c.SavePlan(planned, "test").Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(string(data), canary) {
		w.t.Error("the secret is in the saved plan")
	}
	saved, err := plan.ParseSaved(data, "test")
	if err != nil {
		w.t.Fatal(err)
	}
	return saved
}

// applySaved applies a saved plan in a run of its own.
func (w *world) applySaved(saved plan.Saved) (reconcile.Report, error) {
	c := w.controller()
	c.LockWait = false
	defer func() { _ = c.Close() }()
	return c.ApplySaved(w.t.Context(), saved, w.release("v6"))
}

func TestASavedPlanIsCarriedOutOnceAndThenRefusedEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 701)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		report, err := w.applySaved(saved)
		if err != nil || report.Outcome != state.OutcomeSucceeded || w.versions() != allV2 {
			t.Fatalf("%s %+v %v", w.versions(), report, err)
		}
		w.mustBeEmpty(w.release("v2"))
		if w.store.releases[2].Plan != saved.Nonce || w.store.plans[len(w.store.plans)-1].Nonce != saved.Nonce {
			t.Errorf("the nonce %s is not recorded: %+v", saved.Nonce, w.store.releases[2])
		}
		var used *reconcile.UsedError
		if _, err := w.applySaved(saved); !errors.As(err, &used) {
			t.Errorf("a second time from here: %v", err)
		}
		w.store = &memory{}
		if _, err := w.applySaved(saved); !errors.As(err, &used) || !strings.Contains(err.Error(), "release 2") {
			t.Errorf("a second time from elsewhere: %v", err)
		}
	})
}

// A plan that failed and was undone leaves the servers as they were; it is used all the same.
func TestASavedPlanThatFailedIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 702)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Exits(1, 0))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("v9 is broken")
		}
		saved := w.save(w.release("v9"))
		if _, err := w.applySaved(saved); err == nil || w.versions() != allV1 {
			t.Fatalf("%s %v", w.versions(), err)
		}
		w.store = &memory{}
		var used *reconcile.UsedError
		if _, err := w.applySaved(saved); !errors.As(err, &used) {
			t.Errorf("a second time from elsewhere: %v", err)
		}
		w.noLocks(0)
	})
}

// moves are what a hand may do between plan and apply, and how it is named.
var moves = map[string]struct {
	do   func(w *world)
	says string
}{
	"stopped":  {func(w *world) { w.StopContainer("h3", "shop-workers-v2") }, "h3: container shop-workers-v2 was running, and has stopped"},
	"started":  {func(w *world) { w.StartContainer("h3", "shop-workers-v1") }, "h3: container shop-workers-v1 was exited, and runs now"},
	"removed":  {func(w *world) { w.RemoveContainer("h1", "shop-web-v2") }, "h1: container shop-web-v2 was removed"},
	"renamed":  {func(w *world) { w.RenameContainer("h1", "shop-web-v2", "other") }, "h1: container shop-web-v2 was renamed to other"},
	"memory":   {func(w *world) { w.UpdateMemory("h3", "shop-workers-v2", "33554432") }, "h3: container shop-workers-v2: option memory was (none) and is 32m"},
	"detached": {func(w *world) { w.DetachNetwork("h1", "shop-web-v2", "kamal") }, "h1: container shop-web-v2 was detached from network kamal"},
	"latest":   {func(w *world) { w.Retag("h2", repository+":v1", repository+":latest") }, "h2: image tag latest moved from v2 to v1"},
	"unrouted": {func(w *world) { w.RemoveRoute("h1", "shop-web") }, "h1: route shop-web was taken away"},
	"rerouted": {func(w *world) { w.reroute("h1", "shop-web-v1") }, "h1: route shop-web went to shop-web-v2 ("},
	"secrets":  {func(w *world) { w.WriteFile("h1", ".kamal/apps/shop/env/roles/web.env", []byte("TOKEN=other\n")) }, "h1: secret TOKEN of web changed"},
	"cut off":  {func(w *world) { w.Cut("h2") }, "h2: it cannot be observed now: "},
	"made": {func(w *world) {
		w.RunContainer("h1", "shop-web-x", state.Spec{Image: repository + ":v1"}, w.labels("web"), nil)
	}, "h1: container shop-web-x was made by something else than kamald, and runs now"},
	"released": {func(w *world) { w.mustApply(w.release("v3")) }, "in between there was release 3 (release of version v3) by"},
	"cordoned": {func(w *world) { w.cordon("h2", time.Time{}) }, "h2: it cannot be observed now: cordoned by"},
	"locked":   {func(w *world) { w.WriteFile("h1", lockDetails, lockOf("ann")) }, ""},
}

func (w *world) labels(role string) map[string]string {
	return map[string]string{state.LabelService: "shop", state.LabelRole: role, state.LabelDestination: ""}
}

// reroute lets the proxy of a host send a role's requests to another container.
func (w *world) reroute(host, container string) {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Name == container {
			options := w.release("v1").Roles[0].Proxy.Options
			w.SetRoute(host, state.Route{Name: "shop-web", Targets: []string{c.ShortID() + ":3000"}, Options: options})
		}
	}
}

func TestAStalePlanIsRefusedAndSaysWhatMoved(t *testing.T) {
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 703)
				w.mustApply(w.release("v1"))
				w.mustApply(w.release("v2"))
				saved := w.save(w.release("v4"))
				move.do(w)
				before := len(w.History())
				_, err := w.applySaved(saved)
				if name == "locked" {
					var locked *reconcile.LockedError
					if !errors.As(err, &locked) || locked.Lock.Owner == "" {
						t.Errorf("with another's lock: %v", err)
					}
					return
				}
				var stale *reconcile.StaleError
				if !errors.As(err, &stale) || !strings.Contains(err.Error(), move.says) {
					t.Fatalf("it does not say %q: %v", move.says, err)
				}
				if now := w.History(); len(now) > before {
					t.Errorf("the servers were changed: %v", now[before:])
				}
			})
		})
	}
}

// cordon leaves a host out.
func (w *world) cordon(host string, until time.Time) {
	w.using(func(c *reconcile.Controller) {
		if _, err := c.Cordon(w.t.Context(), w.release("v2"), host, "its disk is being changed", until); err != nil {
			w.t.Fatal(err)
		}
	})
}

// A plan that was made without a cordoned host is stale when the host takes part again, whatever ended its cordon.
func TestAPlanMadeWithoutACordonedHostIsStaleWhenItTakesPartAgain(t *testing.T) {
	for name, ends := range map[string]struct {
		do   func(w *world)
		says string
	}{
		"its time": {func(*world) { time.Sleep(2 * time.Hour) }, "h2: it is not cordoned any more, and the plan was made without it"},
		"somebody": {func(w *world) {
			w.using(func(c *reconcile.Controller) {
				if _, err := c.Uncordon(w.t.Context(), w.release("v2"), "h2"); err != nil {
					w.t.Fatal(err)
				}
			})
		}, "h1: h2 was uncordoned by"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 710)
				w.mustApply(w.release("v1"))
				w.cordon("h2", time.Now().Add(time.Hour))
				saved := w.save(w.release("v2"))
				ends.do(w)
				var stale *reconcile.StaleError
				if _, err := w.applySaved(saved); !errors.As(err, &stale) || !strings.Contains(err.Error(), ends.says) || w.versions() != allV1 {
					t.Errorf("%s, and it does not say %q: %v", w.versions(), ends.says, err)
				}
			})
		})
	}
}

// What moves between the first look and the lock is seen under the lock, which is given back.
func TestWhatMovesBeforeTheLockIsSeenUnderIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 704)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		w.After(func(c sim.Call) error {
			if c.Method == "Files.Mkdir" && c.Host == "h1" && strings.HasSuffix(c.Args, "lock-shop") {
				go w.StopContainer("h3", "shop-workers-v1")
			}
			return nil
		})
		var stale *reconcile.StaleError
		if _, err := w.applySaved(saved); !errors.As(err, &stale) || !strings.Contains(err.Error(), "shop-workers-v1") {
			t.Fatalf("%v", err)
		}
		w.ClearHooks()
		w.noLocks(0)
		if got := w.versions(); got != "h1/web=v1 h2/web=v1" {
			t.Errorf("after the refusal: %s", got)
		}
	})
}

func TestANeighboursReleaseMakesNoPlanStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 705)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		w.SetRoute("h1", state.Route{Name: "blog-web", Targets: []string{"0123456789ab:80"}, Options: state.RouteOptions{Hosts: []string{"blog.test"}}})
		if _, err := w.applySaved(saved); err != nil || w.versions() != allV2 {
			t.Errorf("%s %v", w.versions(), err)
		}
	})
}

func TestASavedPlanOfAnotherAppIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 706)
		saved := w.save(w.release("v1"))
		c := w.controller()
		defer func() { _ = c.Close() }()
		staging, blog := w.release("v1"), w.release("v1")
		staging.Destination, blog.Service = "staging", "blog"
		for says, other := range map[string]release.Release{"this is shop, destination staging": staging, "this is blog without a destination": blog} {
			if _, err := c.ApplySaved(t.Context(), saved, other); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("it does not say %q: %v", says, err)
			}
		}
		if w.versions() != "" {
			t.Errorf("something runs: %s", w.versions())
		}
	})
}

func TestASavedPlanWithProblemsIsNotAppliedAndAnEmptyOneIsNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 707)
		w.mustApply(w.release("v1"))
		before := len(w.History())
		if report, err := w.applySaved(w.save(w.release("v1"))); err != nil || report.Kind != plan.KindNone || len(report.Rows) != 3 {
			t.Errorf("an empty one: %+v %v", report, err)
		}
		w.Cut("h2")
		if _, err := w.applySaved(w.save(w.release("v2"))); !errors.Is(err, reconcile.ErrProblems) {
			t.Errorf("one with problems: %v", err)
		}
		if len(w.History()) > before {
			t.Error("the servers were changed")
		}
	})
}

// The steps are the file's own: what deploy.hcl says now does not matter.
func TestASavedPlanReleasesWhatItSaysAndNotTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 708)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		c := w.controller()
		defer func() { _ = c.Close() }()
		now := w.release("v5")
		now.Roles = now.Roles[:1]
		if _, err := c.ApplySaved(t.Context(), saved, now); err != nil || w.versions() != allV2 {
			t.Errorf("%s %v", w.versions(), err)
		}
	})
}

func TestASavedPlanWithOtherSecretsAtHandIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 709)
		w.mustApply(w.release("v1"))
		with := func(token string) *reconcile.Controller {
			at := secrets{"TOKEN": token, "REGISTRY_PASSWORD": "registry-password"}
			if token == "" {
				delete(at, "TOKEN")
			}
			return reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, at)
		}
		planner := with("rotated")
		defer func() { _ = planner.Close() }()
		planned, err := planner.Plan(t.Context(), w.release("v2"), reconcile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		saved := planner.SavePlan(planned, "test")
		for token, says := range map[string]string{"": "which is not at hand here", "another": "is another than the plan pushes"} {
			c := with(token)
			if _, err := c.ApplySaved(t.Context(), saved, w.release("v2")); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("it does not say %q: %v", says, err)
			}
			_ = c.Close()
		}
		c := with("rotated")
		defer func() { _ = c.Close() }()
		if _, err := c.ApplySaved(t.Context(), saved, w.release("v2")); err != nil || w.versions() != allV2 {
			t.Errorf("with the same: %s %v", w.versions(), err)
		}
	})
}

func TestASavedPlanWithProblemsNamesTheHostsThatCouldNotBeSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 731)
		w.mustApply(w.release("v1"))
		w.Cut("h1")
		w.Cut("h2")
		report, err := w.applySaved(w.save(w.release("v2")))
		if err == nil || len(report.Skipped) != 2 {
			t.Errorf("%+v %v", report.Skipped, err)
		}
	})
}

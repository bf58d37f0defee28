package reconcile_test

import (
	"errors"
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

// policy is the desired release with a range in place of a version.
func (w *world) policy(semver string) release.Release {
	desired := w.release("")
	desired.VersionPolicy = &release.VersionPolicy{Semver: semver}
	return desired
}

// runs wants one version everywhere.
func (w *world) runs(version string) {
	w.t.Helper()
	if got, want := w.versions(), fmt.Sprintf("h1/web=%[1]s h2/web=%[1]s h3/workers=%[1]s", version); got != want {
		w.t.Errorf("%s runs, want %s\n%s", got, want, w.progress())
	}
}

// asked counts the questions for tags, and has none of them answered where that is wanted.
func (w *world) asked(fails error) *int {
	n := 0
	w.Before(func(c sim.Call) error {
		if c.Method != "Registry.Tags" {
			return nil
		}
		n++
		return fails
	})
	return &n
}

func TestAPolicyReleasesTheNewestAndNeverABrokenOneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 611)
		desired := w.policy("~> 1.0")
		w.image("1.0.0", sim.Healthy(0))
		w.image("1.1.0", sim.Healthy(0))
		w.image("2.0.0", sim.Healthy(0))
		report := w.mustApply(desired)
		w.runs("1.1.0")
		if report.Version != "1.1.0" || report.VersionPolicy == nil || report.VersionPolicy.Fitting != 2 || report.VersionPolicy.Tags != 9 {
			t.Errorf("%q %+v", report.Version, report.VersionPolicy)
		}
		w.image("1.2.0", sim.Exits(1, 0))
		if _, err := w.apply(t.Context(), desired); err == nil {
			t.Fatal("a broken version was released")
		}
		w.runs("1.1.0")
		laptop := w.elsewhere() // it has seen nothing of the failure
		for name, from := range map[string]*world{"here": w, "from another machine": laptop} {
			p := from.mustPlan(desired)
			if !p.Empty() || p.Version != "1.1.0" || len(p.VersionPolicy.Quarantined) != 1 || p.VersionPolicy.Quarantined[0] != (plan.Quarantined{Version: "1.2.0", Release: 2}) {
				t.Errorf("%s: %+v of %+v", name, p.VersionPolicy, p.Steps)
			}
			if report := from.mustApply(desired); report.Kind != plan.KindNone {
				t.Errorf("%s: applied %+v", name, report)
			}
		}
		// Whoever gives the version asks again.
		given := desired
		given.Version = "1.2.0"
		if _, err := w.apply(t.Context(), given); err == nil || !strings.Contains(err.Error(), "is not healthy") {
			t.Errorf("it was not tried: %v", err)
		}
		w.image("1.2.1", sim.Healthy(0))
		w.mustApply(desired)
		w.runs("1.2.1")
		if seen := w.mustPlan(desired).VersionPolicy; len(seen.Quarantined) != 0 {
			t.Errorf("what is older is of no interest: %+v", seen)
		}
		w.noLocks(0)
	})
}

func TestAFailureOfTheServersQuarantinesNothing(t *testing.T) {
	for name, fail := range map[string]func(w *world){
		"an engine that fails": func(w *world) {
			w.Before(func(c sim.Call) error {
				if c.Method == "Engine.Create" && c.Host == "h2" {
					return errors.New("the engine is ill")
				}
				return nil
			})
		},
		"a host that goes away while it is proven": func(w *world) {
			w.After(func(c sim.Call) error {
				if c.Method == "Engine.Start" && c.Host == "h1" {
					w.Cut("h1")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 612)
				desired := w.policy("~> 1.0")
				w.image("1.0.0", sim.Healthy(0))
				w.mustApply(desired)
				w.image("1.1.0", sim.Healthy(time.Second))
				fail(w)
				if _, err := w.apply(t.Context(), desired); err == nil {
					t.Fatal("nothing failed")
				}
				w.ClearHooks()
				for _, host := range w.Hosts() {
					w.Restore(host)
				}
				if p := w.mustPlan(desired); p.Version != "1.1.0" || len(p.VersionPolicy.Quarantined) != 0 {
					t.Errorf("%+v", p.VersionPolicy)
				}
			})
		})
	}
}

func TestARegistryThatDoesNotAnswerLeavesWhatIsHeld(t *testing.T) {
	for name, refuse := range map[string]error{"silent": errors.New("no route to the registry"), "refused": fmt.Errorf("wrong password: %w", state.ErrDenied)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 613)
				desired := w.policy("~> 1.0")
				w.image("1.0.0", sim.Healthy(0))
				asked := w.asked(refuse)
				var err error
				w.using(func(c *reconcile.Controller) { _, err = c.Plan(t.Context(), desired, reconcile.Options{}) })
				if err == nil || !strings.Contains(err.Error(), refuse.Error()) || !strings.Contains(err.Error(), "give a version with --version") {
					t.Errorf("with nothing held: %v", err)
				}
				if want := map[string]int{"silent": 3, "refused": 1}[name]; *asked != want {
					t.Errorf("%d hosts were asked, want %d", *asked, want)
				}
				w.ClearHooks()
				w.mustApply(desired)
				w.image("1.1.0", sim.Healthy(0))
				w.asked(refuse)
				w.RemoveContainer("h3", "shop-workers-1.0.0") // what is held is repaired all the same
				w.mustApply(desired)
				w.runs("1.0.0")
				if p := w.mustPlan(desired); p.Version != "1.0.0" || !strings.Contains(p.VersionPolicy.Unasked, refuse.Error()) {
					t.Errorf("%+v", p.VersionPolicy)
				}
				if !strings.Contains(w.progress(), "warn   version 1.0.0 stays, for the newest that fits ~> 1.0 is not known") {
					t.Errorf("nobody was told:\n%s", w.progress())
				}
			})
		})
	}
}

func TestAPolicyNeverGoesBackAndKeepsTheNameOfWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 614)
		w.image("1.0.0", sim.Healthy(0))
		w.image("v1.2.0", sim.Healthy(0))
		w.mustApply(w.policy("~> 1.0"))
		w.image("1.2.0", sim.Healthy(0))
		w.Unpush(repository + ":v1.2.0")
		if p := w.mustPlan(w.policy("~> 1.0")); !p.Empty() || p.Version != "v1.2.0" {
			t.Errorf("%+v", p.VersionPolicy)
		}
		w.Unpush(repository + ":1.2.0")
		if p := w.mustPlan(w.policy("~> 1.0")); !p.Empty() || p.Version != "v1.2.0" || p.VersionPolicy.Kept == "" {
			t.Errorf("%+v", p.VersionPolicy)
		}
		// What the file asks for otherwise is done.
		if p := w.mustPlan(w.policy("~> 1.0.0")); p.Empty() || p.Version != "1.0.0" {
			t.Errorf("%+v", p.VersionPolicy)
		}
	})
}

// The tags are asked for once, beside the look; and not at all where the version is no question.
func TestAPolicyAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 615)
		desired := w.policy("~> 1.0")
		w.image("1.0.0", sim.Healthy(0))
		w.mustApply(desired)
		asked := w.asked(nil)
		w.mustPlan(desired)
		if *asked != 1 {
			t.Errorf("a plan asked %d times", *asked)
		}
		w.image("1.1.0", sim.Healthy(0))
		*asked = 0
		if _, err := w.apply(t.Context(), desired); err != nil || *asked != 1 {
			t.Errorf("an apply asked %d times: %v", *asked, err)
		}
		*asked = 0
		w.using(func(c *reconcile.Controller) {
			planned, err := c.Drift(t.Context(), desired, reconcile.Options{})
			if err != nil || planned.Plan.Version != "1.1.0" || len(planned.Plan.Drifted()) > 0 {
				t.Errorf("drift: %v %+v", err, planned.Plan.Items)
			}
			stored, err := c.Plan(t.Context(), desired, reconcile.Options{Stored: true})
			if err != nil || stored.Plan.Version != "1.1.0" || stored.Plan.VersionPolicy.Unasked == "" {
				t.Errorf("from what was seen last: %v %+v", err, stored.Plan.VersionPolicy)
			}
			status, err := c.Plan(t.Context(), desired, reconcile.Options{Pin: &plan.Pin{}})
			if err != nil || status.Plan.Version != "1.1.0" {
				t.Errorf("status: %v %q", err, status.Plan.Version)
			}
			if _, err := c.Prune(t.Context(), desired, reconcile.Options{}); err != nil {
				t.Error(err)
			}
		})
		if *asked != 0 {
			t.Errorf("it was asked for %d times where the version is no question", *asked)
		}
	})
}

func TestASavedPlanIsOfTheVersionThatItWasMadeWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 616)
		desired := w.policy("~> 1.0")
		w.image("1.0.0", sim.Healthy(0))
		var saved plan.Saved
		w.using(func(c *reconcile.Controller) {
			planned, err := c.Plan(t.Context(), desired, reconcile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			saved = c.SavePlan(planned, "0.1.0")
		})
		data, err := saved.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if saved, err = plan.ParseSaved(data, "0.1.0"); err != nil || saved.Plan.VersionPolicy.Version != "1.0.0" {
			t.Fatalf("%v %+v", err, saved.Plan.VersionPolicy)
		}
		w.image("1.1.0", sim.Healthy(0))
		asked := w.asked(nil)
		w.using(func(c *reconcile.Controller) {
			if _, err := c.ApplySaved(t.Context(), saved, desired); err != nil {
				t.Error(err)
			}
		})
		w.runs("1.0.0")
		if *asked != 0 {
			t.Errorf("asked %d times", *asked)
		}
	})
}

func TestAnotherReleaseInBetweenIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 617)
		desired := w.policy("~> 1.0")
		w.image("1.0.0", sim.Healthy(0))
		w.mustApply(desired)
		w.image("1.1.0", sim.Healthy(0))
		other := w.elsewhere()
		other.mustPlan(desired)
		meanwhile := false
		w.Before(func(c sim.Call) error { // between the look and the lock
			if c.Method == "Files.Mkdir" && !meanwhile {
				meanwhile = true
				w.image("1.2.0", sim.Healthy(0))
				if _, err := other.apply(t.Context(), desired); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		_, err := w.apply(t.Context(), desired)
		if err == nil || !strings.Contains(err.Error(), "version_policy chooses 1.2.0 now, and not 1.1.0") {
			t.Error(err)
		}
		w.runs("1.2.0")
		w.noLocks(0)
	})
}

func TestWhatIsNotPushedYetIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 618)
		w.mustApply(w.release("v1"))
		for name, desired := range map[string]release.Release{"v9": w.release("v9"), "a policy": w.policy("~> 3.0")} {
			var awaited *reconcile.AwaitedError
			p := w.mustPlan(desired)
			before := len(w.History())
			_, err := w.apply(t.Context(), desired)
			switch {
			case name == "v9" && (!p.Empty() || p.Awaited != repository+":v9" || !errors.As(err, &awaited) || !strings.Contains(err.Error(), "build and push it")):
				t.Errorf("%s: %q, %v", name, p.Waits, err)
			case name == "a policy" && (!p.Empty() || p.Waits != "" || p.VersionPolicy.Kept == "" || p.Version != "v1" || err != nil): // what is held stays
				t.Errorf("%s: %q %+v, %v", name, p.Waits, p.VersionPolicy, err)
			}
			if len(w.History()) != before {
				t.Errorf("%s: something was done: %+v", name, w.History()[before:])
			}
		}
		w.image("v9", sim.Healthy(0))
		w.mustApply(w.release("v9"))
		w.image("3.0.0", sim.Healthy(0))
		w.mustApply(w.policy("~> 3.0"))
		w.runs("3.0.0")
	})
}

func TestAPolicyWithNothingHeldWaitsForItsFirstTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 619)
		desired := w.policy("~> 3.0")
		var awaited *reconcile.AwaitedError
		if _, err := w.apply(t.Context(), desired); !errors.As(err, &awaited) || awaited.What != repository {
			t.Error(err)
		}
		for n := 1; n <= 6; n++ { // not even the repository is there
			w.Unpush(fmt.Sprintf("%s:v%d", repository, n))
		}
		if p := w.mustPlan(desired); !p.Empty() || p.Awaited != repository || !strings.Contains(p.Waits, "none of 0 tags at the registry fits ~> 3.0") {
			t.Errorf("%q", p.Waits)
		}
	})
}

// Without a registry the images of this machine's engine are what there is.
func TestAPolicyLooksAtThisMachineWhereThereIsNoRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 620)
		w.AddHost(release.LocalHost)
		desired := w.policy("~> 1.0")
		desired.Registry = nil
		for _, version := range []string{"1.0.0", "1.1.0", "2.0.0"} {
			w.Place(release.LocalHost, sim.Image{Ref: "acme/shop:" + version, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop"}})
		}
		asked := w.asked(nil)
		report, err := w.apply(t.Context(), desired)
		if err != nil || report.Version != "1.1.0" || report.VersionPolicy.From != "on this machine" || *asked > 0 {
			t.Errorf("%v %q %+v, %d questions to a registry", err, report.Version, report.VersionPolicy, *asked)
		}
	})
}

// Any history of pushes, good and bad, and of applies from two machines: no version goes back, what runs is one that fits and was
// good, and a broken version is tried once.
func TestLawsOfAPolicyInUse(t *testing.T) {
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 630+seed)
			desired := w.policy(">= 1.0.0, < 2.0")
			machines := []*world{w, w.elsewhere()}
			tried, held := map[string]int{}, 0
			w.Before(func(c sim.Call) error {
				if version, ok := strings.CutPrefix(c.Args, "shop-web-"); ok && c.Method == "Engine.Create" && c.Host == "h1" {
					tried[version]++
				}
				return nil
			})
			var bad []string
			for n := 1; n <= 5; n++ {
				version := fmt.Sprintf("1.%d.0", n)
				if (seed>>(n%3)+uint64(n))%2 == 0 {
					w.image(version, sim.Exits(1, 10*time.Millisecond))
					bad = append(bad, version)
				} else {
					w.image(version, sim.Healthy(0))
				}
				for _, machine := range machines {
					_, _ = machine.apply(t.Context(), desired)
					var now int
					if runs := w.versions(); runs != "" {
						if _, err := fmt.Sscanf(strings.TrimPrefix(runs, "h1/web="), "1.%d.0", &now); err != nil {
							t.Fatalf("%s runs", runs)
						}
					}
					if now < held || slices.Contains(bad, fmt.Sprintf("1.%d.0", now)) {
						t.Fatalf("1.%d.0 runs after 1.%d.0, bad are %v", now, held, bad)
					}
					held = now
				}
			}
			for _, version := range bad {
				if tried[version] > 1 {
					t.Errorf("%s is broken and was tried %d times", version, tried[version])
				}
			}
		})
	}
}

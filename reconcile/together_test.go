package reconcile_test

import (
	"errors"
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

// moved is the release with a role on other hosts; hosts that have no role any more are out of the file.
func moved(desired release.Release, role string, hosts ...string) release.Release {
	desired.Roles = slices.Clone(desired.Roles)
	for i := range desired.Roles {
		if desired.Roles[i].Name == role {
			desired.Roles[i].Hosts = hosts
		}
	}
	desired.Hosts = slices.DeleteFunc(slices.Clone(desired.Hosts), func(on release.Host) bool {
		return !slices.ContainsFunc(desired.Roles, func(r release.Role) bool { return slices.Contains(r.Hosts, on.Name) })
	})
	return desired
}

func TestWhatARoleHasLeftGoesOnWhileNoneOfItsNewHostsCanBeReached(t *testing.T) {
	for name, to := range map[string]struct {
		role  string
		hosts []string
		away  func(w *world, desired release.Release)
	}{
		"the new host is down":        {"web", []string{"h3"}, func(w *world, _ release.Release) { w.Cut("h3") }},
		"the new host is cordoned":    {"web", []string{"h3"}, func(w *world, d release.Release) { w.mustCordon(d, "h3") }},
		"the new host of the workers": {"workers", []string{"h2"}, func(w *world, _ release.Release) { w.Cut("h2") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 901)
				w.mustApply(w.release("v1"))
				next := moved(w.release("v1"), to.role, to.hosts...)
				to.away(w, w.release("v1"))
				_, err := w.applyWith(next, reconcile.Options{SkipUnreachable: true})
				if got := w.versions(); got != allV1 {
					t.Errorf("%s (%v)", got, err)
				}
				for _, host := range to.hosts {
					w.Restore(host)
					w.using(func(c *reconcile.Controller) { _, _ = c.Uncordon(t.Context(), next, host) })
				}
				w.mustApply(next)
				w.noLocks(0)
			})
		})
	}
}

func (w *world) mustCordon(desired release.Release, host string) {
	w.t.Helper()
	w.using(func(c *reconcile.Controller) {
		if _, err := c.Cordon(w.t.Context(), desired, host, "being moved", time.Time{}); err != nil {
			w.t.Fatal(err)
		}
	})
}

func TestAPartialReleaseGivenTwiceHoldsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902)
		w.mustApply(w.release("v1"))
		for range 2 {
			if _, err := w.applyWith(w.release("v2"), reconcile.Options{Hold: true, Hosts: []string{"h1"}}); err != nil {
				t.Fatal(err)
			}
		}
		w.mustApply(w.release("v2"))
	})
}

func TestAReleaseOfWhatKamalRunsSaysThatItIsToBeAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		w.byKamal("v1")
		_, err := w.applyWith(w.release("v1"), reconcile.Options{Hold: true})
		if err != nil && !strings.Contains(err.Error(), "kamald adopt") {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAdoptionForgetsNoHostThatIsStillToLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 904)
		w.mustApply(w.release("v1"))
		left := without(w.release("v2"), "h2")
		w.Cut("h2")
		w.mustApply(left)
		w.handMade("h1", "v2")
		w.Retag("h3", repository+":v1", repository+":latest")
		w.using(func(c *reconcile.Controller) {
			adopted, err := c.Adopt(t.Context(), left, false)
			if err != nil || adopted.Release == 0 {
				t.Fatalf("%+v %v", adopted, err)
			}
		})
		w.Restore("h2")
		w.store = &memory{}
		w.mustResume()
		w.mustApply(left)
		if got := w.versions(); got != "h1/web=v2 h3/workers=v2" {
			t.Errorf("%s", got)
		}
	})
}

func TestASavedPlanIsRefusedWhileAPersonHoldsTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		w.mustApply(w.release("v1"))
		saved := w.save(w.release("v2"))
		w.mustRelease("v1") // runs already: only the hold is new
		_, err := w.applySaved(saved)
		var held *reconcile.HeldError
		if !errors.As(err, &held) || w.versions() != allV1 {
			t.Errorf("%v: %s", err, w.versions())
		}
		w.mustResume()
		if _, err := w.applySaved(saved); err != nil {
			t.Errorf("after the hold: %v", err)
		}
	})
}

func TestAPruneThatFailsIsNoReleaseThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 906)
		for _, v := range []string{"v1", "v2", "v3"} {
			w.mustApply(w.release(v))
		}
		w.failOn("Engine.Remove")
		if _, err := w.prune(1); err == nil {
			t.Fatal("it did not fail")
		}
		w.ClearHooks()
		w.store = &memory{}
		w.using(func(c *reconcile.Controller) {
			records, err := c.History(t.Context(), w.release("v3"))
			if err != nil || len(records) == 0 || slices.ContainsFunc(records, func(r state.Record) bool { return r.Outcome != state.OutcomeSucceeded }) {
				t.Errorf("%d records, not all of releases that succeeded: %v", len(records), err)
			}
		})
	})
}

func TestARollbackFromAnotherMachineSeesAReleaseThatDiedAndWhoseLockIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 907)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.killAt("Engine.Tag", "latest")
		_, _ = w.apply(t.Context(), w.release("v3"))
		w.Revive()
		w.ClearHooks()
		laptop := w.elsewhere()
		laptop.using(func(c *reconcile.Controller) {
			if _, err := c.Unlock(t.Context(), w.release("v3")); err != nil {
				t.Fatal(err)
			}
		})
		laptop.using(func(c *reconcile.Controller) {
			_, err := c.Rollback(t.Context(), w.release("v3"), reconcile.Back{}, reconcile.Options{})
			w.no(err)
		})
		if got := w.versions(); got != allV2 {
			t.Errorf("it went to %s", got)
		}
	})
}

func TestALockIsTakenByHandWithoutACordonedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 908)
		w.mustApply(w.release("v1"))
		w.mustCordon(w.release("v1"), "h1")
		w.Cut("h1")
		w.mustAcquire("maintenance")
		_, err := w.apply(t.Context(), w.release("v2"))
		var locked *reconcile.LockedError
		if !errors.As(err, &locked) {
			t.Errorf("it is not locked: %v", err)
		}
	})
}

func TestCombinationsAreFixedPoints(t *testing.T) {
	only := func(hosts ...string) reconcile.Options { return reconcile.Options{Hosts: hosts} }
	for name, do := range map[string]func(w *world) release.Release{
		"partial and hold": func(w *world) release.Release {
			w.mustRelease("v1")
			_, err := w.applyWith(w.release("v2"), reconcile.Options{Hosts: []string{"h1"}, Hold: true})
			w.no(err)
			w.mustBeHeld("v2")
			w.mustResume()
			_, err = w.applyWith(w.release("v2"), reconcile.Options{})
			w.no(err)
			return w.release("v2")
		},
		"partial, back to held": func(w *world) release.Release {
			_, err := w.applyWith(w.release("v2"), only("h1"))
			w.no(err)
			_, err = w.applyWith(w.release("v1"), only("h1"))
			w.no(err)
			return w.release("v1")
		},
		"leaving and partial": func(w *world) release.Release {
			_, err := w.applyWith(w.release("v2"), only("h2"))
			w.no(err)
			_, err = w.applyWith(without(w.release("v2"), "h2"), reconcile.Options{})
			w.no(err)
			return without(w.release("v2"), "h2")
		},
		"cordon, hold, uncordon": func(w *world) release.Release {
			w.mustCordon(w.release("v1"), "h2")
			w.mustRelease("v2")
			w.using(func(c *reconcile.Controller) { _, err := c.Uncordon(w.t.Context(), w.release("v2"), "h2"); w.no(err) })
			_, err := w.applyWith(w.release("v2"), reconcile.Options{})
			w.no(err)
			return w.release("v2")
		},
		"cordon, rollback, uncordon": func(w *world) release.Release {
			w.mustApply(w.release("v2"))
			w.mustCordon(w.release("v2"), "h1")
			w.mustRollBack(w.release("v2"))
			w.using(func(c *reconcile.Controller) { _, err := c.Uncordon(w.t.Context(), w.release("v2"), "h1"); w.no(err) })
			_, err := w.applyWith(w.release("v1"), reconcile.Options{})
			w.no(err)
			return w.release("v1")
		},
		"prune and cordon and partial": func(w *world) release.Release {
			for _, v := range []string{"v2", "v3", "v4"} {
				w.mustApply(w.release(v))
			}
			_, err := w.applyWith(w.release("v5"), only("h1"))
			w.no(err)
			w.mustCordon(w.release("v5"), "h2")
			_, err = w.prune(1)
			w.no(err)
			w.using(func(c *reconcile.Controller) { _, err := c.Uncordon(w.t.Context(), w.release("v5"), "h2"); w.no(err) })
			_, err = w.prune(1)
			w.no(err)
			_, err = w.applyWith(w.release("v5"), reconcile.Options{})
			w.no(err)
			return w.release("v5")
		},
		"adopt with a host away": func(w *world) release.Release {
			w.byKamal("v1")
			w.Cut("h3")
			w.mustAdopt("v1")
			w.Restore("h3")
			_, err := w.applyWith(w.release("v1"), reconcile.Options{})
			w.no(err)
			return w.release("v1")
		},
		"resume with a host away": func(w *world) release.Release {
			w.mustRelease("v2")
			w.Cut("h1")
			w.mustResume()
			w.Restore("h1")
			w.store = &memory{}
			_, err := w.applyWith(w.release("v3"), reconcile.Options{})
			w.no(err)
			return w.release("v3")
		},
		"halt and the next": func(w *world) release.Release {
			w.image("v7", sim.Exits(1, time.Millisecond))
			bad := w.release("v7")
			bad.Rollout.Halt = true
			if _, err := w.apply(w.t.Context(), bad); err == nil {
				w.t.Error("v7 went out")
			}
			_, err := w.applyWith(w.release("v2"), reconcile.Options{})
			w.no(err)
			return w.release("v2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 909)
				w.mustApply(w.release("v1"))
				if end := do(w); end.Version != "" {
					w.mustBeEmpty(end)
					if p := w.mustPlan(end); p.Kind != plan.KindNone {
						t.Errorf("%+v", p)
					}
				}
				w.noLocks(0)
			})
		})
	}
}

func (w *world) no(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) failOn(method string) {
	w.Before(func(c sim.Call) error {
		if c.Method == method {
			return errors.New("it is refused")
		}
		return nil
	})
}

func (w *world) killAt(method, args string) {
	w.Before(func(c sim.Call) error {
		if c.Method == method && strings.Contains(c.Args, args) {
			w.Kill()
		}
		return nil
	})
}

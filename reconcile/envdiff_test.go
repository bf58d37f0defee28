package reconcile_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

func TestSecretsThatDifferAreNamedByWhereAndHow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 812)
		w.mustApply(w.release("v1"))
		diff := func(token string, change func(*release.Release)) (found []string) {
			desired := w.release("v1")
			if change != nil {
				change(&desired)
			}
			w.with(token, func(c *reconcile.Controller) error {
				differences, skipped, err := c.EnvDiff(t.Context(), desired, plan.Filter{})
				for _, d := range differences {
					found = append(found, d.Host+" "+d.Role+" "+d.Name+" "+string(d.Change))
				}
				for _, host := range skipped {
					found = append(found, host.Host+" unreachable")
				}
				return err
			})
			return found
		}
		want := func(when string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		everywhere := func(change string) []string {
			return []string{"h1 web TOKEN " + change, "h2 web TOKEN " + change, "h3 workers TOKEN " + change}
		}
		want("the same", diff(canary, nil))
		want("another here", diff("other", nil), everywhere("other")...)
		want("none here", diff("", nil), everywhere("not-at-hand")...)
		want("another name", diff(canary, func(r *release.Release) { r.Roles[1].Env.Secrets = map[string]string{"KEY": "TOKEN"} }),
			"h3 workers KEY missing", "h3 workers TOKEN extra")
		w.with("other", func(c *reconcile.Controller) error {
			_, err := c.PushEnv(t.Context(), w.release("v1"), plan.Filter{})
			return err
		})
		want("pushed, and what runs has the old one", diff("other", nil), everywhere("stale")...)
		w.Cut("h2")
		want("one is down", diff("other", nil), "h1 web TOKEN stale", "h3 workers TOKEN stale", "h2 unreachable")
	})
}

func TestADiffOfSomeHostsLeavesTheStoredLookWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 833)
		desired := w.release("v1")
		w.mustApply(desired)
		w.using(func(c *reconcile.Controller) {
			scope, err := plan.FilterOf(desired, []string{"h1"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.EnvDiff(t.Context(), desired, scope); err != nil {
				t.Fatal(err)
			}
		})
		desired.Roles[0].Cmd = []string{"serve"}
		if p := w.planWith(desired, reconcile.Options{Stored: true}).Plan; len(p.Problems) > 0 || p.Empty() {
			t.Errorf("the plan from the stored look: %+v", p.Problems)
		}
	})
}

func TestADiffOfSomeHostsIsSilentOnTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 836)
		desired := w.release("v1")
		w.mustApply(desired)
		w.Cut("h2")
		w.with("other", func(c *reconcile.Controller) error {
			scope, err := plan.FilterOf(desired, []string{"h1"}, nil)
			if err != nil {
				return err
			}
			differences, skipped, err := c.EnvDiff(t.Context(), desired, scope)
			if len(differences) != 1 || differences[0].Host != "h1" || len(skipped) > 0 {
				t.Errorf("%+v, skipped %+v", differences, skipped)
			}
			return err
		})
	})
}

func TestACertificateThatDiffersIsNamedAsASecretIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3320)
		desired := w.certified("v1")
		diff := func(certificate string) (found []string) {
			c := w.keyed(certificate)
			defer func() { _ = c.Close() }()
			differences, _, err := c.EnvDiff(t.Context(), desired, plan.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				if d.Name != "TOKEN" {
					found = append(found, d.Host+" "+d.Role+" "+d.Name+" "+d.Secret+" "+string(d.Change))
				}
			}
			return found
		}
		both := func(change string) (list []string) {
			for _, host := range []string{"h1", "h2"} {
				list = append(list, host+" web certificate CERTIFICATE_PEM "+change, host+" web private_key PRIVATE_KEY_PEM "+change)
			}
			return list
		}
		want := func(when string, got, want []string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		want("nothing there", diff("first"), both("missing"))
		w.mustKeyed(desired, "first")
		want("the same", diff("first"), nil)
		want("none at hand", diff(""), both("not-at-hand"))
		want("renewed", diff("second"), both("other"))
		c := w.keyed("second")
		if _, err := c.PushEnv(t.Context(), desired, plan.Filter{}); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		want("pushed, and the proxy was not told", diff("second"), both("unread"))
		w.mustKeyed(desired, "second")
		want("told", diff("second"), nil)
	})
}

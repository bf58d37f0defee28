package reconcile_test

import (
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

// released makes versions true one after another.
func (w *world) released(versions ...string) {
	w.t.Helper()
	for _, version := range versions {
		w.mustApply(w.release(version))
	}
}

// back goes back, and wants it to go to a release and to leave an empty plan of that version.
func (w *world) back(current release.Release, back reconcile.Back, to int, versions string) reconcile.Report {
	w.t.Helper()
	got := w.rollBack(w.t.Context(), current, back)
	if got.err != nil || got.report.To != to || w.versions() != versions {
		w.t.Fatalf("it went to %d, %s: %+v %v\n%s", got.report.To, w.versions(), got.report, got.err, w.progress())
	}
	return got.report
}

func TestEachRollbackGoesFurtherBackAndTheLastOneListsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 911)
		w.released("v1", "v2", "v3")
		current := w.release("v3")
		w.back(current, reconcile.Back{}, 2, allV2)
		w.back(current, reconcile.Back{}, 1, allV1)
		got := w.rollBack(t.Context(), current, reconcile.Back{})
		if got.err == nil || !strings.Contains(got.err.Error(), "no release before release 1") || !strings.Contains(got.err.Error(), "2 (version v2)") {
			t.Errorf("%v", got.err)
		}
		w.mustResume()
		w.released("v4")
		w.back(current, reconcile.Back{}, 5, allV1) // what ran before was the rollback to 1
		if record := w.store.releases[7]; record.From != 1 {
			t.Errorf("it is a rollback to %d", record.From)
		}
		w.back(current, reconcile.Back{Number: 3}, 3, allV3)
		if report := w.back(current, reconcile.Back{Version: "v3"}, 8, allV3); report.Kind != plan.KindNone {
			t.Errorf("back to where we are: %s", report.Kind)
		}
	})
}

func TestARollbackToWhereWeAreHealsAndRecordsNoRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 912)
		w.released("v1", "v2")
		w.StopContainer("h1", "shop-web-v2")
		report := w.back(w.release("v2"), reconcile.Back{Number: 2}, 2, allV2)
		if report.Kind != plan.KindHeal || len(w.store.releases) != 2 {
			t.Errorf("%s, %d releases", report.Kind, len(w.store.releases))
		}
	})
}

func TestARollbackAfterAFailedReleaseSaysWhatTheServersRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 913)
		w.released("v1", "v2")
		w.image("v3", sim.Exits(1, time.Millisecond))
		if _, err := w.apply(t.Context(), w.release("v3")); err == nil {
			t.Fatal("it succeeded")
		}
		w.store = &memory{} // the servers know it, too
		report := w.back(w.release("v3"), reconcile.Back{}, 1, allV1)
		if !strings.Contains(report.Note, "release 3 (version v3) failed, and the servers held release 2 (version v2)") {
			t.Errorf("%q", report.Note)
		}
		if record := w.store.releases[3]; record.Outcome != state.OutcomeFailed || !strings.Contains(record.Reason, "exit code 1") {
			t.Errorf("release 3: %s %s", record.Outcome, record.Reason)
		}
		got := w.rollBack(t.Context(), w.release("v3"), reconcile.Back{Number: 3})
		if got.err == nil || !strings.Contains(got.err.Error(), "release 3 failed") {
			t.Errorf("%v", got.err)
		}
	})
}

func TestARollbackFromAReleaseThatWasHaltedHalfwayIsToWhatWasBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 914)
		w.released("v1", "v2")
		halted := w.oneByOne("v3")
		halted.Rollout.Halt = true
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Engine.Start" {
				return sim.ErrFault
			}
			return nil
		})
		if _, err := w.apply(t.Context(), halted); err == nil || w.versions() == allV2 {
			t.Fatalf("%v: %s", err, w.versions())
		}
		w.ClearHooks()
		report := w.back(w.release("v3"), reconcile.Back{}, 2, allV2)
		if !strings.Contains(report.Note, "runs a part of it") || !strings.Contains(report.Note, "`kamald rollback 1`") {
			t.Errorf("%q", report.Note)
		}
	})
}

func TestARollbackWithCurrentConfigurationTakesOnlyVersionAndImage(t *testing.T) {
	for name, c := range map[string]struct {
		current bool
		level   string
	}{"as it was": {false, "info"}, "as it is": {true, "debug"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 915)
				w.released("v1")
				now := w.release("v2")
				for i := range now.Roles {
					now.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": "debug"}
				}
				w.mustApply(now)
				w.image("v1", sim.Exits(9, time.Millisecond)) // the tag was moved since; the digest was not
				w.back(now, reconcile.Back{CurrentConfig: c.current}, 1, allV1)
				for _, container := range w.Containers("h1", state.View{Clear: map[string]bool{"LOG_LEVEL": true}}) {
					if container.Running() && container.Role == "web" && container.Asked.Env["LOG_LEVEL"] != c.level {
						t.Errorf("LOG_LEVEL is %q", container.Asked.Env["LOG_LEVEL"])
					}
				}
			})
		})
	}
}

func TestAStandingContainerIsStartedAgainAndNotMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 916)
		w.released("v1")
		id := w.Containers("h1", state.View{})[0].ID
		w.released("v2")
		w.back(w.release("v2"), reconcile.Back{}, 1, allV1)
		if !slices.ContainsFunc(w.Containers("h1", state.View{}), func(c state.Container) bool { return c.ID == id && c.Running() }) {
			t.Error("another container runs")
		}
	})
}

// forgotten takes an image and the containers made of it off a host.
func (w *world) forgotten(host, role, version string) {
	w.t.Helper()
	w.RemoveContainer(host, "shop-"+role+"-"+version)
	conn, err := w.Connector().Connect(w.t.Context(), release.Host{Name: host, Address: host})
	if err == nil {
		err = conn.Engine.RemoveImage(w.t.Context(), repository+":"+version)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestARollbackNamesEverythingThatIsInTheWayAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 917)
		old := w.release("v1")
		old.Roles[1].Env.Secrets = map[string]string{"TOKEN": "TOKEN", "OLD": "OLD_SECRET"}
		c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, secrets{"TOKEN": canary, "OLD_SECRET": "x", "REGISTRY_PASSWORD": "registry-password"})
		if _, err := c.Apply(t.Context(), old, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		w.released("v2")
		w.forgotten("h1", "web", "v1")
		w.forgotten("h3", "workers", "v1")
		w.RemoveFile("h3", ".kamal/apps/shop/env/roles/workers.env")
		w.Unpush(repository + ":v1")
		before := len(w.History())
		got := w.rollBack(t.Context(), w.release("v2"), reconcile.Back{})
		if got.err == nil {
			t.Fatal("it went on")
		}
		for _, want := range []string{
			"nothing was changed",
			"h1: the image registry.example.com/acme/shop:v1 (sha256:",
			"is neither on the host nor at the registry any more",
			"h2 still has it",
			"h3: the image",
			"h3/workers: its secrets file lacks OLD",
			"--with-current-config",
		} {
			if !strings.Contains(got.err.Error(), want) {
				t.Errorf("%q is not in: %v", want, got.err)
			}
		}
		if strings.Contains(got.err.Error(), "h2: ") || len(w.History()) != before || w.versions() != allV2 {
			t.Errorf("%d calls changed something; %s: %v", len(w.History())-before, w.versions(), got.err)
		}
	})
}

func TestAnImageThatLeftTheRegistryIsTaggedAgainWhereItStillLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 918)
		w.released("v1", "v2")
		w.Unpush(repository + ":v1")
		w.Retag("h1", repository+":v2", repository+":v1") // by hand
		w.back(w.release("v2"), reconcile.Back{}, 1, allV1)
	})
}

func TestARollbackGoesOnWithoutAHostThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 919)
		w.released("v1", "v2")
		w.Cut("h2")
		got := w.rollBack(t.Context(), w.release("v2"), reconcile.Back{})
		if got.err == nil || !strings.Contains(got.err.Error(), "h2: it cannot be observed") || !strings.Contains(got.err.Error(), "--skip-unreachable") {
			t.Errorf("%v", got.err)
		}
		c := w.controller()
		defer func() { _ = c.Close() }()
		report, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{SkipUnreachable: true})
		if err != nil || report.Outcome != state.OutcomePartial || len(report.Skipped) != 1 || report.Skipped[0].Host != "h2" || report.To != 1 {
			t.Errorf("%+v %v", report, err)
		}
		w.Restore("h2")
		if got := w.versions(); got != "h1/web=v1 h2/web=v2 h3/workers=v1" {
			t.Errorf("it runs %s", got)
		}
		w.back(w.release("v2"), reconcile.Back{Version: "v1"}, 3, allV1) // it converges when it returns
	})
}

func TestServersAndRolesThatCameOrWentAreTheFiles(t *testing.T) {
	moved := func(w *world) release.Release { // workers move from h3 to h2, and h3 leaves
		now := w.release("v2")
		now.Hosts = now.Hosts[:2]
		now.Roles[1].Hosts = []string{"h2"}
		return now
	}
	for name, c := range map[string]struct {
		now   func(w *world) release.Release
		want  string
		fails string
	}{
		"a host left": {now: moved, want: "h1/web=v1 h2/web=v1 h2/workers=v1"},
		"a host and its role left": {now: func(w *world) release.Release {
			now := moved(w)
			now.Roles = now.Roles[:1]
			return now
		}, fails: "role workers of release 1 ran only on servers that are not in the file any more"},
		"a role is new": {now: func(w *world) release.Release {
			now := w.release("v2")
			cron := now.Roles[1]
			cron.Name = "cron"
			now.Roles = append(now.Roles, cron)
			return now
		}, want: allV1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 920)
				w.released("v1")
				if now := c.now(w); len(now.Hosts) < 3 {
					w.RemoveContainer("h3", "shop-workers-v1")
				}
				w.mustApply(c.now(w))
				if c.fails != "" {
					got := w.rollBack(t.Context(), c.now(w), reconcile.Back{})
					if got.err == nil || !strings.Contains(got.err.Error(), c.fails) {
						t.Errorf("%v", got.err)
					}
					return
				}
				w.back(c.now(w), reconcile.Back{}, 1, c.want)
			})
		})
	}
}

package loop_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// A dead host is somebody's trouble, and not that of the hosts beside it.
func TestABlackHoleDoesNotHoldUpItsNeighbours(t *testing.T) {
	for _, since := range []time.Duration{0, 20 * time.Second, 4 * time.Minute, time.Hour + 2*time.Minute} {
		t.Run(since.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				w.BlackHole("h1", true, true) // the primary host
				w.pass(since)
				w.RemoveContainer("h3", "shop-workers-v1")
				limit := 3 * time.Second
				if since < 2*time.Minute { // nobody knows yet that it is dead: its lock is waited for once
					limit = 2 * time.Minute
				}
				w.pass(limit)
				if is := w.running(); !strings.Contains(is, "h3/workers=v1") {
					t.Errorf("after %s there runs %s\n%s", limit, is, w.said())
				}
			})
		})
	}
}

// A look that finds a host dead is no longer than patience.
func TestALookWaitsForAHostNoLongerThanAFewSeconds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.BlackHole("h2", true, true)
		w.pass(20 * time.Minute)
		status, _ := w.loop.Status(shop)
		if status.Round.Took > 16*time.Second {
			t.Errorf("a round took %s", status.Round.Took)
		}
		w.wantConditions("unreachable")
	})
}

func TestAnOutageIsNoReasonToReleaseOverAColleague(t *testing.T) {
	for name, hosts := range map[string][]string{"of all hosts": {"h1", "h2", "h3"}, "of all but one": {"h1", "h2"}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				w.by(func(c *reconcile.Controller) error {
					_, err := c.Apply(w.t.Context(), desired("v3"), reconcile.Options{})
					return err
				})
				w.pass(time.Minute)
				w.wantConditions("approval")
				for _, host := range hosts {
					w.Cut(host)
				}
				w.pass(20 * time.Minute)
				for _, host := range hosts {
					w.Restore(host)
				}
				w.pass(20 * time.Minute)
				w.want(all("v3"))
				w.wantConditions("approval")
			})
		})
	}
}

func TestWithTheHeldReleaseOutOfSightNothingIsHealedToAnOlderOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.Cut("h3")
		w.by(func(c *reconcile.Controller) error {
			_, err := c.Apply(w.t.Context(), desired("v3"), reconcile.Options{SkipUnreachable: true})
			return err
		})
		w.pass(time.Minute)
		w.Cut("h1")
		w.Cut("h2")
		w.pass(time.Minute)
		w.Restore("h3")
		w.RemoveContainer("h3", "shop-workers-v1")
		w.pass(20 * time.Minute)
		w.want("h1/web=v3 h2/web=v3")
		if kinds := w.conditions(); !strings.Contains(kinds, "report-only") {
			t.Errorf("the conditions are %s", kinds)
		}
		w.Restore("h1")
		w.Restore("h2")
		w.pass(20 * time.Minute)
		w.want(all("v3"))
	})
}

// What a colleague has released while the daemon was about to is not gone over.
func TestWhatIsReleasedBetweenADecisionAndItsLockStays(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.once("Files.Mkdir", func() {
			w.by(func(c *reconcile.Controller) error {
				_, err := c.Apply(w.t.Context(), desired("v3"), reconcile.Options{})
				return err
			})
		})
		w.propose("v2")
		w.pass(10 * time.Minute)
		w.want(all("v3"))
		w.wantConditions("approval")
	})
}

func TestAPauseThatComesWhileARepairBeginsIsHeeded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.once("Files.Mkdir", func() {
			if err := w.loop.Pause(shop, state.Pause{Host: "h1", Who: "ada"}); err != nil {
				t.Error(err)
			}
		})
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(10 * time.Minute)
		w.want("h2/web=v1 h3/workers=v1")
		w.wantConditions("drifted paused")
	})
}

func TestAnApprovalIsForWhatWasHeldThen(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1")
		w.source.release = desired("v2")
		w.start().settle()
		w.pass(6 * time.Minute)
		w.Cut("h2")
		w.pass(time.Minute)
		if err := w.loop.Approve(shop, "", loopPerson("ada")); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.by(func(c *reconcile.Controller) error {
			_, err := c.Apply(w.t.Context(), desired("v3"), reconcile.Options{SkipUnreachable: true})
			return err
		})
		w.pass(time.Minute)
		w.Restore("h2")
		w.pass(20 * time.Minute)
		w.want(all("v3"))
		w.wantConditions("approval")
	})
}

func TestNobodyIsToldAgainBecauseTheDaemonBeganAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Mode = release.ModeReport
		w.deployed("v1").start().settle()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Minute)
		w.stop()
		w.start().settle()
		w.pass(time.Hour)
		if told := w.told(); told != "drifted" {
			t.Errorf("told: %s", told)
		}
	})
}

// What is of no role is repaired with a role of its host, and waits while every role there is left.
func TestAHostOfWhichEveryRoleIsLeftIsNoFailure(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Flap = 2
		w.deployed("v1").start().settle()
		for range 3 {
			w.RemoveContainer("h3", "shop-workers-v1")
			w.pass(20 * time.Second)
			if w.ID("h3", "shop-workers-v1") == "" {
				break
			}
		}
		w.Untag("h3", repository+":latest")
		w.loop.Look(shop)
		w.pass(time.Minute)
		w.wantConditions("drifted flapping")
	})
}

func TestAFullStoreIsTriedWithGrowingPauses(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.store.mu.Lock()
		w.store.full = errFull
		w.store.mu.Unlock()
		w.RemoveContainer("h1", "shop-web-v1")
		before, _ := w.loop.Status(shop)
		w.pass(time.Hour)
		after, _ := w.loop.Status(shop)
		if n := after.Round.Number - before.Round.Number; n > 40 {
			t.Errorf("%d rounds within an hour", n)
		}
	})
}

func TestTheBudgetIsSpentBeforeARepairBegins(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		spent := 0
		w.once("Engine.Create", func() {
			memory, _, _ := w.store.Watch(shop)
			spent = len(memory.Heals)
		})
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.hooked(func() {
			if spent != 1 {
				t.Errorf("%d repairs were in the store when one was begun", spent)
			}
		})
		if memory, _, _ := w.store.Watch(shop); len(memory.Heals) != 1 || memory.Heals[0].Outcome != state.EventDone {
			t.Errorf("the store has %+v", memory.Heals)
		}
	})
}

func TestAClockThatWasSetBackTakesNoBudget(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.stop()
		ahead := time.Now().Add(24 * time.Hour)
		w.store.watch.Heals = []state.Heal{{At: ahead, Host: "h1", Role: "web"}, {At: ahead, Host: "h2", Role: "web"}, {At: ahead, Host: "h2", Role: "web"}}
		w.start().settle()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
	})
}

func TestHowAnAppIsKeptIsRememberedToo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.source.propose(func(r *release.Release) { r.Reconcile.Mode = release.ModeReport }, nil)
		w.pass(time.Minute)
		w.stop()
		w.source.err = errBroken
		w.start().settle()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(time.Hour)
		w.want("h2/web=v1 h3/workers=v1")
	})
}

// A stranger's container that ends every second is no reason to look all the time, nor not to look at the rest.
func TestManyEventsAreFewLooksAndKeepNoTimerFromItsTurn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.RunContainer("h3", "stranger", state.Spec{Image: repository + ":v1"}, nil, nil)
		before, _ := w.loop.Status(shop)
		w.RemoveRoute("h1", "shop-web") // nothing tells of that
		for range 400 {
			w.StopContainer("h3", "stranger")
			w.pass(500 * time.Millisecond)
			w.StartContainer("h3", "stranger")
			w.pass(500 * time.Millisecond)
		}
		after, _ := w.loop.Status(shop)
		if n := after.Round.Number - before.Round.Number; n > 220 {
			t.Errorf("%d rounds within 400 seconds", n)
		}
		if n := len(w.Routes("h1")); n != 1 {
			t.Errorf("the route was not missed; h1 has %d", n)
		}
	})
}

func TestWhatHoldsOnIsNotToldAgainAfterSomebodysDeploy(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push("bad", sim.NeverHealthy(503))
		w.deployed("v1").start().settle()
		w.propose("bad")
		w.pass(10 * time.Minute)
		lock := ".kamal/lock-shop"
		w.MakeDir("h1", lock)
		w.WriteFile("h1", lock+"/details", []byte(base64.StdEncoding.EncodeToString([]byte("Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: Automatic deploy lock\n"))))
		w.loop.Look(shop)
		w.pass(time.Minute)
		w.wantConditions("quarantined waiting")
		w.RemoveFile("h1", lock+"/details")
		w.RemoveFile("h1", lock)
		w.pass(10 * time.Minute)
		w.wantConditions("quarantined")
		if told := w.told(); told != "failed" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestAFailedRepairOfASharedHostIsTriedWithGrowingPauses(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		n := 0
		w.hook(func(call reconcile.Call) error {
			if call.Method == "Engine.Create" {
				n++
				return errors.New("no space left on device")
			}
			return nil
		})
		w.RemoveContainer("h3", "shop-workers-v1")
		w.pass(2500 * time.Millisecond)
		w.hooked(func() {
			if n > 3 {
				t.Errorf("it was tried %d times at once", n)
			}
		})
		w.pass(9 * time.Minute)
		w.hooked(func() {
			if n < 2 || n > 12 {
				t.Errorf("it was tried %d times", n)
			}
		})
	})
}

func TestAVersionIsQuarantinedAlsoWhereItRanWithAnotherConfiguration(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.push("v2", sim.Exits(1, time.Second))
		w.source.propose(func(r *release.Release) { r.Version = "v2"; r.DrainTimeout = 6 * time.Second }, nil)
		w.pass(time.Minute)
		w.wantConditions("quarantined")
		w.push("v2", sim.Healthy(time.Second))
		if ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "v2", Retry: true, Release: pointer(desired("v2"))}); ticket.Error != "" {
			t.Fatal(ticket.Error)
		}
		w.pass(10 * time.Second)
		if err := w.loop.Resume(w.t.Context(), shop, loopPerson("ada")); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour)
		if n := len(w.attempts("v2")); n != 2 {
			t.Errorf("it was tried %d times", n)
		}
		w.wantConditions("quarantined")
	})
}

func pointer[T any](v T) *T { return &v }

// A daemon that was killed in the middle of something leaves its locks: the next one on that machine does not wait until they expire. Those of
// others it does wait for.
func TestTheLocksOfADaemonThatWasKilledAreTakenOverAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		owner reconcile.Owner
		after time.Duration
	}{
		"a process that is gone":       {reconcile.Owner{Who: "root", Machine: reconcile.ThisProcess().Machine, PID: 1 << 22}, 10 * time.Second},
		"a process of another machine": {reconcile.Owner{Who: "root", Machine: "elsewhere", PID: 1 << 22}, time.Minute},
		"a process that is there":      {reconcile.Owner{Who: "root", Machine: reconcile.ThisProcess().Machine, PID: 1}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.deployed("v1").start().settle()
				text := "Locked by: root at 2000-01-01T00:00:00Z\nMessage: Automatic deploy lock\nOwner: " + c.owner.String() + "\nLease: 30s\nNonce: n\n"
				w.WriteFile("h1", ".kamal/lock-shop/details", []byte(base64.StdEncoding.EncodeToString([]byte(text))))
				w.RemoveContainer("h1", "shop-web-v1")
				w.pass(10 * time.Second)
				if healed := w.running() == all("v1"); healed != (c.after == 10*time.Second) {
					t.Errorf("after 10 s there runs %s\n%s", w.running(), w.said())
				}
				w.pass(c.after)
				w.want(all("v1"))
			})
		})
	}
}

package loop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// propose has the source propose a version.
func (w *world) propose(version string) {
	w.source.propose(func(r *release.Release) { r.Version = version }, nil)
}

// order has a person order a release or a rollback, and waits for its end.
func (w *world) order(o loop.Order) loop.Ticket {
	w.t.Helper()
	o.App, o.By = shop, loopPerson("ada")
	ticket, err := w.loop.Order(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if ticket, err = w.loop.Await(w.t.Context(), ticket.ID); err != nil {
		w.t.Fatal(err)
	}
	return ticket
}

func TestWhatIsProposedIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.propose("v2")
		w.pass(time.Minute)
		w.want(all("v2"))
		w.wantConditions("")
		if told := w.told(); told != "released" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestServersThatRunNothingGetTheirFirstRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.pass(10 * time.Minute)
		w.want(all("v1"))
		w.wantConditions("")
	})
}

func TestInHealNothingIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.Mode = release.ModeHeal
		w.deployed("v1").start().settle()
		w.propose("v2")
		w.pass(time.Hour)
		w.want(all("v1"))
		w.wantConditions("")
		w.StopContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
	})
}

func TestAVersionThatFailsByItsOwnFaultIsQuarantinedUntilSomethingElseIsProposed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.push("bad", sim.NeverHealthy(503))
		w.deployed("v1").start().settle()
		w.propose("bad")
		w.pass(2 * time.Hour)
		w.want(all("v1"))
		w.wantConditions("quarantined")
		if n := len(w.attempts("bad")); n != 1 {
			t.Errorf("it was tried %d times", n)
		}
		if ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "bad"}); !strings.Contains(ticket.Error, "--retry") {
			t.Errorf("an order without retry ends with %q", ticket.Error)
		}
		w.propose("v2")
		w.pass(time.Minute)
		w.want(all("v2"))
		w.wantConditions("")
		if told := w.told(); told != "failed, failed over, released" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestAHostThatIsDownIsTriedAgainAndTheReleaseGoesOn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.Cut("h2")
		w.pass(10 * time.Second)
		w.propose("v2")
		w.pass(10 * time.Minute)
		w.want(all("v1"))
		w.wantConditions("failed unreachable")
		w.Restore("h2")
		w.pass(6 * time.Minute)
		w.want(all("v2"))
		w.wantConditions("")
	})
}

func TestAnImageThatIsNotThereYetIsWaitedFor(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.propose("v9")
		w.pass(20 * time.Minute)
		w.wantConditions("waiting")
		if told := w.told(); told != "" {
			t.Errorf("told before the time: %s", told)
		}
		w.pass(20 * time.Minute)
		if told := w.told(); told != "waiting" {
			t.Errorf("told: %q", told)
		}
		w.push("v9", sim.Healthy(time.Second))
		w.pass(2 * time.Minute)
		w.want(all("v9"))
		w.wantConditions("")
	})
}

func TestASourceThatBreaksKeepsTheLastGoodOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.source.propose(func(r *release.Release) { r.Roles = nil }, errBroken)
		w.pass(time.Minute)
		w.wantConditions("source")
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
		w.stop()
		w.start() // the next daemon knows it, too
		w.pass(5 * time.Second)
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
		w.wantConditions("source")
	})
}

func TestARollbackHoldsAgainstWhatIsProposedUntilResume(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.propose("v2")
		w.pass(time.Minute)
		if ticket := w.order(loop.Order{Verb: loop.VerbRollback}); ticket.Error != "" {
			t.Fatal(ticket.Error)
		}
		w.want(all("v1"))
		w.propose("v3")
		w.pass(time.Hour)
		w.want(all("v1"))
		w.wantConditions("held")
		if err := w.loop.Resume(w.t.Context(), shop, loopPerson("ada")); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.want(all("v3"))
		w.wantConditions("")
	})
}

func TestARollbackEndsTheReleaseThatIsUnderWay(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.propose("v2")
		w.pass(time.Minute)
		w.push("slow", sim.Healthy(9*time.Second))
		w.propose("slow")
		w.pass(2 * time.Second)
		ticket := w.order(loop.Order{Verb: loop.VerbRollback})
		if ticket.Error != "" {
			t.Fatal(ticket.Error)
		}
		w.pass(time.Minute)
		w.want(all("v2")) // one step back from what was to be: what the servers ran before
		w.wantConditions("held")
	})
}

func TestWhatAColleagueReleasedIsTakenAndNotHealedBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.by(func(c *reconcile.Controller) error {
			_, err := c.Apply(w.t.Context(), desired("v3"), reconcile.Options{})
			return err
		})
		w.pass(time.Hour)
		w.want(all("v3"))
		status, _ := w.loop.Status(shop)
		if status.Held == nil || status.Held.Who != "ada" || status.Held.Version != "v3" {
			t.Errorf("held is %+v", status.Held)
		}
		w.wantConditions("approval") // what is proposed is older, and waits
		w.propose("v4")
		w.pass(time.Minute)
		w.want(all("v4"))
		w.wantConditions("")
	})
}

func TestWhatKamalMovedIsReportedAndLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.by(func(c *reconcile.Controller) error {
			_, err := c.Apply(w.t.Context(), desired("v2"), reconcile.Options{})
			return err
		})
		w.pass(time.Minute)
		w.Retag("h1", repository+":v1", repository+":latest")
		w.pass(time.Hour)
		w.wantConditions("drifted moved")
		if w.ImageID("h1", repository+":latest") != w.ImageID("h1", repository+":v1") {
			t.Error("latest was moved back")
		}
	})
}

func TestAFreezeKeepsReleasesAndNotRepairs(t *testing.T) {
	inWorld(t, func(w *world) { // the bubble begins on Saturday, 1 January 2000, 00:00 UTC
		w.source.release.Reconcile.Freezes = []release.Freeze{{Name: "night", From: "00:00", To: "06:00", Zone: "UTC"}}
		w.deployed("v1").start().settle()
		w.propose("v2")
		w.pass(time.Hour)
		w.wantConditions("frozen")
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(5 * time.Second)
		w.want(all("v1"))
		if ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "v2"}); !strings.Contains(ticket.Error, "night") {
			t.Errorf("an order in a freeze ends with %q", ticket.Error)
		}
		w.pass(6 * time.Hour)
		w.want(all("v2"))
	})
}

func TestAChangeThatRemovesTooMuchWaitsForApproval(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Reconcile.MaxRemove = 20
		w.deployed("v1").start().settle()
		w.source.propose(func(r *release.Release) {
			r.Version, r.Roles = "v2", r.Roles[:1]
			r.Hosts = r.Hosts[:2]
		}, nil)
		w.pass(time.Hour)
		w.want(all("v1"))
		w.wantConditions("approval")
		status, _ := w.loop.Status(shop)
		if status.Pending == nil || !strings.HasPrefix(status.Approve, "remove-") {
			t.Fatalf("nothing can be approved: %+v", status)
		}
		if err := w.loop.Approve(shop, "remove-00000000", loopPerson("ada")); err == nil {
			t.Error("another word approves, too")
		}
		if err := w.loop.Approve(shop, status.Approve, loopPerson("ada")); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.want("h1/web=v2 h2/web=v2")
		w.wantConditions("")
	})
}

func TestOfSeveralOrdersTheNewestIsDone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		var tickets []loop.Ticket
		for _, version := range []string{"v2", "v3", "v4"} {
			ticket, err := w.loop.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: version, By: loopPerson("ada")})
			if err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, ticket)
		}
		last, err := w.loop.Await(w.t.Context(), tickets[2].ID)
		if err != nil || last.Error != "" || last.Report == nil || last.Report.Version != "v4" {
			t.Fatalf("the newest ended with %+v, %v", last, err)
		}
		w.want(all("v4"))
		overtaken := 0
		for _, ticket := range tickets[:2] {
			now, _ := w.loop.Ticket(ticket.ID)
			if !now.Done() {
				t.Errorf("the order for %s has no end", now.Order.Version)
			}
			if strings.Contains(now.Error, "newer order") {
				overtaken++
			}
		}
		if overtaken == 0 {
			t.Error("no order was overtaken")
		}
		w.pass(time.Minute)
		w.wantConditions("held") // a person has named it
	})
}

func TestADaemonThatEndsLetsAReleaseEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.push("v2", sim.Healthy(5*time.Second))
		w.propose("v2")
		w.pass(3 * time.Second)
		w.stop()
		w.want(all("v2"))
	})
}

func TestADaemonThatEndsTakesAReleaseBackThatDoesNotEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start(func(o *loopOptions) { o.Grace = 2 * time.Second }).settle()
		w.push("v2", sim.Healthy(9*time.Second))
		w.propose("v2")
		w.pass(3 * time.Second)
		w.stop()
		w.want(all("v1"))
	})
}

func TestWhatAPolicyChoosesIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.release.Version, w.source.release.VersionPolicy = "", &release.VersionPolicy{Pattern: "^v[0-9]$"}
		w.deployed("v4").start().settle()
		w.push("v5", sim.Healthy(time.Second))
		w.pass(6 * time.Minute)
		w.want(all("v5"))
		w.wantConditions("")
	})
}

// attempts are the records of a version.
func (w *world) attempts(version string) (list []state.Record) {
	records, _ := w.store.Releases(shop)
	for _, r := range records {
		if r.Version == version {
			list = append(list, r)
		}
	}
	return list
}

package loop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile/loop"
)

func TestEveryOrderHasAnEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		w.push("slow", sim.Healthy(5*time.Second))
		w.propose("slow")
		w.pass(2 * time.Second)
		ended := make(chan struct{})
		go func() { w.stop(); close(ended) }()
		w.pass(time.Second) // it is asked to end, and a release is under way
		ticket, err := w.loop.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v3", By: loopPerson("ada")})
		<-ended
		if now, known := w.loop.Ticket(ticket.ID); err == nil && (!known || !now.Done()) {
			t.Errorf("the order has no end: %+v", now)
		}
		if _, err := w.loop.Order(loop.Order{Verb: loop.VerbRollback, App: shop}); err == nil {
			t.Error("a daemon that has ended takes orders")
		}
	})
}

func TestARollbackIsTakenBackBeforeTheDaemonIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start(func(o *loopOptions) { o.Grace = time.Second }).settle()
		w.propose("v2")
		w.pass(time.Minute)
		for _, host := range []string{"h1", "h2"} {
			w.Slow(host, 300*time.Millisecond)
		}
		if _, err := w.loop.Order(loop.Order{Verb: loop.VerbRollback, App: shop, By: loopPerson("ada")}); err != nil {
			t.Fatal(err)
		}
		w.pass(3 * time.Second)
		w.stop()
		if open := w.loop.Open(); len(open) > 0 {
			t.Errorf("it has ended, and %+v is under way", open)
		}
		if is := w.running(); is != all("v1") && is != all("v2") {
			t.Errorf("it left %s", is)
		}
	})
}

func TestAnOrderIsAnsweredWhereNothingIsKnownOfTheApp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.source.err = errBroken
		w.start()
		w.pass(time.Minute)
		if ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "v2"}); !strings.Contains(ticket.Error, errBroken.Error()) {
			t.Errorf("it ends with %q", ticket.Error)
		}
	})
}

package loop_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
)

// looks counts the lists of containers that a host is asked for, which each look at it begins with, and calls at the moment of one.
type looks struct {
	mu   sync.Mutex
	on   map[string]int
	then map[int]func() // after so many of h1
}

func (l *looks) intercept(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
	err := next(ctx)
	if call.Method != "Engine.Images" {
		return err
	}
	l.mu.Lock()
	l.on[call.Host]++
	then := l.then[l.on["h1"]]
	l.mu.Unlock()
	if then != nil && call.Host == "h1" {
		then()
	}
	return err
}

// counting has the daemon's calls counted.
func (w *world) counting(l *looks) func(*loop.Options) {
	return func(o *loop.Options) {
		o.Open = func(release.Release) (*reconcile.Controller, error) {
			c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}, l.intercept), w.store, secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
			c.NewSpool = func() reconcile.Spool { return &image.Spool{} }
			return c, nil
		}
	}
}

func (l *looks) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = map[string]int{}
}

func (l *looks) at(host string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on[host]
}

func TestARepairLooksAtItsHostNoOftenerThanItMust(t *testing.T) {
	inWorld(t, func(w *world) {
		l := &looks{on: map[string]int{}}
		w.deployed("v1").start(w.counting(l)).settle()
		l.reset()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(10 * time.Second)
		w.want(all("v1"))
		if n := l.at("h1"); n != 4 { // what finds it, under the lock, how it ended, and the round after it
			t.Errorf("h1 was looked at %d times for a repair, want 4\n%s", n, w.said())
		}
	})
}

// What was seen may be otherwise a moment later: nothing is done on it.
func TestARepairThatIsNeededNoMoreIsNotDone(t *testing.T) {
	inWorld(t, func(w *world) {
		l := &looks{on: map[string]int{}}
		w.deployed("v1").start(w.counting(l)).settle()
		l.reset()
		l.then = map[int]func(){1: func() { w.StartContainer("h1", "shop-web-v1") }}
		w.StopContainer("h1", "shop-web-v1")
		w.pass(10 * time.Second)
		w.want(all("v1"))
		events, _ := w.store.Events(shop, 0)
		for _, e := range events {
			if e.Kind == "create" || e.Kind == "start" {
				t.Errorf("it was repaired all the same: %+v", e)
			}
		}
		w.wantConditions("")
	})
}

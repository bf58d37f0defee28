package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// flips hears of each condition that begins and of each that is over, as whoever watches the statuses sees them.
type flips struct {
	mu    sync.Mutex
	holds []string
	heard []string
}

func (f *flips) take(n loop.Notice) {
	if n.Status == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var now []string
	for _, c := range n.Status.Conditions {
		if c.Kind != loop.ConditionHealing && c.Kind != loop.ConditionReleasing && c.Kind != loop.ConditionDrifted {
			now = append(now, strings.TrimSpace(c.Kind+" "+c.Host))
		}
	}
	for _, c := range now {
		if !slices.Contains(f.holds, c) {
			f.heard = append(f.heard, c+" begins")
		}
	}
	for _, c := range f.holds {
		if !slices.Contains(now, c) {
			f.heard = append(f.heard, c+" is over")
		}
	}
	f.holds = now
}

// What befalls an app is told at once and once: not when people are told, not again in each round, and not as if it had ended meanwhile.
func TestAConditionBeginsOnceAndIsOverOnce(t *testing.T) {
	for _, c := range []struct {
		name         string
		heard        []string
		befall, over func(w *world)
	}{
		{"a host that cannot be reached", []string{"unreachable h2"}, func(w *world) { w.Cut("h2") }, func(w *world) { w.Restore("h2") }},
		{"an engine that is down", []string{"unreachable h2"}, func(w *world) { w.RestartEngine("h2", 20*time.Minute) }, func(*world) {}},
		{"an image that is not there", []string{"waiting"}, func(w *world) { w.propose("v8") },
			func(w *world) { w.push("v8", sim.Healthy(time.Second)) }},
		{"a version that fails by its own fault", []string{"quarantined"}, func(w *world) {
			w.push("bad", sim.Exits(1, time.Second))
			w.propose("bad")
		}, func(w *world) { w.propose("v2") }},
		{"a repair that changes nothing", []string{"not-converging"}, func(w *world) { w.UpdateMemory("h3", "shop-workers-v1", "268435456") },
			func(w *world) { w.UpdateMemory("h3", "shop-workers-v1", "536870912") }},
		{"a source that breaks", []string{"source"}, func(w *world) { w.source.propose(func(*release.Release) {}, errBroken) },
			func(w *world) { w.source.propose(func(*release.Release) {}, nil) }},
		{"a pause", []string{"paused"}, func(w *world) {
			if err := w.loop.Pause(shop, state.Pause{Who: "ada", Until: time.Now().Add(time.Hour)}); err != nil {
				w.t.Fatal(err)
			}
			w.RemoveContainer("h1", "shop-web-v1") // a pause is told of where it keeps something from being done
		}, func(w *world) {
			if err := w.loop.Unpause(shop, "", "", loopPerson("ada")); err != nil {
				w.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				f := &flips{}
				w.limited = true
				w.source.release = w.wanted("v1")
				w.deployed("v1").start(func(o *loop.Options) {
					open := o.Open
					o.Open = func(r release.Release) (*reconcile.Controller, error) { return w.deaf(open, r) } // a limit cannot be mended
					log := o.Log
					o.Log = func(n loop.Notice) { log(n); f.take(n) }
				}).settle()
				f.mu.Lock()
				f.heard = nil
				f.mu.Unlock()
				c.befall(w)
				w.pass(16 * time.Minute)
				c.over(w)
				w.pass(16 * time.Minute)
				var want []string
				for _, condition := range c.heard {
					want = append(want, condition+" begins", condition+" is over")
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if fmt.Sprint(f.heard) != fmt.Sprint(want) {
					t.Errorf("it is told %q\n%s", f.heard, w.said())
				}
			})
		})
	}
}

// People are told when a condition has held for its time, and not when the timer happens to come round; the same of its end.
func TestPeopleAreToldInTime(t *testing.T) {
	inWorld(t, func(w *world) {
		w.deployed("v1").start().settle()
		at := time.Now()
		w.Cut("h2")
		w.pass(3 * time.Minute)
		w.Restore("h2")
		w.pass(3 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		var when []string
		for _, told := range w.transitions {
			when = append(when, fmt.Sprintf("%s over %v after %s", told.Kind, told.Over, told.At.Sub(at).Truncate(10*time.Second)))
		}
		if want := []string{"unreachable over false after 1m0s", "unreachable over true after 4m0s"}; !slices.Equal(when, want) {
			t.Errorf("people were told %q", when)
		}
	})
}

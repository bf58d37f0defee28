package reconcile_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// count counts the calls of a method from now on.
func (w *world) count(method string) *atomic.Int32 {
	var n atomic.Int32
	w.Before(func(c sim.Call) error {
		if c.Method == method {
			n.Add(1)
		}
		return nil
	})
	return &n
}

func TestAVersionThatWasPushedAgainAfterItFailedIsPulledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 71)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Exits(1, 50*time.Millisecond))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("a broken version was released")
		}
		id, _ := w.Push(sim.Image{Ref: repository + ":v9", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v9"}})
		w.mustApply(w.release("v9"))
		if got := w.versions(); got != "h1/web=v9 h2/web=v9 h3/workers=v9" {
			t.Errorf("after the second attempt: %s", got)
		}
		for _, host := range w.Hosts() {
			for _, c := range w.Containers(host, state.View{}) {
				if c.Version() == "v9" && c.ImageID != id {
					t.Errorf("%s: %s is of the broken image", host, c.Name)
				}
			}
		}
	})
}

func TestAVersionThatIsServedIsNotLookedUpAtTheRegistry(t *testing.T) {
	for name, forget := range map[string]func(w *world){
		"recorded": func(w *world) {
			for _, host := range w.Hosts() {
				w.Untag(host, repository+":v1")
			}
		},
		"served and not recorded": func(w *world) {
			w.store = &memory{}
			for _, host := range w.Hosts() {
				w.RemoveFile(host, ".kamal/apps/shop/kamald/releases")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 72)
				w.mustApply(w.release("v1"))
				pin := w.plan(w.release("v1"), reconcile.Options{}).Plan.Pin
				forget(w)
				w.image("v1", sim.Exits(1, 0)) // a tag that was moved afterwards changes nothing
				asked := w.count("Engine.Manifest")
				if now := w.plan(w.release("v1"), reconcile.Options{}).Plan.Pin; now.Digest != pin.Digest || now.Digest == "" {
					t.Errorf("pinned to %+v, was %+v", now, pin)
				}
				if n := asked.Load(); n > 0 {
					t.Errorf("the registry was asked %d times", n)
				}
				w.plan(w.release("v2"), reconcile.Options{})
				if n := asked.Load(); n != 3 {
					t.Errorf("for a version that is nowhere it was asked %d times, and not once from each host", n)
				}
			})
		})
	}
}

func TestAPlanFromTheStoreAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 73)
		w.mustApply(w.release("v1"))
		calls := w.Calls()
		if planned := w.plan(w.release("v1"), reconcile.Options{Stored: true}); !planned.Plan.Empty() {
			t.Errorf("what is released: %+v", planned.Plan.Items)
		}
		for _, version := range []string{"v1", "v2"} {
			desired := w.release(version)
			reconfigurations["a variable"].after(&desired)
			planned := w.plan(desired, reconcile.Options{Stored: true})
			if len(planned.Plan.Items) == 0 {
				t.Errorf("%s: nothing is planned", version)
			}
			for _, item := range planned.Plan.Items {
				for _, field := range item.Fields {
					if strings.HasPrefix(field.Path, "secret ") {
						t.Errorf("%s %s: %s is shown as changed", item.Host, item.Name, field.Path)
					}
				}
			}
		}
		if n := w.Calls() - calls; n > 0 {
			t.Errorf("%d remote calls were made", n)
		}
	})
}

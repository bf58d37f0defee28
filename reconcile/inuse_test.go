package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

// An image that a container of another service has stays, and nobody says that it is gone.
func TestAnImageThatAnotherServiceHasIsNotCalledPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3001)
		w.released("v1", "v2", "v3", "v4")
		w.image("v9", sim.Exits(1, time.Millisecond))
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("a broken version was released")
		}
		w.RunContainer("h1", "other-1", state.Spec{Image: repository + ":v9", Network: "kamal", Labels: map[string]string{"service": "other"}}, nil, nil)
		report, err := w.prune(1)
		if err != nil || report.Outcome != state.OutcomeSucceeded {
			t.Fatalf("%s: %v", report.Outcome, err)
		}
		if len(report.Left) != 1 || !strings.Contains(report.Left[0], "h1: image "+repository+":v9 stays") {
			t.Errorf("left: %q", report.Left)
		}
		if data, _ := w.File("h1", ".kamal/shop-audit.log"); strings.Contains(string(data), "Pruned image "+repository+":v9") {
			t.Errorf("the server's audit file says that it is gone:\n%s", data)
		}
		for _, e := range w.store.events {
			if e.Kind == "untag" && e.Host == "h1" && strings.HasSuffix(e.Step, ":v9") && e.Outcome == state.EventDone {
				t.Errorf("the store says that it is gone: %+v", e)
			}
		}
		for _, item := range report.Plan.Items {
			if item.Host == "h1" && item.Name == repository+":v9" {
				t.Errorf("it is counted among what was pruned: %+v", item)
			}
		}
	})
}

// Another destination's run has a lock of its own: what it makes of an image meanwhile keeps the image and its name.
func TestAnImageThatAnotherDestinationTookMeanwhileKeepsItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3003)
		w.released("v1", "v2", "v3")
		met := false
		w.Before(func(c sim.Call) error {
			if met || c.Host != "h1" || c.Method != "Engine.Tag" || !strings.HasSuffix(c.Args, ":latest") {
				return nil
			}
			met = true
			w.RunContainer("h1", "shop-web-edge-v1", state.Spec{Image: repository + ":v1", Network: "kamal",
				Labels: map[string]string{"service": "shop", "role": "web", "destination": "edge"}}, nil, nil)
			w.Retag("h1", repository+":v1", repository+":latest-edge")
			return nil
		})
		report := w.mustApply(w.release("v4"))
		if !met || w.images("h1") != "v1 v2 v3 v4" || w.images("h2") != "v2 v3 v4" {
			t.Errorf("met %t: h1 has %s, h2 has %s; left %q", met, w.images("h1"), w.images("h2"), report.Left)
		}
	})
}

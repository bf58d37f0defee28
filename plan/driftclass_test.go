package plan_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// driftClasses are what the drift of the table drifts is found to be.
var driftClasses = map[string]plan.DriftClass{
	"a container removed": plan.DriftMissing, "a container stopped": plan.DriftExited, "a container paused": plan.DriftPaused,
	"a container that keeps ending": plan.DriftRestarting, "a network detached": plan.DriftNetwork,
	"an old version's container running too": plan.DriftSuperseded,
	"a route removed":                        plan.DriftRoute, "a route moved": plan.DriftRoute, "a route with other options": plan.DriftRoute,
	"the proxy stopped": plan.DriftProxy, "latest moved": plan.DriftTag, "latest taken away": plan.DriftTag,
	"the version's tag moved to another image": plan.DriftImage,
}

func TestEachDriftHasItsClass(t *testing.T) {
	for name, test := range drifts {
		class, named := driftClasses[name]
		if !named {
			class = plan.DriftSpec
		}
		w := released(t, shop()).clone()
		test.hand(t, w)
		p := w.plan()
		found := slices.ContainsFunc(p.Items, func(i plan.Item) bool { return i.Resource == test.want.resource && i.Class == class })
		if !found {
			t.Errorf("%s is not of the class %s: %+v", name, class, p.Items)
		}
	}
}

func TestAContainerThatDockerCallsUnhealthyIsSo(t *testing.T) {
	w := released(t, shop()).clone()
	webOn(t, w, "work-1", "workers").Health = "unhealthy"
	if items := w.plan().Drifted(); len(items) != 1 || items[0].Class != plan.DriftUnhealthy {
		t.Errorf("found %+v", items)
	}
}

func TestWhatNoReleaseAsksForIsAnOrphan(t *testing.T) {
	w := released(t, shop()).clone()
	w.desired.Roles = w.desired.Roles[:1]
	for _, item := range w.plan().Items {
		if item.Cause == plan.Orphan && item.Class != plan.DriftOrphan {
			t.Errorf("%+v", item)
		}
	}
}

// TestEveryItemSaysWhatItFound holds all the places where items are made, apart from what a partial release put there on purpose.
func TestEveryItemSaysWhatItFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		for _, item := range w.plan().Items {
			partial := slices.ContainsFunc(w.hosts, func(h state.Host) bool { return h.Name == item.Host && len(h.Partials) > 0 })
			if !slices.Contains(plan.DriftClasses, item.Class) && !(partial && item.Deferred != "") {
				t.Fatalf("no class: %+v", item)
			}
		}
	})
}

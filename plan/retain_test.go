package plan_test

import (
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// broken has v1 released, a container of Kamal's from before, and one of a release of v9 that ended so.
func broken(t *testing.T, outcome state.Outcome) *world {
	t.Helper()
	r := shop()
	r.RetainContainers = 2
	w := released(t, r)
	w.records = append([]state.Record{{Number: 5, Version: "v9", Outcome: outcome}}, w.records...)
	for version, number := range map[string]int{"v0": 0, "v9": 5} {
		c := w.make("web-1", "shop-web-"+version, *w.container("web-1", "shop-web-v1").Asked, state.StatusExited, image(w.desired, version).ID)
		c.Release, c.Created = number, epoch.AddDate(0, 0, number-30) // that of v9 is the newer one
		c.Asked.Image, c.Live.Image = w.desired.ImageName()+":"+version, w.desired.ImageName()+":"+version
	}
	return w
}

// versionsLeft gives the versions that web has on web-1.
func (w *world) versionsLeft() string {
	left := ""
	for _, version := range []string{"v0", "v1", "v2", "v9"} {
		if w.container("web-1", "shop-web-"+version) != nil {
			left += version + " "
		}
	}
	return left
}

// Kamal's containers have no record, and are gone back to all the same: one of a run that was killed makes way for them.
func TestAReleaseWithoutAnEndPushesOutNothingThatHasNoRecord(t *testing.T) {
	for _, outcome := range []state.Outcome{state.OutcomeRunning, state.OutcomeFailed, state.OutcomeCancelled} {
		if got := broken(t, outcome).to("v2").settle(t).versionsLeft(); got != "v0 v1 v2 " {
			t.Errorf("%s: left are %s", outcome, got)
		}
	}
}

func TestAPruneTakesWhatAFailedReleaseLeftThoughThereIsRoomForIt(t *testing.T) {
	for outcome, want := range map[state.Outcome]string{state.OutcomeFailed: "v0 v1 ", state.OutcomeCancelled: "v0 v1 ", state.OutcomeRunning: "v0 v1 v9 "} {
		w := broken(t, outcome)
		w.options = plan.Options{Prune: true}
		if got := w.settle(t).versionsLeft(); got != want {
			t.Errorf("%s: left are %s", outcome, got)
		}
	}
}

func TestAPruneTakesThePartsOfAnImageThatDidNotComeWhole(t *testing.T) {
	w := released(t, shop())
	app := w.desired.App()
	mine := w.desired.ImageName() + ":" + app.CarriedTag([]string{"sha256:base"})
	other := w.desired.ImageName() + ":" + state.App{Service: app.Service, Destination: "elsewhere"}.CarriedTag([]string{"sha256:base"})
	for i := range w.hosts {
		w.hosts[i].Images = append(w.hosts[i].Images, state.Image{ID: "sha256:" + id("image", "part"), Tags: []string{mine}}, state.Image{ID: "sha256:" + id("image", "other part"), Tags: []string{other}})
	}
	w.options = plan.Options{Prune: true}
	w = w.settle(t)
	for _, host := range w.hosts {
		if _, there := host.Image(mine); there {
			t.Errorf("%s keeps %s", host.Name, mine)
		}
		if _, there := host.Image(other); !there {
			t.Errorf("%s does not keep %s, which another destination may be waiting for", host.Name, other)
		}
	}
}

package plan_test

import (
	"slices"
	"testing"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func recordItems(p plan.Plan) []plan.Item {
	return slices.DeleteFunc(slices.Clone(p.Items), func(i plan.Item) bool { return i.Resource != plan.ResourceRecord })
}

// knowing is what the planner is given when the held release's record can be read.
func (w *world) knowing(held release.Release) plan.Input {
	in := w.input()
	in.HeldRelease, in.HeldDigest = &held, release.Digest(held)
	return in
}

func TestAVersionThatWasRecordedBeforeIsNotSaidToBeUnrecorded(t *testing.T) {
	w := released(t, shop()).to("v2").settle(t)
	if items := recordItems(w.to("v1").plan()); len(items) > 0 {
		t.Errorf("on the way back to a version whose containers are there: %+v", items)
	}
}

func TestWhatHealingMadeIsNotSaidToBeUnrecorded(t *testing.T) {
	w := released(t, shop())
	held := w.desired
	for i := range w.hosts {
		for j := range w.hosts[i].Containers {
			w.hosts[i].Containers[j].Release = 7 // a run that heals has a number, and no record
		}
	}
	w.desired.RetainContainers++ // says otherwise, and changes no container
	if p := plan.New(w.knowing(held)); len(p.Steps) > 0 || len(recordItems(p)) > 0 {
		t.Errorf("%+v", p.Items)
	}
}

func TestAHostThatLacksTheHeldRecordIsGivenIt(t *testing.T) {
	w := released(t, shop())
	complete := plan.New(w.knowing(w.desired))
	if !complete.Empty() {
		t.Fatal(show(complete))
	}
	w.host("web-2").Record = nil
	old := *w.held
	old.Number--
	w.host("work-1").Record = &old
	p := plan.New(w.knowing(w.desired))
	if len(p.Steps) != 2 || !hasStep(p, "keep/web-2") || !hasStep(p, "keep/work-1") || p.Kind != plan.KindHeal || len(recordItems(p)) != 2 {
		t.Fatal(show(p))
	}
	for _, item := range recordItems(p) {
		if item.Cause != plan.Leftover {
			t.Errorf("%+v", item)
		}
	}
	for _, s := range p.Steps {
		if err := w.step(s); err != nil {
			t.Fatal(err)
		}
	}
	if next := plan.New(w.knowing(w.desired)); !next.Empty() {
		t.Error(show(next))
	}
}

func TestAHostWithAnOlderCopyOfTheHeldRecordIsGivenTheNewer(t *testing.T) {
	w := released(t, shop())
	lifted := *w.held
	lifted.Revision++
	w.held, w.host("web-1").Record = &lifted, &lifted
	p := plan.New(w.knowing(w.desired))
	if hasStep(p, "keep/web-1") || !hasStep(p, "keep/web-2") {
		t.Error(show(p))
	}
}

func TestAHostThatTheHeldReleaseDoesNotHaveLacksNoRecord(t *testing.T) {
	w := released(t, shop())
	w.host("work-1").Record = nil
	held := w.desired
	held.Hosts = slices.DeleteFunc(slices.Clone(held.Hosts), func(h release.Host) bool { return h.Name == "work-1" })
	in := w.knowing(held)
	in.HeldDigest = release.Digest(w.desired)
	if p := plan.New(in); !p.Empty() {
		t.Error(show(p))
	}
	in = w.knowing(w.desired)
	in.Held = &state.Record{Number: 9, Version: "v0", Outcome: state.OutcomeSucceeded}
	if p := plan.New(in); slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepKeep }) {
		t.Errorf("a release writes its own: %s", show(p))
	}
}

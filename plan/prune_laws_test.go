package plan_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// foreign is what on a world's hosts is not the app's: other containers, and the images that other destinations run.
func (w *world) foreign() (list []string) {
	app := w.desired.App()
	for _, h := range w.hosts {
		for _, c := range h.Containers {
			if c.Service != app.Service || c.Destination != app.Destination || c.Role == "" {
				list = append(list, fmt.Sprintf("%s %s %s %s %s", h.Name, c.ID, c.Name, c.Status, c.ImageID))
			}
		}
		for _, m := range h.Images {
			for _, tag := range m.Tags {
				if strings.HasSuffix(tag, ":latest-other") || strings.HasSuffix(tag, ":theirs") {
					list = append(list, h.Name+" "+m.ID+" "+tag)
				}
			}
		}
	}
	return list
}

// TestAfterAnyPruneEveryReleaseWithinRetentionCanBeGoneBackTo, after any sequence of releases; and what is another's stays.
func TestAfterAnyPruneEveryReleaseWithinRetentionCanBeGoneBackTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired := shop()
		desired.RetainContainers = rapid.IntRange(1, 4).Draw(t, "retain_containers")
		w := fresh(desired)
		for i := range w.hosts {
			spec := state.Spec{Image: desired.ImageName() + ":v1", Network: "kamal", Labels: map[string]string{"service": "shop", "role": "web", "destination": "other"}}
			w.make(w.hosts[i].Name, "shop-web-other-v1", spec, state.StatusExited, "sha256:"+id("image", "other"))
			w.hosts[i].Images = append(w.hosts[i].Images,
				state.Image{ID: "sha256:" + id("image", "other"), Tags: []string{desired.ImageName() + ":latest-other"}},
				state.Image{ID: "sha256:" + id("image", "theirs"), Tags: []string{desired.ImageName() + ":theirs"}, Labels: map[string]string{"service": "newsroom"}})
		}
		theirs := w.foreign()
		records := []state.Record{{Version: "theirs", Outcome: state.OutcomeFailed}} // one of ours had that name
		do := func(in plan.Input) {
			in.Records = records
			p := plan.New(in)
			if len(p.Problems) > 0 {
				t.Fatalf("%+v", p.Problems)
			}
			if err := w.carryOut(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") }); err != nil {
				t.Fatalf("%v\n%s", err, show(p))
			}
			if got := w.foreign(); !reflect.DeepEqual(got, theirs) {
				t.Fatalf("another's: %v\nwas %v\n%s", got, theirs, show(p))
			}
		}
		for range rapid.IntRange(1, 8).Draw(t, "releases") {
			w = w.to(rapid.SampledFrom([]string{"v1", "v2", "v3", "v4", "v5", "v6"}).Draw(t, "version"))
			do(w.input())
			if records[0].Number != w.held.Number {
				record := *w.held
				record.Digest = w.pin.Digest
				records = slices.Insert(records, 0, record)
			}
		}
		retain := rapid.IntRange(1, 5).Draw(t, "retain")
		in := w.input()
		in.Options = plan.Options{Prune: true, Retain: retain, SkipUnreachable: true}
		do(in)
		in.Observed.Hosts, in.Records = w.hosts, records
		if again := plan.New(in); !again.Empty() {
			t.Fatalf("a second prune: %s", show(again))
		}
		if next := w.plan(); !next.Empty() {
			t.Fatalf("what is wanted was touched: %s", show(next))
		}
		goesBack(t, w, records, min(retain, desired.RetainContainers))
	})
}

// goesBack rolls back to each of the newest older versions, each time from the same world, without bringing any image.
func goesBack(t *rapid.T, w *world, records []state.Record, keep int) {
	seen := map[string]bool{w.desired.Version: true}
	for _, r := range records {
		if r.Outcome != state.OutcomeSucceeded || seen[r.Version] || len(seen) > keep {
			continue
		}
		seen[r.Version] = true
		back := w.to(r.Version)
		back.options.Back = true
		p := back.plan()
		if len(p.Problems) > 0 || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepImage }) {
			t.Fatalf("release %d (%s) cannot be gone back to as it is: %s", r.Number, r.Version, show(p))
		}
		if err := back.carryOut(p, inOrder); err != nil {
			t.Fatalf("back to release %d (%s): %v\n%s", r.Number, r.Version, err, show(p))
		}
		if next := back.plan(); !next.Empty() {
			t.Fatalf("after going back to %s: %s", r.Version, show(next))
		}
	}
}

// TestMakingRoomTakesOnlyWhatAPruneWouldTakeNow: early steps come before the image of their host, and are a prune's.
func TestMakingRoomTakesOnlyWhatAPruneWouldTakeNow(t *testing.T) {
	early := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 5 { // few worlds need room
			w := anyWorld(t)
			w.tighten(t)
			early += makesRoom(t, w)
		}
	})
	if early == 0 {
		t.Error("nothing was ever removed early: the law was not tried")
	}
}

// makesRoom holds a plan to the law, and gives how many steps of it are early.
func makesRoom(t *rapid.T, w *world) (early int) {
	in := w.input()
	held := w.desired
	held.Version = rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "held")
	if in.Held != nil {
		in.HeldRelease = &held
	}
	in.Records = []state.Record{{Number: 1, Version: "v1", Outcome: state.OutcomeSucceeded}}
	p := plan.New(in)
	if !reflect.DeepEqual(p, plan.New(in)) {
		t.Fatal("the same input gives another plan")
	}
	g := graphOf(p)
	prune := in
	prune.Desired, prune.Pin = held, plan.Pin{}
	if in.Held != nil {
		prune.Pin = plan.Pin{Digest: in.Held.Digest, ID: in.Held.ImageID}
	}
	keep := max(in.Options.Retain, 0)
	if keep == 0 {
		keep = in.Desired.RetainContainers
	}
	prune.Options = plan.Options{Prune: true, Retain: keep, SkipUnreachable: true}
	allowed := graphOf(plan.New(prune))
	for _, s := range p.Steps {
		if s.Phase != plan.PhasePrepare || s.Kind != plan.StepRemove && s.Kind != plan.StepUntag {
			continue
		}
		early++
		if _, ok := allowed.steps[s.ID]; !ok {
			t.Fatalf("%s is none of a prune's\n%s", s.ID, show(p))
		}
		if !g.after("image/" + s.Host)[s.ID] {
			t.Fatalf("the image does not wait for %s\n%s", s.ID, show(p))
		}
	}
	if len(g.steps) != len(p.Steps) {
		t.Fatalf("steps twice\n%s", show(p))
	}
	if len(p.Problems) == 0 {
		after := w.clone()
		if err := after.carryOut(p, inOrder); err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
	}
	return early
}

// tighten gives images a size and hosts little room, and lets most of them lack the release's image.
func (w *world) tighten(t *rapid.T) {
	if w.held == nil && often(t, "held after all") {
		w.held = &state.Record{Number: 1, Version: pick(t, "held version", versions...), Outcome: state.OutcomeSucceeded}
	}
	for i := range w.hosts {
		h := &w.hosts[i]
		h.FreeBytes = rapid.Int64Range(-1, 5).Draw(t, "free") * 100
		if i > 0 && often(t, "image to come") {
			h.Images = slices.DeleteFunc(h.Images, func(m state.Image) bool { return slices.Contains(m.Tags, w.desired.Image()) })
		}
		for j := range h.Images {
			h.Images[j].Size = 300
		}
	}
}

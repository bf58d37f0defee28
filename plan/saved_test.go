package plan_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// save gives a world's plan as a file has it.
func (w *world) save() plan.Saved {
	saved := plan.Save(w.plan(), w.desired, w.input().Observed)
	saved.Kamald, saved.Nonce, saved.At = "v1.0.0", "nonce", epoch
	return saved
}

// TestASavedPlanIsReadBackAsItWas, whatever world it was made of, and says that nothing has moved there.
func TestASavedPlanIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		data, err := w.save().Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.ParseSaved(data, "v1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.Plan, w.plan()) {
			t.Fatalf("%+v\nbecame\n%+v", w.plan(), back.Plan)
		}
		if again, err := back.Encode(); err != nil || !bytes.Equal(data, again) {
			t.Fatalf("written again it is other: %v", err)
		}
		if moves := back.Moved(w.input().Observed); len(moves) > 0 {
			t.Fatalf("nothing moved: %+v", moves)
		}
	})
}

// TestWhatDecidesNothingMakesNoPlanStale: clocks, counters, free space, and what is of others.
func TestWhatDecidesNothingMakesNoPlanStale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		saved := w.save()
		before := w.plan()
		for i := range w.hosts {
			h := &w.hosts[i]
			h.Engine.Clock, h.Engine.Version, h.FreeBytes, h.Fence = epoch.Add(time.Hour), "99", 12345, 77
			h.DiskBytes, h.SeenAt = 67890, epoch.Add(time.Hour)
			h.Proxy.Routes = append(slices.Clone(h.Proxy.Routes), state.Route{Name: "blog-web"})
			h.Networks = append(slices.Clone(h.Networks), state.Network{ID: "n", Name: "neighbours"})
			for j := range h.Containers {
				c := &h.Containers[j]
				c.RestartCount, c.Started, c.Finished = 5, epoch.Add(time.Hour), epoch.Add(time.Hour)
				for name := range c.IPs {
					c.IPs[name] = "10.9.9.9"
				}
				if c.Health == "" {
					c.Health = "healthy"
				}
			}
		}
		if moves := saved.Moved(w.input().Observed); len(moves) > 0 {
			t.Fatalf("%+v", moves)
		}
		if after := w.plan(); !reflect.DeepEqual(before, after) {
			t.Fatalf("and yet the plan is another: %s\n%s", show(before), show(after))
		}
	})
}

// TestNoByteOfASavedPlanCanBeChanged: what was cut off or changed is refused, and nothing panics.
func TestNoByteOfASavedPlanCanBeChanged(t *testing.T) {
	data, err := released(t, shop()).to("v2").save().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, len(data) / 2, len(data) - 3} {
		if _, err := plan.ParseSaved(data[:n], "v1.0.0"); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
	for _, change := range [][2]string{{`"kind": "stop"`, `"kind": "remove"`}, {`"grace": 1`, `"grace": 2`}, {`"host": "web-1"`, `"host": "web-2"`}, {`"version": "v2"`, `"version": "v3"`}, {`"nonce": "nonce"`, `"nonce": "other"`}, {`"status": "running"`, `"status": "exited"`}, {`"schema": 1,`, `"schema": 1, "more": true,`}} {
		changed := bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, data) {
			t.Fatalf("%s is not in it", change[0])
		}
		if _, err := plan.ParseSaved(changed, "v1.0.0"); err == nil || !strings.Contains(err.Error(), "changed after kamald wrote it") {
			t.Errorf("with %s: %v", change[1], err)
		}
	}
}

package reconcile_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func TestTheAuditPairsWhatWasIntendedWithHowItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 811)
		w.mustApply(w.release("v1"))
		time.Sleep(time.Hour)
		began := time.Now()
		w.image("v2", sim.Exits(7, time.Millisecond))
		_, _ = w.apply(t.Context(), w.release("v2"))
		c := w.controller()
		all, err := c.Audit(w.release("v2").App(), reconcile.AuditFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range all {
			if e.Who == "" || e.Where == "" || e.Outcome == state.EventIntended || e.Outcome == reconcile.AuditNotEnded || e.Ended.Before(e.At) {
				t.Errorf("entry %+v", e)
			}
			if i > 0 && e.At.Before(all[i-1].At) {
				t.Errorf("entry %d is older than the one before", i)
			}
		}
		failed, err := c.Audit(w.release("v2").App(), reconcile.AuditFilter{Hosts: []string{"h[1]"}, Release: 2, Since: began})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[string]string{}
		for _, e := range failed {
			if e.Host != "h1" || e.Release != 2 || e.At.Before(began) {
				t.Errorf("not asked for: %+v", e)
			}
			outcomes[e.Step] = e.Outcome
		}
		for step, outcome := range map[string]string{"create/h1/web": state.EventDone, "prove/h1/web": state.EventFailed, "switch/h1/web": state.EventNotBegun, "undo/create/h1/web": state.EventDone} {
			if outcomes[step] != outcome {
				t.Errorf("%s: %q", step, outcomes[step])
			}
		}
		few, _ := c.Audit(w.release("v2").App(), reconcile.AuditFilter{Limit: 2})
		if len(few) != 2 || few[1].Step != all[len(all)-1].Step {
			t.Errorf("the newest two: %+v", few)
		}
	})
}

func TestARunThatWasKilledLeavesWhatMayHaveBeenDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 812)
		w.mustApply(w.release("v1"))
		kept := []state.Event(nil)
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Deploy" && kept == nil {
				kept, _ = w.store.Events(state.App{}, 0) // what a process that dies here leaves behind
			}
			return nil
		})
		w.mustApply(w.release("v2"))
		left := &memory{}
		for i := range kept {
			_ = left.Append(state.App{}, kept[len(kept)-1-i])
		}
		w.store = left
		entries, err := w.controller().Audit(state.App{Service: "shop"}, reconcile.AuditFilter{Release: 2})
		if err != nil || len(entries) == 0 {
			t.Fatalf("%d entries: %v", len(entries), err)
		}
		for _, e := range entries {
			if e.Outcome != reconcile.AuditNotEnded {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestTheServersAuditFilesAreMergedWithKamalsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 813)
		w.WriteFile("h1", ".kamal/shop-audit.log", []byte("[1999-01-01T00:00:00Z] [ann] [web] Booted app version v0\nno form at all\n"))
		w.WriteFile("h2", ".kamal/shop-audit.log", []byte("[1999-01-01T00:00:01Z] [ann] Pruned images\n"))
		w.mustApply(w.release("v1"))
		w.Cut("h3")
		entries, skipped, err := w.controller().AuditFiles(t.Context(), w.release("v1"), reconcile.AuditFilter{})
		if err != nil || len(skipped) != 1 || skipped[0].Host != "h3" {
			t.Fatalf("skipped %v: %v", skipped, err)
		}
		if len(entries) < 8 {
			t.Fatalf("%d lines", len(entries))
		}
		if e := entries[0]; e.Host != "h1" || e.Who != "ann" || e.Role != "web" || e.Message != "Booted app version v0" {
			t.Errorf("%+v", e)
		}
		if e := entries[1]; e.Message != "no form at all" || e.Host != "h1" {
			t.Errorf("%+v", e)
		}
		if e := entries[2]; e.Host != "h2" || e.Role != "" || e.Message != "Pruned images" {
			t.Errorf("%+v", e)
		}
	})
}

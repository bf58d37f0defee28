package main

import (
	"testing"
	"time"

	"github.com/kamald/kamald/plan/drift"
	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

func TestDriftAsItIsSaid(t *testing.T) {
	inTranscript(t, "drift", func(tr *transcript) {
		time.Sleep(12 * time.Hour) // noon: the day is the same in every zone
		tr.run(0, "apply --version v1 -q")
		tr.run(0, "drift")
		tr.StopContainer("jobs-1", "shop-workers-v1")
		tr.Retag("web-1", "registry.example.com/acme/shop:v1", "registry.example.com/acme/shop:other")
		tr.says("somebody stopped the worker, and a daemon has seen it")
		remember(t, tr.who+".db")
		tr.run(3, "drift")
		tr.run(3, "drift --json")
		tr.run(3, "drift --format markdown")
		tr.run(3, "drift --format junit -o drift.xml")
		tr.run(0, "drift --hosts web-*")
		tr.Cut("web-2")
		tr.run(3, "drift")
		tr.run(0, "drift --history")
		tr.run(0, "drift --history -n 1 --json")
	})
}

// remember has a store know what a daemon would.
func remember(t *testing.T, path string) {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	app, id, since := state.App{Service: "shop"}, "exited/jobs-1/workers/shop-workers-v1", time.Now().Add(-5*time.Minute)
	err = store.SaveWatch(state.Watch{Schema: state.WatchSchema, App: app, Findings: []state.Finding{{ID: id, Since: since, Event: "container die, exit code 137"}}})
	if err != nil {
		t.Fatal(err)
	}
	event := state.Event{Kind: drift.EventKind, Host: "jobs-1", Role: "workers", Step: id}
	for i, outcome := range []string{drift.EventFound, drift.EventHealed, drift.EventFound} {
		event.At, event.Outcome, event.Message = since.Add(time.Duration(i-2)*time.Minute), outcome, "it is stopped (exit code 137)"
		if err := store.Append(app, event); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

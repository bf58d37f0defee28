package bolt_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

func TestWhatTheDaemonRemembersComesBackForEachApp(t *testing.T) {
	s, path := open(t)
	if _, ok, err := s.Watch(shop); ok || err != nil {
		t.Fatalf("of nothing: %v %v", ok, err)
	}
	want := state.Watch{Schema: state.WatchSchema, App: shop, Comparator: "1", Approved: []string{"x"},
		Wanted: &state.Wanted{Version: "v1", From: "git trunk@1a2b3c4", At: noon, Release: json.RawMessage(`{"service":"shop"}`)},
		Pauses: []state.Pause{{Host: "web-1", Reason: "disk", Who: "ada", Since: noon, Until: noon.Add(time.Hour)}}}
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "0"}))
	must(t, s.SaveWatch(want))
	must(t, s.SaveWatch(state.Watch{App: staging}))
	again, err := bolt.Open(path)
	must(t, err)
	got, ok, err := again.Watch(shop)
	must(t, err)
	if !ok {
		t.Fatal("nothing is remembered")
	}
	same(t, got, want)
	must(t, again.Check())
}

func TestTrimKeepsTheNewestOfEachAppAndForgetsTheNoncesOfTheRest(t *testing.T) {
	s, _ := open(t)
	for i := range 10 {
		must(t, s.Append(shop, state.Event{Message: fmt.Sprint(i)}))
		must(t, s.Append(staging, state.Event{Message: fmt.Sprint(i)}))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint("n", i), At: noon.Add(time.Duration(i) * time.Minute), Plan: json.RawMessage(`{}`)}))
	}
	must(t, s.SaveRelease(state.Record{App: shop, Number: 1}))
	must(t, s.Trim(shop, 3, 2))
	messages := func(app state.App) (all []string) {
		events, err := s.Events(app, 0)
		must(t, err)
		for _, e := range events {
			all = append(all, e.Message)
		}
		return all
	}
	same(t, messages(shop), []string{"9", "8", "7"})
	same(t, nonces(t, s, 0), []string{"n9", "n8"})
	if n := len(messages(staging)); n != 10 {
		t.Errorf("another app has %d events", n)
	}
	if records, err := s.Releases(shop); err != nil || len(records) != 1 {
		t.Errorf("the releases are %v %v", records, err)
	}
	must(t, s.SavePlan(shop, state.PlanRecord{Nonce: "n0", At: noon.Add(time.Hour), Plan: json.RawMessage(`{"again":true}`)}))
	same(t, nonces(t, s, 0), []string{"n0", "n9", "n8"})
	must(t, s.Append(shop, state.Event{Message: "10"}))
	same(t, messages(shop), []string{"10", "9", "8", "7"})
	must(t, s.Trim(shop, 10, 10))
	must(t, s.Trim(state.App{Service: "unknown"}, 1, 1))
	same(t, messages(shop), []string{"10", "9", "8", "7"})
	must(t, s.Trim(shop, 0, 0))
	if len(messages(shop)) != 0 || len(nonces(t, s, 0)) != 0 {
		t.Error("there is something left of nothing")
	}
	must(t, s.Check())
}

func TestATrimThatHasNothingToDoWritesNothing(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{Message: "x"}))
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, s.Trim(shop, 1, 1))
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the file changed")
	}
}

// A daemon that appends and trims for ever has a file that stays as large as what it keeps.
func TestWhatTrimFreesIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	must(t, err)
	defer s.Close()
	size := func() int64 {
		info, err := os.Stat(path)
		must(t, err)
		return info.Size()
	}
	var early int64
	for round := range 120 {
		var events []state.Event
		for range 50 {
			events = append(events, state.Event{Message: strings.Repeat("x", 500)})
		}
		must(t, s.Append(shop, events...))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint(round), At: noon.Add(time.Duration(round) * time.Second),
			Plan: json.RawMessage(`"` + strings.Repeat("p", 4000) + `"`)}))
		must(t, s.SaveWatch(state.Watch{App: shop, Comparator: fmt.Sprint(round)}))
		must(t, s.Trim(shop, 200, 5))
		if round == 20 {
			early = size()
		}
	}
	if late := size(); late > early*3/2 {
		t.Errorf("%d bytes after 20 rounds are %d after 120", early, late)
	}
	if events, err := s.Events(shop, 0); err != nil || len(events) != 200 {
		t.Errorf("%d events, %v", len(events), err)
	}
	must(t, s.Check())
}

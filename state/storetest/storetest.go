// Package storetest has the cases that every state.Store answers alike, and a model of one that random operations are compared with.
// Tests only.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

var (
	shop    = state.App{Service: "shop"}
	staging = state.App{Service: "shop", Destination: "staging"}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// Run holds a store to what state.Store promises. open gives an empty one for each case.
func Run(t *testing.T, open func(t *testing.T) state.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, state.Store)
	}{
		{"an empty store has nothing, and says so without an error", empty},
		{"a snapshot comes back as it was saved", snapshotBack},
		{"what the daemon remembers comes back for each app", watchBack},
		{"releases come newest first, and one number is one record", releasesNewestFirst},
		{"plans come newest first up to a limit, and a nonce is one plan", plansNewestFirst},
		{"events come newest first up to a limit", eventsNewestFirst},
		{"apps are sorted, and known from the first value on", appsSorted},
		{"names do not run into each other", oddNames},
		{"trim keeps the newest of each app, and forgets the nonces of the rest", trimKeepsNewest},
		{"trim cuts within what was appended at once", trimWithin},
		{"large values come back, and others in their place", largeValues},
		{"several append at once, and nothing is lost", together},
		{"a closed store fails", closed},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func empty(t *testing.T, s state.Store) {
	_, ok, err := s.Snapshot(shop)
	must(t, err)
	_, watched, err := s.Watch(shop)
	must(t, err)
	if ok || watched {
		t.Error("there is a snapshot or a watch")
	}
	records, err := s.Releases(shop)
	must(t, err)
	plans, err := s.Plans(shop, 0)
	must(t, err)
	events, err := s.Events(shop, 5)
	must(t, err)
	apps, err := s.Apps()
	must(t, err)
	must(t, s.Trim(shop, 1, 1))
	must(t, s.Append(shop))
	if n := len(records) + len(plans) + len(events) + len(apps); n > 0 {
		t.Errorf("%d things: %v %v %v %v", n, records, plans, events, apps)
	}
}

func snapshotBack(t *testing.T, s state.Store) {
	record := &state.Record{App: shop, Number: 3, Release: json.RawMessage(`{"a":1}`)}
	want := state.Snapshot{Schema: 1, App: shop, TakenAt: noon, Hosts: []state.Host{{Name: "web1", FreeBytes: -1, Record: record}, {Name: "web2", Record: record}}}
	must(t, s.SaveSnapshot(state.Snapshot{App: shop, TakenAt: noon.Add(-time.Hour)}))
	must(t, s.SaveSnapshot(want))
	must(t, s.SaveSnapshot(state.Snapshot{App: staging}))
	for range 2 { // what is read again may come from elsewhere
		got, ok, err := s.Snapshot(shop)
		must(t, err)
		if !ok {
			t.Fatal("the snapshot is not there")
		}
		same(t, got, want)
		got.Hosts[0].Name = "changed by whoever read it"
	}
}

func watchBack(t *testing.T, s state.Store) {
	want := state.Watch{Schema: state.WatchSchema, App: shop, Comparator: "1", Approved: []string{"x"},
		Wanted: &state.Wanted{Version: "v1", From: "git trunk@1a2b3c4", At: noon, Release: json.RawMessage(`{"service":"shop"}`)},
		Pauses: []state.Pause{{Host: "web-1", Reason: "disk", Who: "ada", Since: noon, Until: noon.Add(time.Hour)}}}
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "0"}))
	must(t, s.SaveWatch(want))
	must(t, s.SaveWatch(state.Watch{App: staging}))
	got, ok, err := s.Watch(shop)
	must(t, err)
	if !ok {
		t.Fatal("nothing is remembered")
	}
	same(t, got, want)
}

func releasesNewestFirst(t *testing.T, s state.Store) {
	for _, n := range []int{2, 300, 10, 1} {
		must(t, s.SaveRelease(state.Record{App: shop, Number: n, Outcome: state.OutcomeRunning}))
	}
	must(t, s.SaveRelease(state.Record{App: staging, Number: 7}))
	same(t, numbers(t, s), []string{"300running", "10running", "2running", "1running"})
	must(t, s.SaveRelease(state.Record{App: shop, Number: 10, Outcome: state.OutcomeSucceeded}))
	must(t, s.SaveRelease(state.Record{App: shop, Number: 10, Outcome: state.OutcomeSucceeded}))
	same(t, numbers(t, s), []string{"300running", "10succeeded", "2running", "1running"})
	if err := s.SaveRelease(state.Record{App: shop}); err == nil {
		t.Fatal("a record without a number was taken")
	}
}

func plansNewestFirst(t *testing.T, s state.Store) {
	for i, nonce := range []string{"a", "b", "c"} {
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: nonce, At: noon.Add(time.Duration(i)), Plan: json.RawMessage(`{}`)}))
	}
	must(t, s.SavePlan(shop, state.PlanRecord{Nonce: "zero", Plan: json.RawMessage(`{}`)}))
	again := state.PlanRecord{Nonce: "a", At: noon.Add(time.Hour), Plan: json.RawMessage(`{"again":true}`)}
	must(t, s.SavePlan(shop, again))
	must(t, s.SavePlan(shop, again))
	same(t, nonces(t, s, 0), []string{"a", "c", "b", "zero"})
	same(t, nonces(t, s, 2), []string{"a", "c"})
	again.Plan = json.RawMessage(`{"again":2}`) // at the same time
	must(t, s.SavePlan(shop, again))
	plans, err := s.Plans(shop, 1)
	must(t, err)
	same(t, plans, []state.PlanRecord{again})
	if err := s.SavePlan(shop, state.PlanRecord{}); err == nil {
		t.Error("a plan without a nonce was taken")
	}
}

func eventsNewestFirst(t *testing.T, s state.Store) {
	must(t, s.Append(shop, state.Event{Message: "one"}, state.Event{Message: "two"}))
	must(t, s.Append(shop, state.Event{Message: "three"}))
	must(t, s.Append(shop, state.Event{Message: "four"}, state.Event{Message: "five"}))
	same(t, messages(t, s, shop, 4), []string{"five", "four", "three", "two"})
	same(t, messages(t, s, shop, 1), []string{"five"})
	same(t, messages(t, s, shop, 0), []string{"five", "four", "three", "two", "one"})
}

func appsSorted(t *testing.T, s state.Store) {
	must(t, s.SaveWatch(state.Watch{App: staging}))
	must(t, s.Append(state.App{Service: "blog"}, state.Event{Message: "x"}))
	must(t, s.SaveRelease(state.Record{App: shop, Number: 1}))
	must(t, s.SavePlan(state.App{Service: "shop-b"}, state.PlanRecord{Nonce: "n", Plan: json.RawMessage(`{}`)}))
	must(t, s.SaveSnapshot(state.Snapshot{App: state.App{Service: "zoo"}}))
	apps, err := s.Apps()
	must(t, err)
	same(t, apps, []state.App{{Service: "blog"}, shop, staging, {Service: "shop-b"}, {Service: "zoo"}})
}

func oddNames(t *testing.T, s state.Store) {
	apps := []state.App{{Service: "a"}, {Service: "a", Destination: "b"}, {Service: "a-b"}, {Service: "a/b"}, {Service: "a", Destination: "snapshot"},
		{Service: "A_1.x", Destination: "eu-1"}}
	for i, app := range apps {
		must(t, s.SaveRelease(state.Record{App: app, Number: i + 1}))
		must(t, s.SavePlan(app, state.PlanRecord{Nonce: "../n/1 ü", Release: i + 1, Plan: json.RawMessage(`{}`)}))
	}
	for i, app := range apps {
		records, err := s.Releases(app)
		must(t, err)
		plans, err := s.Plans(app, 0)
		must(t, err)
		if len(records) != 1 || records[0].Number != i+1 || len(plans) != 1 || plans[0].Release != i+1 {
			t.Errorf("%q has %v %v", app, records, plans)
		}
	}
}

func trimKeepsNewest(t *testing.T, s state.Store) {
	for i := range 10 {
		must(t, s.Append(shop, state.Event{Message: fmt.Sprint(i)}))
		must(t, s.Append(staging, state.Event{Message: fmt.Sprint(i)}))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint("n", i), At: noon.Add(time.Duration(i) * time.Minute), Plan: json.RawMessage(`{}`)}))
	}
	must(t, s.SaveRelease(state.Record{App: shop, Number: 1}))
	must(t, s.Trim(shop, 3, 2))
	same(t, messages(t, s, shop, 0), []string{"9", "8", "7"})
	same(t, nonces(t, s, 0), []string{"n9", "n8"})
	if n := len(messages(t, s, staging, 0)); n != 10 {
		t.Errorf("another app has %d events", n)
	}
	same(t, numbers(t, s), []string{"1"})
	must(t, s.SavePlan(shop, state.PlanRecord{Nonce: "n0", At: noon.Add(time.Hour), Plan: json.RawMessage(`{"again":true}`)}))
	same(t, nonces(t, s, 0), []string{"n0", "n9", "n8"})
	must(t, s.Append(shop, state.Event{Message: "10"}))
	same(t, messages(t, s, shop, 0), []string{"10", "9", "8", "7"})
	must(t, s.Trim(shop, 10, 10))
	must(t, s.Trim(state.App{Service: "unknown"}, 1, 1))
	same(t, messages(t, s, shop, 0), []string{"10", "9", "8", "7"})
	must(t, s.Trim(shop, 0, 0))
	if len(messages(t, s, shop, 0)) != 0 || len(nonces(t, s, 0)) != 0 {
		t.Error("there is something left of nothing")
	}
	must(t, s.Append(shop, state.Event{Message: "anew"}))
	same(t, messages(t, s, shop, 0), []string{"anew"})
}

func trimWithin(t *testing.T, s state.Store) {
	for i := range 4 {
		must(t, s.Append(shop, state.Event{Message: fmt.Sprint(i, "a")}, state.Event{Message: fmt.Sprint(i, "b")}, state.Event{Message: fmt.Sprint(i, "c")}))
	}
	must(t, s.Trim(shop, 8, 0))
	same(t, messages(t, s, shop, 0), []string{"3c", "3b", "3a", "2c", "2b", "2a", "1c", "1b"})
	must(t, s.Trim(shop, 7, 0))
	must(t, s.Append(shop, state.Event{Message: "4"}))
	must(t, s.Trim(shop, 6, 0))
	same(t, messages(t, s, shop, 0), []string{"4", "3c", "3b", "3a", "2c", "2b"})
	must(t, s.Trim(shop, 1, 0))
	same(t, messages(t, s, shop, 0), []string{"4"})
}

func largeValues(t *testing.T, s state.Store) {
	for _, size := range []int{5 << 20, 100, 3 << 20, 6 << 20} {
		text := noise(size)
		must(t, s.SaveSnapshot(state.Snapshot{App: shop, Hosts: []state.Host{{Name: text}}}))
		must(t, s.SaveRelease(state.Record{App: shop, Number: 1, Reason: text}))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: "n", At: noon.Add(time.Duration(size)), Plan: json.RawMessage(`"` + text + `"`)}))
		must(t, s.Append(shop, state.Event{Message: text[:size/2]}, state.Event{Message: text[size/2:]}))
		must(t, s.Trim(shop, 1, 1))
		snapshot, _, err := s.Snapshot(shop)
		must(t, err)
		records, err := s.Releases(shop)
		must(t, err)
		plans, err := s.Plans(shop, 0)
		must(t, err)
		if snapshot.Hosts[0].Name != text || len(records) != 1 || records[0].Reason != text || len(plans) != 1 || string(plans[0].Plan) != `"`+text+`"` {
			t.Fatalf("of %d bytes something else came back", size)
		}
		if got := messages(t, s, shop, 0); len(got) != 1 || got[0] != text[size/2:] {
			t.Fatalf("of %d bytes other events came back: %d", size, len(got))
		}
	}
}

// noise is text that nothing makes much smaller.
func noise(size int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := rand.New(rand.NewPCG(1, uint64(size)))
	var b strings.Builder
	for range size {
		b.WriteByte(letters[r.IntN(len(letters))])
	}
	return b.String()
}

func together(t *testing.T, s state.Store) {
	const writers, each = 4, 10
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			for i := range each {
				errs[w] = errors.Join(errs[w], s.Append(shop, state.Event{Message: fmt.Sprint(w, " ", i), Release: i}))
			}
		})
	}
	all.Wait()
	must(t, errors.Join(errs...))
	seen, next := map[string]bool{}, map[byte]int{}
	events, err := s.Events(shop, 0)
	must(t, err)
	for i := len(events) - 1; i >= 0; i-- {
		message := events[i].Message
		seen[message] = true
		if next[message[0]] != events[i].Release {
			t.Errorf("%s is not in its order", message)
		}
		next[message[0]]++
	}
	if len(seen) != writers*each || len(events) != writers*each {
		t.Errorf("%d events, %d of them different, want %d", len(events), len(seen), writers*each)
	}
}

func closed(t *testing.T, s state.Store) {
	must(t, s.Append(shop, state.Event{Message: "x"}))
	must(t, s.Close())
	if err := s.Append(shop, state.Event{}); err == nil {
		t.Error("a closed store took an event")
	}
	if _, err := s.Apps(); err == nil {
		t.Error("a closed store was read")
	}
}

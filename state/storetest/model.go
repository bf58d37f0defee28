package storetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// model is a store of one app in memory: what a store is to give.
type model struct {
	snapshot *state.Snapshot
	watch    *state.Watch
	releases map[int]state.Record
	plans    map[string]state.PlanRecord
	events   []state.Event // oldest first
}

var runs atomic.Int64

// Random does random operations on a store, and compares all that it gives with the model after each.
func Random(t *testing.T, s state.Store) {
	rapid.Check(t, func(r *rapid.T) {
		app := state.App{Service: fmt.Sprint("random-", runs.Add(1)), Destination: rapid.SampledFrom([]string{"", "eu"}).Draw(r, "destination")}
		m := &model{releases: map[int]state.Record{}, plans: map[string]state.PlanRecord{}}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			if err := m.step(r, s, app); err != nil {
				r.Fatal(err)
			}
			if wrong := m.compare(s, app, rapid.IntRange(0, 4).Draw(r, "limit")); wrong != "" {
				r.Fatal(wrong)
			}
		}
	})
}

// step does one operation to both.
func (m *model) step(r *rapid.T, s state.Store, app state.App) error {
	n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(r, name) }
	switch n("operation", 6) {
	case 0:
		m.snapshot = &state.Snapshot{App: app, TakenAt: noon.Add(time.Duration(n("at", 3)) * time.Second), Hosts: []state.Host{{Name: text(n("size", 2))}}}
		return s.SaveSnapshot(*m.snapshot)
	case 1:
		m.watch = &state.Watch{App: app, Comparator: fmt.Sprint(n("comparator", 2)), Settled: text(n("size", 2))}
		return s.SaveWatch(*m.watch)
	case 2:
		record := state.Record{App: app, Number: 1 + n("number", 5), Reason: text(n("size", 2))}
		m.releases[record.Number] = record
		return s.SaveRelease(record)
	case 3:
		plan := state.PlanRecord{Nonce: string(rune('a' + n("nonce", 4))), At: noon.Add(time.Duration(n("at", 6)) * time.Minute),
			Plan: json.RawMessage(`"` + text(n("size", 2)) + `"`)}
		m.plans[plan.Nonce] = plan
		return s.SavePlan(app, plan)
	case 4, 5:
		var events []state.Event
		for range n("events", 4) {
			events = append(events, state.Event{Message: fmt.Sprint(len(m.events)+len(events), text(n("size", 2)))})
		}
		m.events = append(m.events, events...)
		return s.Append(app, events...)
	}
	events, plans := n("keep events", 6), n("keep plans", 4)
	m.events = slices.Clone(m.events[max(len(m.events)-events, 0):])
	if kept := m.newestPlans(0); len(kept) > plans {
		for _, plan := range kept[plans:] {
			delete(m.plans, plan.Nonce)
		}
	}
	return s.Trim(app, events, plans)
}

// text is of one of three sizes: what is compressed, or put in parts, is to be met too.
func text(size int) string { return strings.Repeat("kamald ", []int{1, 100, 1000}[size]) }

// newestPlans sorts by time, then by nonce.
func (m *model) newestPlans(limit int) []state.PlanRecord {
	plans := slices.SortedFunc(maps.Values(m.plans), func(a, b state.PlanRecord) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Nonce, a.Nonce))
	})
	if limit > 0 && len(plans) > limit {
		plans = plans[:limit]
	}
	return plans
}

// compare says what a store gives that is not what the model has; "" when it is all the same.
func (m *model) compare(s state.Store, app state.App, limit int) string {
	snapshot, seen, err := s.Snapshot(app)
	watch, watched, err2 := s.Watch(app)
	records, err3 := s.Releases(app)
	plans, err4 := s.Plans(app, limit)
	events, err5 := s.Events(app, limit)
	apps, err6 := s.Apps()
	if err := cmp.Or(err, err2, err3, err4, err5, err6); err != nil {
		return err.Error()
	}
	var newest []state.Event
	for _, event := range slices.Backward(m.events) {
		if limit <= 0 || len(newest) < limit {
			newest = append(newest, event)
		}
	}
	var held []state.Record
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(m.releases))) {
		held = append(held, m.releases[number])
	}
	known := m.snapshot != nil || m.watch != nil || len(held)+len(m.plans)+len(m.events) > 0
	switch {
	case seen != (m.snapshot != nil) || seen && differ(snapshot, *m.snapshot):
		return fmt.Sprintf("another snapshot: %v", snapshot)
	case watched != (m.watch != nil) || watched && differ(watch, *m.watch):
		return fmt.Sprintf("another watch: %v", watch)
	case differ(records, held):
		return fmt.Sprintf("other releases: %v, want %v", records, held)
	case differ(plans, m.newestPlans(limit)):
		return fmt.Sprintf("other plans: %v, want %v", plans, m.newestPlans(limit))
	case differ(events, newest):
		return fmt.Sprintf("other events: %v, want %v", events, newest)
	case known && !slices.Contains(apps, app): // what has had something may be known for ever
		return fmt.Sprintf("%s is not among %v", app, apps)
	}
	return ""
}

// differ compares as JSON, in which nothing and an empty list are one here.
func differ(a, b any) bool { return encoded(a) != encoded(b) }

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	if string(data) == "null" {
		return "[]"
	}
	return string(data)
}

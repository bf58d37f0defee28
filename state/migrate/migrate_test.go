package migrate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
	"github.com/kamald/kamald/state/migrate"
)

var (
	shop = state.App{Service: "shop"}
	blog = state.App{Service: "blog", Destination: "eu"}
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func TestAllOfAStoreComesIntoAnotherAndBack(t *testing.T) {
	from, cluster, back := file(t), cluster(t), file(t)
	fill(t, from)
	moved, err := migrate.Copy(from, cluster)
	must(t, err)
	again, err := migrate.Copy(cluster, back)
	must(t, err)
	if len(moved) != 2 || moved[1].App != shop || moved[1].Releases != 12 || moved[1].Plans != 7 || moved[1].Events != 450 || !moved[1].Snapshot || !moved[1].Watch {
		t.Errorf("moved %+v", moved)
	}
	if fmt.Sprint(moved) != fmt.Sprint(again) {
		t.Errorf("there and back:\n%+v\n%+v", moved, again)
	}
	if moved[0].Digest == moved[1].Digest {
		t.Error("two apps have one digest")
	}
	twice, err := migrate.Copy(from, cluster)
	must(t, err)
	if fmt.Sprint(moved) != fmt.Sprint(twice) {
		t.Errorf("a second time: %+v", twice)
	}
}

// Whatever write is the last before the process dies: the next run brings the rest.
func TestACopyThatWasInterruptedIsCompleted(t *testing.T) {
	from := file(t)
	fill(t, from)
	whole, err := migrate.Copy(from, file(t))
	must(t, err)
	for n := 0; ; n++ {
		to := file(t)
		failing := &failing{Store: to, left: n}
		_, err := migrate.Copy(from, failing)
		if err == nil {
			if n < 20 {
				t.Errorf("%d writes are all", n)
			}
			return
		}
		if !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		moved, err := migrate.Copy(from, to)
		must(t, err)
		if fmt.Sprint(moved) != fmt.Sprint(whole) {
			t.Fatalf("after %d writes: %+v", n, moved)
		}
	}
}

func TestAStoreWithSomethingElseIsLeftAsItIs(t *testing.T) {
	from := file(t)
	fill(t, from)
	for what, put := range map[string]func(state.Store) error{
		"the snapshot of shop":              func(s state.Store) error { return s.SaveSnapshot(state.Snapshot{App: shop}) },
		"what the daemon remembers of shop": func(s state.Store) error { return s.SaveWatch(state.Watch{App: shop}) },
		"a release of shop":                 func(s state.Store) error { return s.SaveRelease(state.Record{App: shop, Number: 1, Reason: "x"}) },
		"a plan of blog-eu": func(s state.Store) error {
			return s.SavePlan(blog, state.PlanRecord{Nonce: "x", Plan: json.RawMessage(`1`)})
		},
		"an event of shop": func(s state.Store) error { return s.Append(shop, state.Event{Message: "x"}) },
		"an event of zoo":  func(s state.Store) error { return s.Append(state.App{Service: "zoo"}, state.Event{Message: "x"}) },
	} {
		to := file(t)
		must(t, put(to))
		_, err := migrate.Copy(from, to)
		if !errors.Is(err, migrate.ErrOther) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if records, _ := to.Releases(shop); len(records) > 1 {
			t.Errorf("%s: something was written", what)
		}
	}
}

func TestABackupIsOfOneMomentOfWhatIsWrittenToMeanwhile(t *testing.T) {
	for writes, moving := range map[int]bool{0: false, 4: false, 1000: true} {
		from, to := file(t), file(t)
		fill(t, from)
		moved, err := migrate.Backup(&restless{Store: from, left: writes}, to)
		must(t, err)
		if len(moved) != 2 || moved[0].Moving || moved[1].Moving != moving || moved[1].Events < 450 {
			t.Errorf("%d writes: %+v", writes, moved)
		}
		if moving {
			continue
		}
		whole, err := migrate.Copy(from, to) // nothing is missing there
		must(t, err)
		if fmt.Sprint(moved) != fmt.Sprint(whole) || moved[1].Events != 450+writes {
			t.Errorf("%d writes:\n%+v\n%+v", writes, moved, whole)
		}
	}
}

// restless is written to each time that it is read, so many times.
type restless struct {
	state.Store
	left int
}

func (r *restless) Events(app state.App, limit int) ([]state.Event, error) {
	events, err := r.Store.Events(app, limit)
	if app == shop && r.left > 0 {
		r.left--
		err = errors.Join(err, r.Append(shop, state.Event{Message: fmt.Sprint(r.left)}))
	}
	return events, err
}

var errDied = errors.New("died")

// failing takes so many writes, and no more.
type failing struct {
	state.Store
	left int
}

func (f *failing) one(do func() error) error {
	if f.left == 0 {
		return errDied
	}
	f.left--
	return do()
}

func (f *failing) SaveSnapshot(v state.Snapshot) error {
	return f.one(func() error { return f.Store.SaveSnapshot(v) })
}
func (f *failing) SaveWatch(v state.Watch) error {
	return f.one(func() error { return f.Store.SaveWatch(v) })
}
func (f *failing) SaveRelease(v state.Record) error {
	return f.one(func() error { return f.Store.SaveRelease(v) })
}
func (f *failing) SavePlan(app state.App, v state.PlanRecord) error {
	return f.one(func() error { return f.Store.SavePlan(app, v) })
}
func (f *failing) Append(app state.App, v ...state.Event) error {
	return f.one(func() error { return f.Store.Append(app, v...) })
}

func fill(t *testing.T, s state.Store) {
	t.Helper()
	record := state.Record{App: shop, Number: 12, Release: json.RawMessage(`{"service":"shop"}`), Started: noon}
	must(t, s.SaveSnapshot(state.Snapshot{App: shop, TakenAt: noon, Hosts: []state.Host{{Name: "web-1", Record: &record}, {Name: "web-2", Record: &record}}}))
	must(t, s.SaveWatch(state.Watch{App: shop, Settled: "x"}))
	for n := range 12 {
		record.Number = n + 1
		must(t, s.SaveRelease(record))
	}
	for n := range 7 {
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint(n), At: noon.Add(time.Duration(n%3) * time.Hour), Plan: json.RawMessage(`{"steps": []}`)}))
	}
	for n := range 150 {
		must(t, s.Append(shop, state.Event{Message: fmt.Sprint(n)}, state.Event{Message: "same"}, state.Event{Message: "same"}))
	}
	must(t, s.Append(blog, state.Event{Message: "<only this>"}))
}

func file(t *testing.T) state.Store {
	t.Helper()
	s, err := bolt.OpenWith(filepath.Join(t.TempDir(), "state.db"), bolt.Options{Hold: true})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func cluster(t *testing.T) state.Store {
	t.Helper()
	s, err := etcd.Open(etcd.Config{Endpoints: etcdtest.Start(t, 1).Endpoints()})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

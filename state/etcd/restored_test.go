package etcd_test

import (
	"testing"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcdtest"
)

// Revisions go back with what is restored: by them alone, what is remembered of later would seem to be there still.
func TestAClusterThatWasRestoredIsReadAsItIs(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	member := cluster.Members[0]
	s := open(t, cluster.Endpoints()...)
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "early"}))
	must(t, s.SaveRelease(state.Record{App: shop, Number: 1}))
	member.Stop()
	restore := member.Save()
	member.Start()
	eventually(t, "it is back", func() bool { return s.Writable() == nil })
	for n := range 20 {
		must(t, s.SaveRelease(state.Record{App: shop, Number: n + 1, Reason: "lost"}))
	}
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "lost"}))
	if records, err := s.Releases(shop); err != nil || len(records) != 20 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	member.Stop()
	restore()
	member.Start()
	other := open(t, cluster.Endpoints()...)
	eventually(t, "it is back", func() bool { return other.Writable() == nil })
	must(t, other.SaveWatch(state.Watch{App: shop, Comparator: "restored"}))
	must(t, other.SaveRelease(state.Record{App: shop, Number: 1, Reason: "restored"}))
	eventually(t, "it is back", func() bool { _, err := s.Events(shop, 1); return err == nil }) // of them nothing is remembered
	if watch, ok, err := s.Watch(shop); err != nil || !ok || watch.Comparator != "restored" {
		t.Errorf("%v %v %v", watch, ok, err)
	}
	if records, err := s.Releases(shop); err != nil || len(records) != 1 || records[0].Reason != "restored" {
		t.Errorf("%v %v", records, err)
	}
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "lost"}))
	if watch, ok, err := other.Watch(shop); err != nil || !ok || watch.Comparator != "lost" {
		t.Errorf("%v %v %v", watch, ok, err)
	}
}

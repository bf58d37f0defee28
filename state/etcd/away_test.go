package etcd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

func TestWhileTheClusterIsAwayReadsComeFromMemoryAndSaySo(t *testing.T) {
	defer etcd.SetPatience(2*time.Second, 300*time.Millisecond, 500*time.Millisecond)()
	cluster := etcdtest.Start(t, 1)
	line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
	s := open(t, line.Endpoint)
	must(t, s.SaveSnapshot(state.Snapshot{App: shop, TakenAt: noon}))
	must(t, s.SaveWatch(state.Watch{App: shop, Comparator: "1"}))
	for n := range 150 {
		must(t, s.SaveRelease(state.Record{App: shop, Number: n + 1}))
	}
	if records, err := s.Releases(shop); err != nil || len(records) != 150 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	_, err := s.Apps()
	must(t, err)
	if since, err := s.Stale(); !since.IsZero() || err != nil {
		t.Fatalf("stale since %v: %v", since, err)
	}
	line.Cut()
	if snapshot, ok, err := s.Snapshot(shop); err != nil || !ok || !snapshot.TakenAt.Equal(noon) {
		t.Errorf("the snapshot: %v %v %v", snapshot, ok, err)
	}
	since, why := s.Stale()
	if since.IsZero() || !errors.Is(why, etcd.ErrAway) {
		t.Errorf("stale since %v: %v", since, why)
	}
	if watch, ok, err := s.Watch(shop); err != nil || !ok || watch.Comparator != "1" {
		t.Errorf("the watch: %v %v %v", watch, ok, err)
	}
	if records, err := s.Releases(shop); err != nil || len(records) != 150 || records[0].Number != 150 {
		t.Errorf("%d records, %v", len(records), err)
	}
	if apps, err := s.Apps(); err != nil || len(apps) != 1 {
		t.Errorf("the apps: %v %v", apps, err)
	}
	if _, ok, err := s.Snapshot(staging); ok || !errors.Is(err, etcd.ErrAway) {
		t.Errorf("what was never read: %v %v", ok, err)
	}
	if _, err := s.Events(shop, 1); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("events: %v", err)
	}
	explains(t, s.Append(shop, state.Event{}), line.Endpoint, "no member with a leader answered", "next: ")
	explains(t, s.Writable(), line.Endpoint, "next: ")
	if err := s.Check(); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("memory was checked: %v", err)
	}
	line.Heal()
	eventually(t, "it is back", func() bool { return s.Writable() == nil })
	if since, err := s.Stale(); !since.IsZero() || err != nil {
		t.Errorf("stale since %v: %v", since, err)
	}
	must(t, s.Append(shop, state.Event{Message: "after"}))
}

func TestAMemberThatGoesIsNotNoticedAndAQuorumThatGoesIs(t *testing.T) {
	defer etcd.SetPatience(5*time.Second, 300*time.Millisecond, time.Second)()
	cluster := etcdtest.Start(t, 3)
	s := open(t, cluster.Endpoints()...)
	must(t, s.Append(shop, state.Event{Message: "with three"}))
	leader := cluster.Leader()
	leader.Stop()
	must(t, s.Append(shop, state.Event{Message: "with two"}))
	must(t, s.SaveSnapshot(state.Snapshot{App: shop}))
	var second *etcdtest.Member
	for _, m := range cluster.Members {
		if m != leader {
			second = m
		}
	}
	second.Stop()
	err := s.Append(shop, state.Event{Message: "with one"})
	if !errors.Is(err, etcd.ErrAway) {
		t.Errorf("without a quorum: %v", err)
	}
	second.Start()
	eventually(t, "there is a quorum", func() bool { return s.Writable() == nil })
	must(t, s.Append(shop, state.Event{Message: "again"}))
	events, err := s.Events(shop, 0)
	must(t, err)
	if len(events) < 3 || events[0].Message != "again" || events[len(events)-1].Message != "with three" {
		t.Errorf("the events are %v", events)
	}
}

// The size is asked of one member after the other: one that is gone says nothing of the store.
func TestTheSizeIsKnownWithTheFirstMemberAway(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	s := open(t, cluster.Endpoints()...)
	must(t, s.Append(shop, state.Event{Message: "x"}))
	cluster.Members[0].Stop()
	if size, err := s.Size(); err != nil || size <= 0 {
		t.Errorf("%d bytes, %v", size, err)
	}
	cluster.Members[1].Stop()
	cluster.Members[2].Stop()
	if size, err := s.Size(); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("%d bytes, %v", size, err)
	}
	if since, err := s.Stale(); !since.IsZero() {
		t.Errorf("stale since %v, since nobody knows the size: %v", since, err)
	}
}

// An answer that is lost has the call made again: what it did stands there once.
func TestWhatWasDoneWithoutAnAnswerIsNotDoneTwice(t *testing.T) {
	defer etcd.SetPatience(8*time.Second, time.Second, 300*time.Millisecond)()
	cluster := etcdtest.Start(t, 1)
	line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
	s, direct := open(t, line.Endpoint), open(t, cluster.Endpoints()...)
	must(t, s.Append(shop, state.Event{Message: "first"}))
	client := plain(t, cluster)
	for i := range 2 {
		ctx, cancel := context.WithCancel(context.Background())
		got, err := client.Get(ctx, "x")
		must(t, err)
		changes := client.Watch(ctx, "/kamald/v1/app/shop//events/", clientv3.WithPrefix(), clientv3.WithRev(got.Header.Revision+1))
		must(t, s.Writable())
		line.CutAnswers()
		done := make(chan error, 1)
		go func() { done <- s.Append(shop, state.Event{Message: fmt.Sprint(i)}) }()
		<-changes // it is carried out, and nobody has heard of it
		cancel()
		time.Sleep(400 * time.Millisecond) // beyond one attempt
		line.Heal()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	events, err := direct.Events(shop, 0)
	must(t, err)
	if len(events) != 3 {
		t.Errorf("%d events: %v", len(events), events)
	}
}

func TestTheSameValueIsNotWrittenTwice(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s, client := open(t, cluster.Endpoints()...), plain(t, cluster)
	record := state.Record{App: shop, Number: 1, Reason: strings.Repeat("x", 5000)}
	plan := state.PlanRecord{Nonce: "n", At: noon, Plan: json.RawMessage(`{}`)}
	save := func() int64 {
		must(t, s.SaveRelease(record))
		must(t, s.SavePlan(shop, plan))
		must(t, s.SaveSnapshot(state.Snapshot{App: shop}))
		must(t, s.SaveWatch(state.Watch{App: shop}))
		must(t, s.Writable())
		must(t, s.Trim(shop, 10, 10))
		_, err := s.Releases(shop)
		must(t, err)
		got, err := client.Get(context.Background(), "x")
		must(t, err)
		return got.Header.Revision
	}
	if before, after := save(), save(); before != after {
		t.Errorf("revision %d is %d", before, after)
	}
	// What somebody else has written since counts.
	other := open(t, cluster.Endpoints()...)
	must(t, other.SaveWatch(state.Watch{App: shop, Comparator: "other"}))
	must(t, s.SaveWatch(state.Watch{App: shop}))
	if watch, _, err := other.Watch(shop); err != nil || watch.Comparator != "" {
		t.Errorf("%v %v", watch, err)
	}
}

// Of the releases that a store has read it is sent what changed, however many there are.
func TestReleasesThatAreKnownAreNotSentAgain(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
	s, other := open(t, line.Endpoint), open(t, cluster.Endpoints()...)
	long := noise(2000)
	for n := range 300 {
		must(t, other.SaveRelease(state.Record{App: shop, Number: n + 1, Reason: long}))
	}
	sent := func(want int, reason string) int64 {
		t.Helper()
		before := line.Answered()
		records, err := s.Releases(shop)
		if err != nil || len(records) != want || records[0].Reason != reason || records[want-1].Reason != long {
			t.Fatalf("%d records, not %d, %v", len(records), want, err)
		}
		return line.Answered() - before
	}
	if n := sent(300, long); n < 400_000 {
		t.Fatalf("%d bytes were sent of all: they are not counted", n)
	}
	if n := sent(300, long); n > 2000 {
		t.Errorf("%d bytes were sent, and nothing had changed", n)
	}
	must(t, other.SaveRelease(state.Record{App: shop, Number: 300, Reason: "changed"}))
	must(t, other.SaveRelease(state.Record{App: shop, Number: 150, Reason: long + long}))
	if n := sent(300, "changed"); n > 10_000 {
		t.Errorf("%d bytes were sent, and two had changed", n)
	}
	must(t, other.SaveRelease(state.Record{App: shop, Number: 10_100, Reason: "newest"})) // the oldest hundred go
	if n := sent(201, "newest"); n > 40_000 {
		t.Errorf("%d bytes were sent, and one was new", n)
	}
	// Where there is room for some of them alone, all are sent, and all are there.
	defer etcd.SetRemembered(50_000)()
	sent(201, "newest")
	if n := sent(201, "newest"); n < 250_000 {
		t.Errorf("%d bytes were sent of all", n)
	}
}

func TestNothingGrowsWithoutBound(t *testing.T) {
	defer etcd.SetMost(300)()
	cluster := etcdtest.Start(t, 1)
	s, client := open(t, cluster.Endpoints()...), plain(t, cluster)
	count := func() int64 {
		got, err := client.Get(context.Background(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
		must(t, err)
		return got.Count
	}
	round := func(i int) {
		text := strings.Repeat(fmt.Sprint(i), 2000)
		must(t, s.SaveSnapshot(state.Snapshot{App: shop, Hosts: []state.Host{{Name: text}}}))
		must(t, s.SaveWatch(state.Watch{App: shop, Settled: text}))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint(i), At: noon.Add(time.Duration(i) * time.Second), Plan: json.RawMessage(`"` + text + `"`)}))
		must(t, s.Append(shop, state.Event{Message: text}, state.Event{Message: text}))
		must(t, s.SaveRelease(state.Record{App: shop, Number: i*1000 + 1, Reason: text}))
		must(t, s.Trim(shop, 5, 2))
	}
	var early int64
	for i := range 60 {
		round(i)
		if i == 30 {
			early = count()
		}
	}
	if late := count(); late > early+5 { // longer numbers are a few more parts
		t.Errorf("%d keys are %d thirty rounds later", early, late)
	}
	if records, err := s.Releases(shop); err != nil || len(records) != 10 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func TestAFullClusterIsNamedAndReadOn(t *testing.T) {
	cluster := etcdtest.Start(t, 1, etcdtest.Quota(1<<20))
	s := open(t, cluster.Endpoints()...)
	var err error
	for i := 0; err == nil && i < 200; i++ {
		err = s.SaveSnapshot(state.Snapshot{App: shop, Hosts: []state.Host{{Name: fmt.Sprint(i), Home: noise(100_000)}}})
	}
	explains(t, err, "no room", "etcdctl alarm disarm", cluster.Members[0].Endpoint)
	explains(t, s.Writable(), "no room")
	explains(t, s.Append(shop, state.Event{Message: "x"}), "no room")
	if _, ok, err := s.Snapshot(shop); !ok || err != nil {
		t.Errorf("reading: %v %v", ok, err)
	}
	if since, _ := s.Stale(); !since.IsZero() {
		t.Error("a full cluster is not an absent one")
	}
}

func TestANewerSchemaIsRefusedInEtcd(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s, client := open(t, cluster.Endpoints()...), plain(t, cluster)
	must(t, s.Append(shop, state.Event{}))
	for text, want := range map[string]string{"99": "newer kamald", "x": "none of kamald's"} {
		_, err := client.Put(context.Background(), "/kamald/schema", text)
		must(t, err)
		explains(t, s.Append(shop, state.Event{}), want, "next: ")
		_, err = s.Apps()
		explains(t, err, want)
		_, _, err = s.Watch(shop)
		explains(t, err, want)
		explains(t, s.Writable(), want)
	}
}

func TestADamagedValueIsAnErrorThatNamesItsKey(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s, client := open(t, cluster.Endpoints()...), plain(t, cluster)
	must(t, s.SaveSnapshot(state.Snapshot{App: shop}))
	for _, text := range []string{"", "{", "\x1f\x8bx", "#parts x", "#parts 1a 2 00"} {
		_, err := client.Put(context.Background(), "/kamald/v1/app/shop//snapshot", text)
		must(t, err)
		_, _, err = s.Snapshot(shop)
		explains(t, err, "/kamald/v1/app/shop//snapshot", "does not read", "next: ")
		explains(t, s.Check(), "does not read")
	}
}

func noise(size int) string {
	var b strings.Builder
	for n := uint32(1); b.Len() < size; {
		n = n*1664525 + 1013904223
		b.WriteByte('!' + byte(n>>24)%90)
	}
	return strings.ReplaceAll(b.String(), `"`, "_")
}

// eventually waits for what comes about by itself.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func explains(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}

package etcd_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

func TestOneLeadsAndAnotherTakesOverAtOnceWhenItResigns(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	a, b := elector(t, "a", time.Hour, cluster.Endpoints()...), elector(t, "b", time.Hour, cluster.Endpoints()...)
	first := lead(t, a, shop)
	if !first.Holds() {
		t.Error("it leads, and does not hold")
	}
	next := campaign(b, shop)
	other := lead(t, b, staging) // apps have nothing to do with each other
	if !other.Holds() || !first.Holds() {
		t.Error("one app's leader is in the way of another's")
	}
	eventually(t, "both know who leads", func() bool {
		one, _ := a.Leader(shop)
		two, _ := b.Leader(shop)
		three, _ := a.Leader(staging)
		return one == "a" && two == "a" && three == "b"
	})
	if name, ok := a.Leader(state.App{Service: "nobody's"}); ok {
		t.Errorf("%s leads what nobody stands for", name)
	}
	if _, err := b.Campaign(context.Background(), shop); err == nil {
		t.Error("two campaigns of one elector for one app")
	}
	select {
	case <-next:
		t.Fatal("two lead")
	default:
	}
	must(t, first.Resign())
	if first.Holds() {
		t.Error("it has resigned, and holds")
	}
	<-first.Done()
	second := <-next // an hour before the lease ends
	if !second.Holds() || second.Number() <= first.Number() {
		t.Errorf("the second term has number %d, the first had %d", second.Number(), first.Number())
	}
	third := campaign(a, shop)
	must(t, b.Close())
	if second.Holds() || other.Holds() {
		t.Error("the elector is closed, and its terms hold")
	}
	if term := <-third; term.Number() <= second.Number() {
		t.Errorf("the third term has number %d, the second had %d", term.Number(), second.Number())
	}
	if _, err := b.Campaign(context.Background(), shop); err == nil {
		t.Error("a closed elector leads")
	}
}

func TestWhoIsCutOffLeadsNoMoreBeforeAnotherDoes(t *testing.T) {
	t.Parallel() // it waits for leases
	cluster := etcdtest.Start(t, 1)
	line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
	a, b := elector(t, "a", 2*time.Second, line.Endpoint), elector(t, "b", 2*time.Second, cluster.Endpoints()...)
	first := lead(t, a, shop)
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if !first.Holds() {
			t.Fatal("it is renewed, and does not hold")
		}
	}
	next := campaign(b, shop)
	line.Cut()
	second := <-next
	if first.Holds() {
		t.Error("two hold")
	}
	<-first.Done()
	if !second.Holds() {
		t.Error("the second does not hold")
	}
	eventually(t, "who is cut off knows no leader", func() bool { _, ok := a.Leader(shop); return !ok })
	third := campaign(a, shop)
	line.Heal()
	eventually(t, "who is back knows the leader", func() bool { name, _ := a.Leader(shop); return name == "b" })
	must(t, second.Resign())
	if term := <-third; !term.Holds() || term.Number() <= second.Number() {
		t.Error("it does not lead again")
	}
	if first.Holds() {
		t.Error("a term that was over holds again")
	}
}

func TestACampaignThatIsGivenUpIsInNobodysWay(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	a, b, c := elector(t, "a", time.Hour, cluster.Endpoints()...), elector(t, "b", time.Hour, cluster.Endpoints()...), elector(t, "c", time.Hour, cluster.Endpoints()...)
	first := lead(t, a, shop)
	ctx, cancel := context.WithCancel(context.Background())
	given := make(chan error)
	go func() { _, err := b.Campaign(ctx, shop); given <- err }()
	client := plain(t, cluster)
	eventually(t, "it stands", func() bool {
		got, err := client.Get(context.Background(), "/kamald/v1/leader/shop//", clientv3.WithPrefix())
		return err == nil && len(got.Kvs) == 2
	})
	next := campaign(c, shop)
	cancel()
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	must(t, first.Resign())
	<-next
}

func TestATermWhoseKeyIsTakenAwayIsOver(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	a := elector(t, "a", time.Hour, cluster.Endpoints()...)
	term := lead(t, a, shop)
	_, err := plain(t, cluster).Delete(context.Background(), "/kamald/v1/leader/", clientv3.WithPrefix())
	must(t, err)
	<-term.Done()
	if term.Holds() {
		t.Error("it holds")
	}
	must(t, term.Resign())
	lead(t, a, shop)
}

func TestEtcdRefusesWhatComesAfterATerm(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s := open(t, cluster.Endpoints()...)
	a, b := s.NewElector("a", time.Hour), elector(t, "b", time.Hour, cluster.Endpoints()...)
	t.Cleanup(func() { must(t, a.Close()) })
	term := lead(t, a, shop)
	under := s.Under(term)
	must(t, under.Append(shop, state.Event{Message: "of the term"}))
	must(t, under.SaveWatch(state.Watch{App: shop, Comparator: "of the term"}))
	// The lease is gone, and this process has not heard of it.
	client := plain(t, cluster)
	leases, err := client.Leases(context.Background())
	must(t, err)
	for _, l := range leases.Leases {
		_, err := client.Revoke(context.Background(), l.ID)
		must(t, err)
	}
	lead(t, b, shop)
	for name, err := range map[string]error{
		"events": under.Append(shop, state.Event{}), "watch": under.SaveWatch(state.Watch{App: shop}), "snapshot": under.SaveSnapshot(state.Snapshot{App: shop}),
		"release": under.SaveRelease(state.Record{App: shop, Number: 1}), "plan": under.SavePlan(shop, state.PlanRecord{Nonce: "n"}), "trim": under.Trim(shop, 0, 0),
	} {
		if !errors.Is(err, state.ErrNotLeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
	<-term.Done()
	if watch, _, err := under.Watch(shop); err != nil || watch.Comparator != "of the term" {
		t.Errorf("%v %v", watch, err)
	}
	if events, err := s.Events(shop, 0); err != nil || len(events) != 1 {
		t.Errorf("%v %v", events, err)
	}
	must(t, s.Append(shop, state.Event{Message: "of nobody's term"}))
}

// What a daemon read before another led is no beginning for a term: what that one has kept would be written over.
func TestUnderATermNothingIsReadFromMemory(t *testing.T) {
	defer etcd.SetPatience(2*time.Second, 300*time.Millisecond, 500*time.Millisecond)()
	cluster := etcdtest.Start(t, 1)
	line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
	a, b := open(t, cluster.Endpoints()...), open(t, line.Endpoint)
	must(t, a.SaveWatch(state.Watch{App: shop, Comparator: "1"}))
	must(t, a.SaveRelease(state.Record{App: shop, Number: 1}))
	_, _, err := b.Watch(shop)
	must(t, err)
	_, err = b.Releases(shop)
	must(t, err)
	_, err = b.Apps()
	must(t, err)
	must(t, a.SaveWatch(state.Watch{App: shop, Comparator: "1", Pauses: []state.Pause{{Who: "ada"}}}))
	e := b.NewElector("b", time.Hour)
	defer func() { _ = e.Close() }() // before patience is as it was
	under := b.Under(lead(t, e, shop))
	line.Cut()
	if watch, ok, err := under.Watch(shop); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("a term begins with %v %v %v", watch, ok, err)
	}
	if records, err := under.Releases(shop); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("a term begins with %v %v", records, err)
	}
	if apps, err := under.Apps(); !errors.Is(err, etcd.ErrAway) {
		t.Errorf("a term begins with %v %v", apps, err)
	}
	if watch, ok, err := b.Watch(shop); err != nil || !ok || len(watch.Pauses) != 0 {
		t.Errorf("without a term it is what was read last: %v %v %v", watch, ok, err)
	}
	line.Heal()
	eventually(t, "it is back", func() bool { return b.Writable() == nil })
	watch, ok, err := under.Watch(shop)
	if err != nil || !ok || len(watch.Pauses) != 1 {
		t.Errorf("%v %v %v", watch, ok, err)
	}
	line.Cut() // what is read for a term is what there is for it then
	if watch, ok, err := b.Watch(shop); err != nil || !ok || len(watch.Pauses) != 1 {
		t.Errorf("%v %v %v", watch, ok, err)
	}
	line.Heal()
}

func TestWithoutAQuorumNobodyLeadsAndWithItSomebodyDoesAgain(t *testing.T) {
	t.Parallel() // it waits for leases
	cluster := etcdtest.Start(t, 3)
	a, b := elector(t, "a", 3*time.Second, cluster.Endpoints()...), elector(t, "b", 3*time.Second, cluster.Endpoints()...)
	first := lead(t, a, shop)
	cluster.Members[0].Stop() // the others are a quorum
	time.Sleep(3500 * time.Millisecond)
	if !first.Holds() {
		t.Error("one member of three takes a term away")
	}
	cluster.Members[1].Stop()
	<-first.Done()
	next := campaign(b, shop)
	again := campaign(a, shop)
	select {
	case <-next:
		t.Error("it leads without a quorum")
	case <-again:
		t.Error("it leads without a quorum")
	case <-time.After(time.Second):
	}
	cluster.Members[1].Start()
	var term *etcd.Term
	select {
	case term = <-next:
	case term = <-again:
	}
	if term.Number() <= first.Number() || !term.Holds() {
		t.Error("the new term is not newer")
	}
}

// Terms never overlap: electors whose lines are cut and healed at random, that resign at random, and at no moment two of them hold.
func TestTermsNeverOverlap(t *testing.T) {
	t.Parallel() // it waits for leases
	length := 6 * time.Second
	if os.Getenv("KAMALD_LONG") != "" {
		length = 2 * time.Minute
	}
	cluster, seed := etcdtest.Start(t, 1), rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	newest, count := make([]*etcd.Term, 4), 0
	for i := range newest {
		line := etcdtest.NewLine(t, cluster.Members[0].Endpoint)
		e, random := elector(t, string(rune('a'+i)), 2*time.Second, line.Endpoint), rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for term, err := e.Campaign(ctx, shop); err == nil; term, err = e.Campaign(ctx, shop) {
				mu.Lock()
				newest[i] = term
				count++
				mu.Unlock()
				trouble(term, line, random)
				_ = term.Resign() // it may be cut off
			}
		})
	}
	for ctx.Err() == nil {
		mu.Lock()
		now := slices.Clone(newest)
		mu.Unlock()
		if a, b := both(now); a != nil {
			t.Fatalf("terms %d and %d hold at one moment", a.Number(), b.Number())
		}
		time.Sleep(100 * time.Microsecond)
	}
	all.Wait()
	if count < 3 {
		t.Errorf("%d terms in all: nothing was tried", count)
	}
	t.Logf("%d terms", count)
}

// trouble is what happens to whoever leads: the line is cut until the term is over, or for a while, or nothing does.
func trouble(term *etcd.Term, line *etcdtest.Line, random *rand.Rand) {
	switch random.IntN(3) {
	case 0:
		line.Cut()
		<-term.Done()
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		line.Heal()
	case 1:
		line.Cut()
		time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
		line.Heal()
	}
	select {
	case <-term.Done():
	case <-time.After(time.Duration(random.IntN(500)) * time.Millisecond):
	}
}

// both finds two terms that hold at one moment. Once over a term stays over: one that holds before and after held in between.
func both(terms []*etcd.Term) (a, b *etcd.Term) {
	for i, a := range terms {
		for _, b := range append(slices.Clone(terms[:i]), terms[i+1:]...) {
			if a != nil && b != nil && a.Holds() && b.Holds() && a.Holds() {
				return a, b
			}
		}
	}
	return nil, nil
}

func elector(t testing.TB, name string, ttl time.Duration, endpoints ...string) *etcd.Elector {
	t.Helper()
	e := open(t, endpoints...).NewElector(name, ttl)
	t.Cleanup(func() { _ = e.Close() }) // it may be cut off
	return e
}

func lead(t testing.TB, e *etcd.Elector, app state.App) *etcd.Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	term, err := e.Campaign(ctx, app)
	must(t, err)
	return term
}

// campaign leads in the background.
func campaign(e *etcd.Elector, app state.App) <-chan *etcd.Term {
	led := make(chan *etcd.Term, 1)
	go func() {
		if term, err := e.Campaign(context.Background(), app); err == nil {
			led <- term
		}
	}()
	return led
}

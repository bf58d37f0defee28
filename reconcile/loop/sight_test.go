package loop_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/group"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ballot has each app be led by the daemon that has stood for it longest, as a cluster does. It is the board of the daemons, too, on which
// nothing is shown or asked.
type ballot struct {
	mu     sync.Mutex
	number int64
	queues map[state.App][]*candidate
	kept   map[state.App]*memory
}

// candidate stands for an app; it is its term as well.
type candidate struct {
	b      *ballot
	app    state.App
	name   string
	number int64
	turn   chan struct{} // closed when nobody is before it
	over   chan struct{}
	once   sync.Once
}

// elector is the ballot for one daemon.
type elector struct {
	*ballot
	name string
}

// Lead implements group.Election.
func (e elector) Lead(ctx context.Context, app state.App) (loop.Term, error) {
	e.mu.Lock()
	e.number++
	c := &candidate{b: e.ballot, app: app, name: e.name, number: e.number, turn: make(chan struct{}), over: make(chan struct{})}
	if e.queues[app] = append(e.queues[app], c); len(e.queues[app]) == 1 {
		close(c.turn)
	}
	e.mu.Unlock()
	select {
	case <-c.turn:
		return c, nil
	case <-ctx.Done():
		c.Resign()
		return nil, ctx.Err()
	}
}

func (c *candidate) Over() <-chan struct{}    { return c.over }
func (c *candidate) Holds() bool              { return true }
func (c *candidate) Number() int64            { return c.number }
func (c *candidate) Keep(w state.Watch) error { return c.b.kept[c.app].SaveWatch(w) }

func (c *candidate) Resign() {
	c.once.Do(func() {
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		close(c.over)
		queue := c.b.queues[c.app]
		first := queue[0] == c
		queue = slices.DeleteFunc(slices.Clone(queue), func(o *candidate) bool { return o == c })
		if c.b.queues[c.app] = queue; first && len(queue) > 0 {
			close(queue[0].turn)
		}
	})
}

func (b *ballot) Standing() map[state.App][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	standing := map[state.App][]string{}
	for app, queue := range b.queues {
		for _, c := range queue {
			standing[app] = append(standing[app], c.name)
		}
	}
	return standing
}

func (b *ballot) Leader(app state.App) (string, bool) {
	if names := b.Standing()[app]; len(names) > 0 {
		return names[0], true
	}
	return "", false
}

func (b *ballot) Show(context.Context, state.App, []byte) error { return nil }
func (b *ballot) Hide(context.Context, state.App) error         { return nil }
func (b *ballot) Watch(ctx context.Context, _ func(state.App, []byte)) error {
	<-ctx.Done()
	return ctx.Err()
}
func (b *ballot) Ask(context.Context, state.App, []byte) ([]byte, error) {
	return nil, group.ErrNotTaken
}
func (b *ballot) Answer(ctx context.Context, _ state.App, _ func(context.Context, []byte) []byte) error {
	<-ctx.Done()
	return ctx.Err()
}

// ballotStore keeps of each app what the loop asks for of it.
type ballotStore struct {
	*memory
	of map[state.App]*memory
}

func (s ballotStore) SaveSnapshot(v state.Snapshot) error { return s.of[v.App].SaveSnapshot(v) }
func (s ballotStore) SaveWatch(v state.Watch) error       { return s.of[v.App].SaveWatch(v) }
func (s ballotStore) Append(app state.App, e ...state.Event) error {
	return s.of[app].Append(app, e...)
}
func (s ballotStore) Snapshot(app state.App) (state.Snapshot, bool, error) {
	return s.of[app].Snapshot(app)
}
func (s ballotStore) Watch(app state.App) (state.Watch, bool, error) { return s.of[app].Watch(app) }
func (s ballotStore) Releases(app state.App) ([]state.Record, error) { return s.of[app].Releases(app) }
func (s ballotStore) Events(app state.App, n int) ([]state.Event, error) {
	return s.of[app].Events(app, n)
}

// balanced is two daemons that share two apps evenly.
type balanced struct {
	apps  []state.App
	loops [2]*loop.Loop
	cut   [2]atomic.Bool // it reaches no server
	told  atomic.Int64
}

// balanced begins both; cut says which of them reaches no server.
func (w *world) balanced(cut ...int) *balanced {
	m := &balanced{apps: []state.App{{Service: "blog"}, shop}}
	b := &ballot{queues: map[state.App][]*candidate{}, kept: map[state.App]*memory{}}
	for _, app := range m.apps {
		b.kept[app] = &memory{}
	}
	for _, i := range cut {
		m.cut[i].Store(true)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var all sync.WaitGroup
	for i := range m.loops {
		name := fmt.Sprintf("bastion-%d", i+1)
		g := group.New(group.Options{Board: b, Election: elector{b, name}, Name: name, Failed: func(err error) { w.t.Error(err) }})
		m.loops[i] = loop.New(loop.Options{Store: ballotStore{&memory{}, b.kept}, Comparator: "test 1", Leadership: g, Notify: func(loop.Transition) { m.told.Add(1) },
			Open: func(release.Release) (*reconcile.Controller, error) {
				return reconcile.NewController(reconcile.NewFleet(severed{connector{w.Connector().As(name)}, &m.cut[i]}), &memory{}, secrets{}), nil
			}})
		for _, app := range m.apps {
			proposed := desired("v1")
			proposed.Service, proposed.Reconcile.Mode = app.Service, release.ModeReport
			if err := m.loops[i].Drive(loop.Settings{App: app, Source: &source{release: proposed}}); err != nil {
				w.t.Fatal(err)
			}
		}
		g.Drives(m.loops[i])
		all.Go(func() { g.Run(ctx) })
		all.Go(func() { m.loops[i].Run(ctx) })
		w.pass(time.Second) // the first leads
	}
	w.stop = func() { cancel(); all.Wait() }
	return m
}

// led is in how many seconds of a time a daemon led an app.
func (m *balanced) led(by int, within time.Duration) map[state.App]int {
	seconds := map[state.App]int{}
	for range int(within / time.Second) {
		time.Sleep(time.Second)
		for _, app := range m.apps {
			if m.loops[by].Leads(app) {
				seconds[app]++
			}
		}
	}
	return seconds
}

func TestAppsAreNotHandedToADaemonThatReachesNoServerAgainAndAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.balanced(1)
		for app, seconds := range m.led(0, 10*time.Minute) {
			if seconds < 540 {
				t.Errorf("%s was led by who reaches its servers for %d of 600 seconds", app, seconds)
			}
		}
		if n := m.told.Load(); n > 1 {
			t.Errorf("people were told %d times", n)
		}
		m.cut[1].Store(false)
		w.pass(3 * time.Minute)
		if seconds := m.led(1, time.Minute); seconds[shop]+seconds[m.apps[0]] != 60 {
			t.Errorf("once it reaches them it leads %v", seconds)
		}
	})
}

// Servers that are down are nobody's reason to do without a leader, or to lead in turns.
func TestOneOfTwoDaemonsLeadsWhileNeitherReachesAServer(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.balanced()
		w.pass(3 * time.Minute)
		for _, name := range w.Hosts() {
			w.Cut(name)
		}
		w.pass(10 * time.Minute)
		first, second := m.led(0, 10*time.Minute), m.led(1, 10*time.Minute)
		for _, app := range m.apps {
			if first[app] != 0 && second[app] != 0 || first[app] != 600 && second[app] != 600 {
				t.Errorf("%s was led for %d seconds by one and for %d by the other", app, first[app], second[app])
			}
		}
	})
}

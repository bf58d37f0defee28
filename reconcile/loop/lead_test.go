package loop_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// election lets one daemon at a time lead an app.
type election struct {
	free chan struct{} // holds a token while nobody leads

	mu      sync.Mutex
	number  int64
	current *term
	store   *memory
	stands  map[int]bool // who leads or waits to
}

func newElection(store *memory) *election {
	e := &election{free: make(chan struct{}, 1), store: store, stands: map[int]bool{}}
	e.free <- struct{}{}
	return e
}

// term is one of the election's.
type term struct {
	e      *election
	of     int
	number int64
	over   chan struct{}
	once   sync.Once
	lapsed atomic.Bool // by the clock, whoever has noticed
}

// voter is one daemon's election.
type voter struct {
	*election
	of int
}

// Lead implements loop.Leadership.
func (v voter) Lead(ctx context.Context, _ state.App) (loop.Term, error) {
	v.stand(v.of, true)
	select {
	case <-v.free:
	case <-ctx.Done():
		v.stand(v.of, false)
		return nil, ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.number++
	v.current = &term{e: v.election, of: v.of, number: v.number, over: make(chan struct{})}
	return v.current, nil
}

// Others implements loop.Leadership.
func (v voter) Others(state.App) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stands[1-v.of]
}

func (e *election) stand(of int, stands bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stands[of] = stands
}

// lapse ends the term that there is, as a lease does that is not renewed: another may lead. Its own daemon hears of it when told.
func (e *election) lapse(told bool) *term {
	e.mu.Lock()
	t := e.current
	e.mu.Unlock()
	t.lapsed.Store(true)
	if told {
		t.end()
	}
	e.free <- struct{}{}
	return t
}

func (t *term) end()                  { t.once.Do(func() { close(t.over) }) }
func (t *term) Over() <-chan struct{} { return t.over }
func (t *term) Holds() bool           { return !t.lapsed.Load() }
func (t *term) Number() int64         { return t.number }
func (t *term) Resign() {
	t.end()
	t.e.stand(t.of, false)
	if t.lapsed.CompareAndSwap(false, true) {
		t.e.free <- struct{}{}
	}
}

var errLedByAnother = errors.New("another daemon leads")

func (t *term) Keep(w state.Watch) error {
	t.e.mu.Lock()
	newer := t.e.number > t.number
	t.e.mu.Unlock()
	if newer {
		return errLedByAnother
	}
	return t.e.store.SaveWatch(w)
}

// pair is two daemons that share an app.
type pair struct {
	*world
	votes *election
	loops [2]*loop.Loop
	stops [2]func()
	cut   [2]atomic.Bool // it reaches no server
	acts  [2]atomic.Int64
}

// severed reaches no server while it is cut off.
type severed struct {
	connector
	cut *atomic.Bool
}

func (s severed) Connect(ctx context.Context, host release.Host) (*reconcile.Connection, error) {
	if s.cut.Load() {
		return nil, errors.New("no route to host")
	}
	return s.connector.Connect(ctx, host)
}

func (w *world) pair() *pair {
	return w.pairOf(func(i int, votes *election) loop.Leadership { return voter{votes, i} }, func(int, *loop.Loop) {})
}

// pairOf has the two share the app as lead says; made is told of each before it runs.
func (w *world) pairOf(lead func(int, *election) loop.Leadership, made func(int, *loop.Loop)) *pair {
	p := &pair{world: w, votes: newElection(w.store)}
	for i, name := range []string{"bastion-1", "bastion-2"} {
		open := func(release.Release) (*reconcile.Controller, error) {
			mutates := func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
				if p.cut[i].Load() {
					return errors.New("connection reset")
				}
				if call.Mutates {
					p.acts[i].Add(1)
				}
				return next(ctx)
			}
			c := reconcile.NewController(reconcile.NewFleet(severed{connector{w.Connector().As(name)}, &p.cut[i]}, mutates), w.store,
				secrets{"TOKEN": "planted-secret-value", "REGISTRY_PASSWORD": "registry-password"})
			c.Owner = reconcile.Owner{Who: "kamald", Machine: name, PID: 1}
			return c, nil
		}
		p.loops[i] = loop.New(loop.Options{Store: w.store, Open: open, Comparator: "test 1", Leadership: lead(i, p.votes)})
		if err := p.loops[i].Drive(loop.Settings{App: shop, ImageWait: 30 * time.Minute, Source: &source{release: desired("v1")}}); err != nil {
			w.t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		ended := make(chan struct{})
		l := p.loops[i]
		made(i, l)
		go func() { l.Run(ctx); close(ended) }()
		p.stops[i] = sync.OnceFunc(func() { cancel(); <-ended })
		time.Sleep(time.Millisecond) // the first leads
	}
	w.loop = p.loops[0]
	w.stop = func() { p.stops[0](); p.stops[1]() }
	return p
}

// leader gives which of the two leads; -1: none.
func (p *pair) leader() int {
	leads := -1
	for i, l := range p.loops {
		if l.Leads(shop) {
			if leads >= 0 {
				p.t.Error("both lead")
			}
			leads = i
		}
	}
	return leads
}

// midRelease orders a release that takes a while, and returns in the middle of it.
func (w *world) midRelease(order func(loop.Order) (loop.Ticket, error)) loop.Ticket {
	w.t.Helper()
	w.push("slow", sim.Healthy(5*time.Second))
	ticket, err := order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "slow", By: loopPerson("ada")})
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(2 * time.Second)
	return ticket
}

func TestOneOfTwoDaemonsDrives(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		if p.leader() != 0 {
			t.Fatalf("daemon %d leads", p.leader())
		}
		w.RemoveContainer("h2", "shop-web-v1")
		w.pass(10 * time.Second)
		w.want(all("v1"))
		if p.acts[0].Load() == 0 || p.acts[1].Load() != 0 {
			t.Errorf("the leader made %d changes and the other %d", p.acts[0].Load(), p.acts[1].Load())
		}
	})
}

func TestADaemonThatEndsHandsOver(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		if err := p.loops[0].Pause(shop, state.Pause{Role: "workers", Reason: "looked at", Who: "ada"}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		p.stops[0]()
		w.pass(5 * time.Second)
		if p.leader() != 1 {
			t.Fatalf("daemon %d leads", p.leader())
		}
		w.RemoveContainer("h1", "shop-web-v1")
		w.RemoveContainer("h3", "shop-workers-v1")
		w.pass(10 * time.Second)
		w.want("h1/web=v1 h2/web=v1") // what was paused under the other is paused
		status, err := p.loops[1].Status(shop)
		if err != nil || !slices.ContainsFunc(status.Pauses, func(s state.Pause) bool { return s.Role == "workers" }) {
			t.Errorf("the pause is not known: %+v, %v", status.Pauses, err)
		}
	})
}

// Whoever loses the lead in the middle of a release ends it: the locks on the servers keep the other from it until then.
func TestAReleaseOutlivesTheTermItBeganIn(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		ticket := w.midRelease(p.loops[0].Order)
		before := p.acts[1].Load()
		p.votes.lapse(true)
		w.pass(time.Second)
		if open, known := p.loops[0].Ticket(ticket.ID); !known || open.Done() {
			t.Fatalf("it was not under way: %+v", open)
		}
		if p.acts[1].Load() != before {
			t.Error("the other began something while the release was under way")
		}
		w.pass(time.Minute)
		if ended, _ := p.loops[0].Ticket(ticket.ID); ended.Error != "" || ended.Report == nil || ended.Report.Outcome != state.OutcomeSucceeded {
			t.Errorf("it ended as %+v", ended)
		}
		w.want(all("slow"))
		if p.leader() != 1 {
			t.Errorf("daemon %d leads", p.leader())
		}
		if _, err := p.loops[0].Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2"}); err == nil {
			t.Error("who does not lead takes an order")
		}
	})
}

// A daemon that was stopped and goes on has not heard that its term is over: it begins nothing.
func TestADaemonThatWakesAfterItsTermBeginsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		asleep := p.votes.lapse(false)
		p.stops[1]() // nobody else repairs
		before := p.acts[0].Load()
		w.RemoveContainer("h2", "shop-web-v1")
		w.pass(time.Minute)
		if n := p.acts[0].Load() - before; n != 0 {
			t.Errorf("it made %d changes", n)
		}
		for _, order := range []loop.Order{{Verb: loop.VerbRelease, Version: "v2"}, {Verb: loop.VerbRollback, Number: 1}} {
			order.App, order.By = shop, loopPerson("ada")
			ticket, err := p.loops[0].Order(order)
			if err != nil {
				t.Fatal(err)
			}
			w.pass(time.Minute)
			if ticket, _ = p.loops[0].Ticket(ticket.ID); !strings.Contains(ticket.Error, "leads") {
				t.Errorf("the order %s ends with %q", order.Verb, ticket.Error)
			}
		}
		if err := p.loops[0].Resume(w.t.Context(), shop, loopPerson("ada")); err == nil {
			t.Error("it lifts a hold")
		}
		if err := p.loops[0].Pause(shop, state.Pause{Who: "ada"}); err == nil {
			t.Error("it pauses")
		}
		events, _ := w.store.Events(shop, 0)
		if slices.ContainsFunc(events, func(e state.Event) bool { return e.Kind == "pause" }) {
			t.Error("the history says that it has paused")
		}
		if n := p.acts[0].Load() - before; n != 0 {
			t.Errorf("it made %d changes for an order", n)
		}
		asleep.end()
	})
}

// A daemon that is cut off from the servers lets the other try: it may be its own network.
func TestADaemonThatReachesNoServerLetsTheOtherLead(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		p.cut[0].Store(true)
		for _, name := range w.Hosts() { // the connections that there are
			w.RestartSSH(name)
		}
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(10 * time.Minute)
		if p.leader() != 1 {
			t.Errorf("daemon %d leads", p.leader())
		}
		w.want(all("v1"))
	})
}

func TestADaemonHandsAnAppOverWhileNothingIsUnderWay(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.deployed("v1").pair()
		w.settle()
		w.midRelease(p.loops[0].Order)
		if p.loops[0].Yield(shop) {
			t.Error("it is handed over in the middle of a release")
		}
		w.pass(time.Minute)
		if p.loops[1].Yield(shop) || !p.loops[0].Yield(shop) {
			t.Error("it is not the one that leads that hands it over")
		}
		w.pass(5 * time.Second)
		if p.leader() != 1 {
			t.Fatalf("daemon %d leads", p.leader())
		}
		w.RemoveContainer("h1", "shop-web-slow")
		w.pass(10 * time.Second)
		w.want(all("slow"))
	})
}

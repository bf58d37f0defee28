// Package group lets several daemons share apps: each app is driven by the one that leads it, and every daemon shows all of them, and passes
// on what it is asked for to whoever leads.
package group

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Options are what a group works with.
type Options struct {
	Board    Board
	Election Election
	Name     string // this daemon's, as the others and people call it
	// Stale tells since when the store cannot be reached; zero: it can. What is shown is from before then.
	Stale func() (since time.Time, why error)
	// Failed is told what did not work and is tried again; nil: nobody is.
	Failed   func(error)
	Patience time.Duration    // how long a question may go unanswered; 0: 20 seconds
	Every    time.Duration    // how often at most what is shown of an app is renewed; 0: a second
	Balance  time.Duration    // how often it is looked whether another should lead an app; 0: 30 seconds
	Now      func() time.Time // nil: the clock
}

// Group is a daemon among others. It gives the same as loop.Loop, of all apps that the loop was told of, whoever leads them.
type Group struct {
	o    Options
	id   string // of this process: another one of the same name is another
	loop *loop.Loop

	mu    sync.Mutex
	seen  map[state.App]shown                // what the others show
	last  map[state.App]time.Time            // when that was there last
	asked map[string]passedOn                // orders by their tickets, the newest
	moved chan struct{}                      // closed, and made anew, whenever one of the above changes
	dirty map[state.App]bool                 // what is to be shown anew
	lines map[state.App][]reconcile.Progress // the newest of what this daemon has under way
	over  map[string]bool                    // orders of this daemon of whose end it has heard
	unled map[state.App]time.Time            // since when nobody was seen to lead
	unfit map[state.App]error                // why this daemon could not lead when it tried last
	woken chan struct{}                      // holds a token while something is
}

// New makes a group of which this daemon is one. Nothing is read or shown before Run.
func New(o Options) *Group {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stale == nil {
		o.Stale = func() (time.Time, error) { return time.Time{}, nil }
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	o.Patience, o.Every, o.Balance = cmp.Or(o.Patience, 20*time.Second), cmp.Or(o.Every, time.Second), cmp.Or(o.Balance, 30*time.Second)
	return &Group{o: o, id: rand.Text()[:12], seen: map[state.App]shown{}, last: map[state.App]time.Time{}, asked: map[string]passedOn{}, moved: make(chan struct{}),
		dirty: map[state.App]bool{}, lines: map[state.App][]reconcile.Progress{}, over: map[string]bool{}, unled: map[state.App]time.Time{},
		unfit: map[state.App]error{}, woken: make(chan struct{}, 1)}
}

// Drives says by what loop this daemon drives the apps that it leads. That loop's Leadership is the group. It must be called before
// anything else is.
func (g *Group) Drives(l *loop.Loop) { g.loop = l }

// Statuses gives every app, sorted by its name: of those that another leads what that one shows.
func (g *Group) Statuses() []loop.Status {
	list := g.loop.Statuses()
	for i, own := range list {
		list[i] = g.of(own)
	}
	return list
}

// Status gives one app.
func (g *Group) Status(app state.App) (loop.Status, error) {
	own, err := g.loop.Status(app)
	if err != nil {
		return own, err
	}
	return g.of(own), nil
}

// of is the status of an app as the group has it.
func (g *Group) of(own loop.Status) loop.Status {
	s, leads := own, g.loop.Leads(own.App)
	if leads {
		s.Leader = &loop.Leader{Name: g.o.Name, Self: true}
	} else if other, ok := g.shownOf(own.App); ok {
		s = other.Status
	} else {
		s.Places, s.Doing = orNone(s.Places), nil
	}
	if !leads {
		s.Conditions = g.leaderless(s)
		if name, ok := g.o.Board.Leader(own.App); ok {
			s.Leader = &loop.Leader{Name: name}
		}
	}
	if since, why := g.o.Stale(); !since.IsZero() {
		s.Conditions = append(slices.DeleteFunc(slices.Clone(s.Conditions), func(c state.Condition) bool { return c.Kind == loop.ConditionStoreBroken }),
			state.Condition{Kind: loop.ConditionStoreBroken, Since: since, Reason: "the store cannot be reached, and what is shown is from before: " + why.Error(),
				Next: "nothing new is begun until it is back; what was begun goes on to its end"})
	}
	return s
}

func (g *Group) shownOf(app state.App) (shown, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.seen[app]
	return s, ok
}

// leaderless adds that nobody leads to an app's conditions, where that is known.
func (g *Group) leaderless(s loop.Status) []state.Condition {
	_, led := g.o.Board.Leader(s.App)
	away, _ := g.o.Stale()
	g.mu.Lock()
	defer g.mu.Unlock()
	if led || !away.IsZero() {
		delete(g.unled, s.App)
		return s.Conditions
	}
	if g.unled[s.App].IsZero() {
		g.unled[s.App] = g.o.Now()
	}
	nobody := state.Condition{Kind: loop.ConditionLeaderless, Reason: "no daemon leads it now", Since: g.unled[s.App],
		Next: "one does as soon as the lease of the one before has ended"}
	if err := g.unfit[s.App]; err != nil {
		nobody.Reason, nobody.Next, _ = strings.Cut(err.Error(), "\n  next: ")
		nobody.Reason = "no daemon leads it now, and " + g.o.Name + " cannot: " + nobody.Reason
	}
	return append(slices.Clone(s.Conditions), nobody)
}

func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Order takes a release or a rollback, here or where it is led.
func (g *Group) Order(order loop.Order) (loop.Ticket, error) {
	if g.own(order.App) {
		return g.loop.Order(order)
	}
	r, err := g.ask(context.Background(), order.App, question{Verb: askOrder, Order: &order, By: order.By})
	if err != nil {
		return loop.Ticket{}, err
	}
	if r.Ticket == nil {
		return loop.Ticket{}, errors.New("the daemon that leads " + order.App.String() + " gave no ticket\n  next: `kamald status` shows what it does")
	}
	g.pass(*r.Ticket, r.By)
	return *r.Ticket, nil
}

// own tells whether an app is this daemon's to act on: it leads it, or does not know it at all, and says so.
func (g *Group) own(app state.App) bool {
	_, err := g.loop.Status(app)
	return err != nil || g.loop.Leads(app)
}

// Approve lets what waits for a person go on.
func (g *Group) Approve(app state.App, word string, by loop.Person) error {
	if g.own(app) {
		return g.loop.Approve(app, word, by)
	}
	_, err := g.ask(context.Background(), app, question{Verb: askApprove, Word: word, By: by})
	return err
}

// Pause keeps the daemons from touching a part of an app.
func (g *Group) Pause(app state.App, pause state.Pause) error {
	if g.own(app) {
		return g.loop.Pause(app, pause)
	}
	_, err := g.ask(context.Background(), app, question{Verb: askPause, Pause: &pause})
	return err
}

// Unpause ends the pause of exactly that part of an app.
func (g *Group) Unpause(app state.App, host, role string, by loop.Person) error {
	if g.own(app) {
		return g.loop.Unpause(app, host, role, by)
	}
	_, err := g.ask(context.Background(), app, question{Verb: askUnpause, Host: host, Role: role, By: by})
	return err
}

// Resume lifts a hold.
func (g *Group) Resume(ctx context.Context, app state.App, by loop.Person) error {
	if g.own(app) {
		return g.loop.Resume(ctx, app, by)
	}
	_, err := g.ask(ctx, app, question{Verb: askResume, By: by})
	return err
}

// Look has an app looked at now.
func (g *Group) Look(app state.App) error {
	if g.own(app) {
		return g.loop.Look(app)
	}
	_, err := g.ask(context.Background(), app, question{Verb: askLook})
	return err
}

// Logs gives the last lines of one of the app's own containers. Whoever leads the app reaches its servers.
func (g *Group) Logs(ctx context.Context, app state.App, host, container string, lines int) ([]string, error) {
	if g.own(app) {
		return g.loop.Logs(ctx, app, host, container, lines)
	}
	r, err := g.ask(ctx, app, question{Verb: askLogs, Host: host, Container: container, Lines: lines})
	return r.Lines, err
}

// Subscribe gives what happens from now on, wherever.
func (g *Group) Subscribe(ctx context.Context) <-chan loop.Notice { return g.loop.Subscribe(ctx) }

// Looked tells whether of every app something is known that is true.
func (g *Group) Looked() bool {
	return !slices.ContainsFunc(g.Statuses(), func(s loop.Status) bool { return s.Round.Number == 0 })
}

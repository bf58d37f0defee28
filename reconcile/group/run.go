package group

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// again is how long after a trouble of the board's it is asked anew.
const again = time.Second

// lastly is how long a daemon that leads an app no more tries to show the others what became of it, before another can lead.
const lastly = 5 * time.Second

// Run shows the others what this daemon does, and sees what they do, until the context ends. The loop is run by the caller.
func (g *Group) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { g.lastingly(ctx, func() error { return g.o.Board.Watch(ctx, g.saw) }) })
	all.Go(func() { g.lastingly(ctx, func() error { return g.hear(ctx) }) })
	all.Go(func() { g.lastingly(ctx, func() error { return g.show(ctx) }) })
	all.Go(func() { g.lastingly(ctx, func() error { return g.balance(ctx) }) })
	all.Wait()
}

// Lead implements loop.Leadership: whoever leads an app answers what the others ask of it, and shows it to them.
func (g *Group) Lead(ctx context.Context, app state.App) (loop.Term, error) {
	term, err := g.o.Election.Lead(ctx, app)
	if ctx.Err() == nil {
		g.mu.Lock()
		g.unfit[app] = err
		g.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	within, end := context.WithCancel(context.WithoutCancel(ctx))
	t := &led{Term: term, end: end}
	t.answers.Go(func() { _ = reconcile.Guard(func() error { endWith(term.Over(), within, end); return nil }) })
	t.answers.Go(func() {
		g.lastingly(within, func() error {
			return g.o.Board.Answer(within, app, func(ctx context.Context, question []byte) []byte { return g.answer(ctx, app, question) })
		})
	})
	t.gone = func() {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastly)
		defer cancel()
		g.showLast(short, app)
		_ = g.o.Board.Hide(short, app) // it goes with this daemon's lease, too
	}
	g.changed(app)
	return t, nil
}

// Others implements loop.Leadership. Another daemon may have this one's name.
func (g *Group) Others(app state.App) bool {
	mine := 0
	if g.loop.Leads(app) {
		mine = 1
	}
	return len(g.o.Board.Standing()[app]) > mine
}

// led is a term in which questions are answered.
type led struct {
	loop.Term
	end     func()
	answers sync.WaitGroup
	gone    func()
}

// Resign implements loop.Term. Another can lead before the last answer is given: what that still does to servers it does under their locks.
func (t *led) Resign() {
	t.end()
	t.gone()
	t.Term.Resign()
	t.answers.Wait()
}

func endWith(over <-chan struct{}, within context.Context, end func()) {
	select {
	case <-over:
		end()
	case <-within.Done():
	}
}

// lastingly does something until the context ends, and begins it anew where it ends before.
func (g *Group) lastingly(ctx context.Context, do func() error) {
	for ctx.Err() == nil {
		if err := reconcile.Guard(do); err != nil && ctx.Err() == nil {
			g.o.Failed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// hear notes what has changed of the apps that this daemon leads.
func (g *Group) hear(ctx context.Context) error {
	notices := g.loop.Subscribe(ctx)
	over := map[string]bool{}
	for _, t := range g.loop.Tickets() { // what came before
		over[t.ID] = t.Done()
	}
	g.mu.Lock()
	g.over = over
	g.mu.Unlock()
	for _, s := range g.loop.Statuses() {
		g.changed(s.App)
	}
	for n := range notices {
		if n.Ticket != nil && n.Ticket.Done() {
			g.ended(n.Ticket.ID)
		}
		if n.Progress != nil && !n.Progress.Passing() && g.loop.Leads(n.App) {
			g.said(n.App, *n.Progress)
		}
		g.changed(n.App)
	}
	return nil // it was too slow, or the loop has ended
}

// ended notes that this daemon has heard of an order's end. Orders that nobody can ask for any more are forgotten.
func (g *Group) ended(id string) {
	known := map[string]bool{id: true}
	for _, t := range g.loop.Tickets() {
		known[t.ID] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over[id] = true
	maps.DeleteFunc(g.over, func(old string, _ bool) bool { return !known[old] })
}

// said keeps a line of what is under way.
func (g *Group) said(app state.App, line reconcile.Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := append(g.lines[app], line)
	g.lines[app] = slices.Clone(list[max(len(list)-shownLines, 0):]) // what is shown is read meanwhile
}

// changed has an app be shown anew.
func (g *Group) changed(app state.App) {
	g.mu.Lock()
	g.dirty[app] = true
	g.mu.Unlock()
	select {
	case g.woken <- struct{}{}:
	default:
	}
}

// show keeps what the others see as it is, and gathers what changes meanwhile.
func (g *Group) show(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.woken:
		}
		g.mu.Lock()
		dirty := g.dirty
		g.dirty = map[state.App]bool{}
		g.mu.Unlock()
		if err := g.showAll(ctx, dirty); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(g.o.Every):
		}
	}
}

// showAll shows apps. One that cannot be shown holds up no other, and is to be shown again; while the store is away there is no use in trying
// the rest.
func (g *Group) showAll(ctx context.Context, apps map[state.App]bool) (failed error) {
	for app := range apps {
		err := g.showOne(ctx, app)
		if err == nil || errors.Is(err, state.ErrNotLeader) { // whoever leads it shows it
			delete(apps, app)
			continue
		}
		failed = err
		if since, _ := g.o.Stale(); !since.IsZero() {
			break
		}
	}
	for app := range apps {
		g.changed(app)
	}
	return failed
}

func (g *Group) showOne(ctx context.Context, app state.App) error {
	if !g.loop.Leads(app) {
		return nil
	}
	return g.put(ctx, app)
}

// showLast shows how the orders of a term have ended, when all has: whoever waits for one through another daemon hears of its end, and not
// that this one leads no more.
func (g *Group) showLast(ctx context.Context, app state.App) {
	began := time.Now()
	for len(g.unheard(app)) > 0 && time.Since(began) < g.o.Every { // what was said before an end comes first
		time.Sleep(10 * time.Millisecond)
	}
	for _, id := range g.unheard(app) {
		g.ended(id)
	}
	if len(g.ticketsOf(app)) > 0 {
		_ = g.put(ctx, app) // the others show what there was before
	}
}

// unheard are the orders of an app that have ended, and of whose end this daemon has not heard yet.
func (g *Group) unheard(app state.App) (ids []string) {
	tickets := g.loop.Tickets()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tickets {
		if t.Order.App == app && t.Done() && !g.over[t.ID] {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

func (g *Group) put(ctx context.Context, app state.App) error {
	status, err := g.loop.Status(app)
	if err != nil {
		return nil // it is driven no more
	}
	tickets := g.ticketsOf(app)
	g.mu.Lock()
	lines := g.lines[app]
	g.mu.Unlock()
	data, err := shown{By: g.id, Status: status, Lines: lines, Tickets: tickets}.pack()
	if err != nil {
		g.o.Failed(err)
		return nil
	}
	return g.o.Board.Show(ctx, app, data)
}

// saw takes what is shown of an app, and tells whoever watches this daemon.
func (g *Group) saw(app state.App, data []byte) {
	var now shown
	if data != nil {
		if err := unpackTo(data, &now); err != nil {
			g.o.Failed(err)
			return
		}
	}
	g.mu.Lock()
	before := g.seen[app]
	if before.By != "" || data != nil && now.By != g.id {
		g.last[app] = g.o.Now()
	}
	if data == nil || now.By == g.id {
		delete(g.seen, app)
	} else {
		g.seen[app] = now
		for _, t := range now.Tickets {
			g.note(t, now.By)
		}
	}
	g.mu.Unlock()
	if data != nil && now.By != g.id {
		g.relay(before, now)
	}
	g.mu.Lock() // whoever waits for an order hears of its end after what came before it
	close(g.moved)
	g.moved = make(chan struct{})
	g.mu.Unlock()
}

// relay tells what is new in what another daemon shows: lines before the orders that they belong to.
func (g *Group) relay(before, now shown) {
	app, at := now.Status.App, g.o.Now()
	if before.By == now.By { // else it is the past
		var last time.Time
		if n := len(before.Lines); n > 0 {
			last = before.Lines[n-1].At
		}
		for _, line := range now.Lines {
			if line.At.After(last) {
				g.loop.Relay(loop.Notice{Kind: loop.NoticeProgress, App: app, At: line.At, Progress: &line})
			}
		}
	}
	for _, t := range now.Tickets {
		if !contains(before.Tickets, t) {
			g.loop.Relay(loop.Notice{Kind: loop.NoticeTicket, App: app, At: at, Ticket: &t})
		}
	}
	if status, err := g.Status(app); err == nil {
		g.loop.Relay(loop.Notice{Kind: loop.NoticeStatus, App: app, At: at, Status: &status})
	}
}

func contains(list []loop.Ticket, t loop.Ticket) bool {
	for _, old := range list {
		if old.ID == t.ID {
			return old.Begun.Equal(t.Begun) && old.Ended.Equal(t.Ended)
		}
	}
	return false
}

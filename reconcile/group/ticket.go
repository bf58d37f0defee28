package group

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// Ticket gives an order that was taken, wherever; false for one that is not known, or no more.
func (g *Group) Ticket(id string) (loop.Ticket, bool) {
	if ticket, ok := g.loop.Ticket(id); ok {
		return ticket, true
	}
	ticket, _, ok := g.elsewhere(id)
	return ticket, ok
}

// Open gives the orders that have not ended, in the order in which they were taken.
func (g *Group) Open() []loop.Ticket {
	list := g.loop.Open()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.seen {
		for _, t := range s.Tickets {
			if !t.Done() {
				list = append(list, t)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b loop.Ticket) int { return a.Taken.Compare(b.Taken) })
	return list
}

// Await returns when the order has ended, or with the context's error. An order that another daemon took is lost with that one: the error
// says so.
func (g *Group) Await(ctx context.Context, id string) (loop.Ticket, error) {
	if _, ok := g.loop.Ticket(id); ok {
		return g.loop.Await(ctx, id)
	}
	for {
		g.mu.Lock()
		moved := g.moved
		g.mu.Unlock()
		ticket, lost, ok := g.elsewhere(id)
		switch {
		case !ok:
			return g.loop.Await(ctx, id) // it says what there is no
		case ticket.Done():
			return ticket, nil
		case lost:
			return ticket, fmt.Errorf("the daemon that took the order has gone, or leads %s no more, before the order had ended\n  next: `kamald status` shows what runs; give the order again if it is still wanted", ticket.Order.App)
		}
		select {
		case <-moved:
		case <-time.After(g.o.Every): // nothing is shown any more by one that is gone
		case <-ctx.Done():
			return ticket, ctx.Err()
		}
	}
}

// passedOn is an order that another daemon took.
type passedOn struct {
	ticket loop.Ticket
	by     string    // the process that took it
	at     time.Time // when this daemon learnt of it
}

// keepPassedOn is how many of them can be asked for.
const keepPassedOn = 256

// pass remembers an order that another daemon took. Those that were longest ago are forgotten.
func (g *Group) pass(ticket loop.Ticket, by string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(ticket, by)
}

// note must be called with the lock.
func (g *Group) note(ticket loop.Ticket, by string) {
	at := g.o.Now()
	if old, known := g.asked[ticket.ID]; known {
		at = old.at
		if old.ticket.Done() {
			ticket = old.ticket // what was shown while it ended may come after the end
		}
	}
	g.asked[ticket.ID] = passedOn{ticket, by, at}
	for len(g.asked) > keepPassedOn {
		oldest := ""
		for id, p := range g.asked {
			if oldest == "" || p.at.Before(g.asked[oldest].at) {
				oldest = id
			}
		}
		delete(g.asked, oldest)
	}
}

// elsewhere finds an order that another daemon took. lost: it had not ended when that one was seen last, and another one leads now, or none
// has for a while.
func (g *Group) elsewhere(id string) (ticket loop.Ticket, lost, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.asked[id]
	if !ok {
		return loop.Ticket{}, false, false
	}
	now, led := g.seen[p.ticket.Order.App]
	switch {
	case p.ticket.Done():
	case led:
		lost = now.By != p.by
	case g.loop.Leads(p.ticket.Order.App):
		lost = true
	default:
		since := p.at
		if last := g.last[p.ticket.Order.App]; last.After(since) {
			since = last
		}
		lost = g.o.Now().Sub(since) > g.o.Patience
	}
	return p.ticket, lost, true
}

// ticketsOf are the orders of an app that are shown to the others.
func (g *Group) ticketsOf(app state.App) []loop.Ticket {
	var list []loop.Ticket
	tickets := g.loop.Tickets()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tickets {
		if t.Order.App != app {
			continue
		}
		if t.Done() && !g.over[t.ID] { // what was said before its end is not among the lines yet
			t.Ended, t.Report, t.Error = time.Time{}, nil, ""
		}
		list = append(list, briefly(t))
	}
	slices.SortStableFunc(list, func(a, b loop.Ticket) int { return cmp.Compare(a.Taken.UnixNano(), b.Taken.UnixNano()) })
	return list[max(len(list)-shownOrders, 0):]
}

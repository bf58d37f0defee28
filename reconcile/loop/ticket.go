package loop

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
)

// keepTickets is how many tickets of the past can be asked for.
const keepTickets = 256

// errTicket: nobody has given out such a ticket, or it was long ago.
var errTicket = errors.New("there is no such order, or it was long ago")

// tickets are the orders that were taken.
type tickets struct {
	now func() time.Time

	mu    sync.Mutex
	byID  map[string]*Ticket
	order []string // the oldest first
	ended map[string]chan struct{}
}

// take gives a ticket for an order.
func (t *tickets) take(order Order) Ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID, t.ended = map[string]*Ticket{}, map[string]chan struct{}{}
	}
	ticket := &Ticket{ID: rand.Text()[:16], Order: order, Taken: t.now()}
	t.byID[ticket.ID], t.ended[ticket.ID] = ticket, make(chan struct{})
	t.order = append(t.order, ticket.ID)
	for i := 0; len(t.order) > keepTickets && i < len(t.order); {
		if id := t.order[i]; t.byID[id].Done() {
			delete(t.byID, id)
			delete(t.ended, id)
			t.order = append(t.order[:i], t.order[i+1:]...)
			continue
		}
		i++
	}
	return *ticket
}

func (t *tickets) get(id string) (Ticket, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ticket, ok := t.byID[id]
	if !ok {
		return Ticket{}, false
	}
	return *ticket, true
}

func (t *tickets) begin(id string) Ticket {
	return t.change(id, func(ticket *Ticket) { ticket.Begun = t.now() })
}

func (t *tickets) end(id string, report *reconcile.Report, err error) Ticket {
	return t.change(id, func(ticket *Ticket) {
		if ticket.Done() {
			return
		}
		ticket.Ended, ticket.Report = t.now(), report
		if err != nil {
			ticket.Error = err.Error()
		}
		close(t.ended[id])
	})
}

func (t *tickets) change(id string, change func(*Ticket)) Ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	ticket, ok := t.byID[id]
	if !ok {
		return Ticket{}
	}
	change(ticket)
	return *ticket
}

// open gives those that have not ended, in the order in which they were taken.
func (t *tickets) open() (list []Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.order {
		if ticket := t.byID[id]; !ticket.Done() {
			list = append(list, *ticket)
		}
	}
	return list
}

func (t *tickets) all() (list []Ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.order {
		list = append(list, *t.byID[id])
	}
	return list
}

// await returns when the ticket has ended, or with the context's error.
func (t *tickets) await(ctx context.Context, id string) (Ticket, error) {
	t.mu.Lock()
	ended, ok := t.ended[id]
	t.mu.Unlock()
	if !ok {
		return Ticket{}, fmt.Errorf("%q: %w", id, errTicket)
	}
	select {
	case <-ended:
		ticket, _ := t.get(id)
		return ticket, nil
	case <-ctx.Done():
		ticket, _ := t.get(id)
		return ticket, ctx.Err()
	}
}

package loop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// errSupersededOrder ends an order that a newer one has overtaken before it began.
var errSupersededOrder = errors.New("a newer order came before this one had begun; nothing of it was done")

// errNotRunning: the loop is not running, or is about to end.
var errNotRunning = errors.New("the daemon is about to end, and takes no orders any more")

// Order takes a release or a rollback. A release waits for what is under way to end, and for its turn: of several that wait, the newest
// is done and the others end. A rollback begins at once: it asks a release that is under way to end.
func (l *Loop) Order(order Order) (Ticket, error) {
	k, err := l.keeper(order.App)
	if err != nil {
		return Ticket{}, err
	}
	switch order.Verb {
	case VerbRelease, VerbRollback:
	default:
		return Ticket{}, fmt.Errorf("%q is no order: it is %s or %s", order.Verb, VerbRelease, VerbRollback)
	}
	k.mu.Lock()
	hard, overtaken := k.hard, []string(nil)
	if hard == nil || hard.Err() != nil {
		k.mu.Unlock()
		return Ticket{}, errNotRunning
	}
	ticket := l.tickets.take(order)
	if order.Verb == VerbRollback {
		k.aside++
		k.beside.Add(1)
	} else {
		overtaken, k.orders = k.orders, []string{ticket.ID}
	}
	k.mu.Unlock()
	l.tellTicket(ticket)
	if order.Verb == VerbRollback {
		go func() { _ = k.surviving(func() error { k.goBack(hard, ticket); return nil }) }()
		return ticket, nil
	}
	for _, id := range overtaken {
		l.tellTicket(l.tickets.end(id, nil, errSupersededOrder))
	}
	k.wake(wakeOrder, "")
	return ticket, nil
}

// Ticket gives an order that was taken; false for one that is not known, or no more.
func (l *Loop) Ticket(id string) (Ticket, bool) { return l.tickets.get(id) }

// Open gives the orders that have not ended, in the order in which they were taken.
func (l *Loop) Open() []Ticket { return l.tickets.open() }

// Tickets gives the orders that have not ended, and those of the past that can be asked for, in the order in which they were taken.
func (l *Loop) Tickets() []Ticket { return l.tickets.all() }

// Await returns when the order has ended, or with the context's error.
func (l *Loop) Await(ctx context.Context, id string) (Ticket, error) { return l.tickets.await(ctx, id) }

// Approve lets what waits for a person go on; word is what Status.Approve says, "" for whatever waits.
func (l *Loop) Approve(app state.App, word string, by Person) error {
	k, err := l.keeper(app)
	if err != nil {
		return err
	}
	k.mu.Lock()
	waits := k.public.Approve
	if waits == "" || word != "" && word != waits {
		k.mu.Unlock()
		return fmt.Errorf("%s: %w", app, ErrNothingWaits)
	}
	if !slices.Contains(k.memory.Approved, waits) {
		k.memory.Approved = append(slices.Clone(k.memory.Approved), waits)
	}
	k.renewed = true
	k.mu.Unlock()
	return k.changed("approve", by, "approved "+waits)
}

// Pause keeps the daemon from touching a part of an app. What is under way goes on.
func (l *Loop) Pause(app state.App, pause state.Pause) error {
	k, err := l.keeper(app)
	if err != nil {
		return err
	}
	if pause.Since.IsZero() {
		pause.Since = l.o.Now()
	}
	k.mu.Lock()
	k.memory.Pauses = append(slices.DeleteFunc(slices.Clone(k.memory.Pauses), func(p state.Pause) bool { return p.Host == pause.Host && p.Role == pause.Role }), pause)
	k.mu.Unlock()
	return k.changed("pause", Person{pause.Who, pause.Where}, pauseText(pause))
}

// Unpause ends the pause of exactly that part of an app; "" of both is the pause of all of it.
func (l *Loop) Unpause(app state.App, host, role string, by Person) error {
	k, err := l.keeper(app)
	if err != nil {
		return err
	}
	k.mu.Lock()
	before := len(k.memory.Pauses)
	k.memory.Pauses = slices.DeleteFunc(slices.Clone(k.memory.Pauses), func(p state.Pause) bool { return p.Host == host && p.Role == role })
	none := len(k.memory.Pauses) == before
	k.renewed = true
	k.mu.Unlock()
	if none {
		return fmt.Errorf("%s: that part is not paused", app)
	}
	return k.changed("unpause", by, "the pause was ended")
}

// resumeTime is left of the time that somebody waits for a resume, when it has its locks or none.
const resumeTime = 5 * time.Second

// Resume lifts a hold: what the source proposes is released again.
func (l *Loop) Resume(ctx context.Context, app state.App, by Person) error {
	k, err := l.keeper(app)
	if err != nil {
		return err
	}
	if err := k.leads(); err != nil {
		return err
	}
	controller, desired, err := k.own(Order{By: by})
	if err != nil {
		return err
	}
	defer func() { _ = controller.Close() }()
	if until, ok := ctx.Deadline(); ok { // so that whoever asked hears whose lock it is
		controller.LockWaitLimit = max(min(time.Until(until)-resumeTime, orderPatience), time.Second)
	}
	if _, err = controller.Resume(ctx, desired); err == nil {
		k.mu.Lock()
		k.renewed = true
		k.mu.Unlock()
		k.wake(wakeOrder, "")
	}
	return err
}

// Logs gives the last lines of one of the app's own containers, by name.
func (l *Loop) Logs(ctx context.Context, app state.App, host, container string, lines int) ([]string, error) {
	k, err := l.keeper(app)
	if err != nil {
		return nil, err
	}
	controller, desired, err := k.own(Order{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = controller.Close() }()
	return controller.Logs(ctx, desired, host, container, min(max(lines, 1), 1000))
}

// changed keeps what a person has changed, notes it, and has the worker look.
func (k *keeper) changed(kind string, by Person, message string) error {
	err := k.save()
	if err == nil { // else it is not so: another daemon may lead by now
		err = k.l.o.Store.Append(k.app, state.Event{At: k.l.o.Now(), Who: by.Who, Where: by.Where, Kind: kind, Outcome: state.EventDone, Message: message})
	}
	k.publish(func(*Status) {})
	k.wake(wakeOrder, "")
	return err
}

// own makes a controller beside the worker's, for what a person asks for.
func (k *keeper) own(order Order) (*reconcile.Controller, release.Release, error) {
	k.mu.Lock()
	proposal := k.proposed
	k.mu.Unlock()
	if proposal == nil {
		return nil, release.Release{}, fmt.Errorf("nothing is known yet of what %s is to be", k.app)
	}
	current := proposal.Release
	if order.SkipHooks {
		current.Hooks = release.Hooks{}
	}
	controller, err := k.l.o.Open(current)
	if err != nil {
		return nil, release.Release{}, err
	}
	controller.LockWait, controller.LockWaitLimit = true, orderPatience
	if order.By.Who != "" {
		controller.Owner.Who = order.By.Who
	}
	return controller, current, nil
}

// goBack rolls back beside the worker, which does nothing meanwhile.
func (k *keeper) goBack(hard context.Context, ticket Ticket) {
	defer k.beside.Done()
	var report reconcile.Report
	err := k.surviving(func() (err error) { report, err = k.rollback(hard, ticket); return })
	k.mu.Lock()
	k.aside--
	k.renewed = true
	k.mu.Unlock()
	k.orderEnded(ticket, report, err)
	k.wake(wakeOrder, "")
}

// orderEnded tells whoever waits for an order, and whoever else wants to know.
func (k *keeper) orderEnded(ticket Ticket, report reconcile.Report, err error) {
	k.tellReleased(ticket.Order.Verb, ticket.Order.Version, report, err)
	var shown *reconcile.Report
	if report.Kind != "" {
		shown = &report
	}
	k.l.tellTicket(k.l.tickets.end(ticket.ID, shown, err))
}

func (k *keeper) rollback(hard context.Context, ticket Ticket) (reconcile.Report, error) {
	k.l.tellTicket(k.l.tickets.begin(ticket.ID))
	controller, current, err := k.own(ticket.Order)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer func() { _ = controller.Close() }()
	controller.Report = k.progress
	return k.during(plan.KindRollback, ticket.Order.Version, ticket.Order.By.String(), func() (reconcile.Report, error) {
		return controller.Rollback(hard, current, reconcile.Back{Number: ticket.Order.Number, Version: ticket.Order.Version}, reconcile.Options{Guard: k.asLeader})
	})
}

func (k *keeper) rollingBack() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.aside > 0
}

// nextOrder takes the order that waits.
func (k *keeper) nextOrder() (Ticket, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.orders) == 0 {
		return Ticket{}, false
	}
	id := k.orders[0]
	k.orders = k.orders[1:]
	return k.l.tickets.get(id)
}

func (l *Loop) tellTicket(t Ticket) {
	if t.ID != "" {
		l.tell(Notice{Kind: NoticeTicket, App: t.Order.App, Ticket: &t})
	}
}

// word is what a person gives back to approve something: short, and of that thing alone.
func word(kind, of string) string {
	return fmt.Sprintf("%s-%.4x", kind, sha256.Sum256([]byte(of)))
}

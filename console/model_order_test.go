package console

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

func (m *model) Order(order loop.Order) (loop.Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps[order.App] == nil {
		return loop.Ticket{}, loop.ErrNoApp
	}
	if order.Version == "broken" && !order.Retry {
		return loop.Ticket{}, advised{"broken failed by its own fault", "ask for it again with retry"}
	}
	t := &loop.Ticket{ID: fmt.Sprintf("t%d", len(m.tickets)+1), Order: order, Taken: m.now()}
	m.tickets = append(m.tickets, t)
	m.ended[t.ID] = make(chan struct{})
	m.tellTicket(*t)
	if m.auto {
		go func() { m.begin(t.ID); m.line(order.App, "web-1", "start it"); m.finish(t.ID, "") }()
	}
	return *t, nil
}

type advised struct{ text, next string }

func (a advised) Error() string { return a.text }
func (a advised) Next() string  { return a.next }

func (m *model) tellTicket(t loop.Ticket) {
	m.tell(loop.Notice{Kind: loop.NoticeTicket, App: t.Order.App, At: m.now(), Ticket: &t})
}

func (m *model) find(id string) *loop.Ticket {
	for _, t := range m.tickets {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// begin, line and finish are what the app's worker does with an order.
func (m *model) begin(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.find(id)
	t.Begun = m.now()
	s := m.apps[t.Order.App]
	s.Doing = &loop.Activity{Kind: kindOf(t.Order), Version: m.version(t.Order), Who: t.Order.By.String(), Since: m.now()}
	s.Conditions = append(s.Conditions, state.Condition{Kind: loop.ConditionReleasing, Reason: s.Doing.Version + " for " + s.Doing.Who, Since: m.now()})
	m.tellTicket(*t)
	m.tellStatus(t.Order.App)
}

func kindOf(order loop.Order) plan.Kind {
	if order.Verb == loop.VerbRollback {
		return plan.KindRollback
	}
	return plan.KindRelease
}

// version is what an order comes to; a rollback without one goes to the release before.
func (m *model) version(order loop.Order) string {
	if order.Version != "" || order.Verb == loop.VerbRelease {
		return order.Version
	}
	for _, r := range slices.Backward(m.records[order.App]) {
		if r.Number == order.Number || order.Number == 0 && r.Number < m.apps[order.App].Held.Number {
			return r.Version
		}
	}
	return ""
}

func (m *model) line(app state.App, host, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := reconcile.Progress{At: m.now(), Kind: "done", Host: host, Role: "web", Step: "start/" + host + "/web", Message: message}
	if s := m.apps[app]; s.Doing != nil {
		s.Doing.Lines = append(s.Doing.Lines, p)
	}
	m.tell(loop.Notice{Kind: loop.NoticeProgress, App: app, At: m.now(), Progress: &p})
}

func (m *model) finish(id, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.find(id)
	s, app := m.apps[t.Order.App], t.Order.App
	t.Ended, t.Error = m.now(), why
	version := s.Doing.Version
	t.Report = &reconcile.Report{Outcome: state.OutcomeSucceeded, Kind: kindOf(t.Order), Version: version, Release: len(m.records[app]) + 1, Took: 3 * time.Second}
	if why != "" {
		t.Report.Outcome = state.OutcomeFailed
	}
	m.records[app] = append(m.records[app], state.Record{Schema: 1, Number: t.Report.Release, App: app, Version: version, Kind: t.Order.Verb, Who: t.Order.By.Who,
		Where: t.Order.By.Where, Started: t.Begun, Ended: t.Ended, Outcome: t.Report.Outcome, Reason: why})
	if why == "" {
		s.Held = &loop.Held{Number: t.Report.Release, Version: version, Kind: t.Order.Verb, Who: t.Order.By.Who, Where: t.Order.By.Where, At: m.now(), Hold: t.Order.Verb == loop.VerbRollback}
		for i, p := range s.Places {
			before := p.Version
			s.Places[i].Version, s.Places[i].Container = version, app.ContainerName(p.Role, version)
			m.logs[p.Host+"/"+s.Places[i].Container] = m.logs[p.Host+"/"+p.Container]
			t.Report.Rows = append(t.Report.Rows, reconcile.Row{Host: p.Host, Role: p.Role, Before: before, Wanted: version, Now: version})
		}
	}
	s.Doing = nil
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionReleasing })
	s.Round.Number++
	report := *t.Report
	m.tell(loop.Notice{Kind: loop.NoticeEnded, App: app, At: m.now(), Report: &report})
	m.tellTicket(*t)
	m.tellStatus(app)
	close(m.ended[id])
}

func (m *model) Ticket(id string) (loop.Ticket, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.find(id)
	if t == nil {
		return loop.Ticket{}, false
	}
	return *t, true
}

func (m *model) Await(ctx context.Context, id string) (loop.Ticket, error) {
	m.mu.Lock()
	ended := m.ended[id]
	m.mu.Unlock()
	select {
	case <-ended:
		t, _ := m.Ticket(id)
		return t, nil
	case <-ctx.Done():
		return loop.Ticket{}, ctx.Err()
	}
}

package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// What one daemon may ask of another.
const (
	askOrder   = "order"
	askApprove = "approve"
	askPause   = "pause"
	askUnpause = "unpause"
	askResume  = "resume"
	askLook    = "look"
	askLogs    = "logs"
)

// question is one of them, with what it needs.
type question struct {
	Verb      string       `json:"verb"`
	Order     *loop.Order  `json:"order,omitempty"`
	Pause     *state.Pause `json:"pause,omitempty"`
	Word      string       `json:"word,omitempty"`
	Host      string       `json:"host,omitempty"`
	Role      string       `json:"role,omitempty"`
	Container string       `json:"container,omitempty"`
	Lines     int          `json:"lines,omitempty"`
	By        loop.Person  `json:"by,omitzero"`
	Until     time.Time    `json:"until,omitzero"` // nobody waits for it any more then, by the clock of whoever asks
}

// mostApart is how far the clocks of two daemons may be apart. Whether a question is still waited for is decided where it lies: it is taken
// back; but a cluster that was away may bring an old one up again, after whoever asked has gone another way.
const mostApart = 2 * time.Minute

// reply is what becomes of a question.
type reply struct {
	Ticket *loop.Ticket `json:"ticket,omitempty"`
	By     string       `json:"by,omitempty"` // the process that gave the ticket
	Lines  []string     `json:"lines,omitempty"`
	Error  string       `json:"error,omitempty"`
	Kind   string       `json:"kind,omitempty"` // of an error that others tell from the rest
}

// kinds are the errors that mean something to whoever asked.
var kinds = map[string]error{"no-app": loop.ErrNoApp, "nothing-waits": loop.ErrNothingWaits, "not-found": state.ErrNotFound}

// fault is an error of another daemon's.
type fault struct {
	text string
	kind error
}

func (f fault) Error() string { return f.text }
func (f fault) Unwrap() error { return f.kind }

func (r reply) err() error {
	if r.Error == "" {
		return nil
	}
	return fault{r.Error, kinds[r.Kind]}
}

// failed makes an error a reply.
func failed(err error) reply {
	if err == nil {
		return reply{}
	}
	r := reply{Error: err.Error()}
	for kind, known := range kinds {
		if errors.Is(err, known) {
			r.Kind = kind
		}
	}
	return r
}

// answer does what another daemon asks of an app that this one leads.
func (g *Group) answer(ctx context.Context, app state.App, data []byte) []byte {
	var r reply
	if err := reconcile.Guard(func() error { r = g.replyTo(ctx, app, data); return nil }); err != nil {
		r = failed(err)
	}
	text, err := packed(r)
	if err == nil && len(text) > mostAnswered {
		err = errors.New("the answer is too long to be passed on\n  next: ask for less, or ask the daemon that leads")
	}
	if err != nil {
		text, _ = packed(failed(err))
	}
	return text
}

func (g *Group) replyTo(ctx context.Context, app state.App, data []byte) reply {
	var q question
	if err := unpackTo(data, &q); err != nil {
		return failed(fmt.Errorf("another daemon asks what this one does not understand: %w; are both of one version?", err))
	}
	if late := g.o.Now().Sub(q.Until); !q.Until.IsZero() && late > mostApart {
		return failed(fmt.Errorf("it came %s too late by the clock of %s; nothing of it was done", late.Round(time.Second), g.o.Name))
	}
	return g.doAsked(ctx, app, q)
}

func (g *Group) doAsked(ctx context.Context, app state.App, q question) reply {
	l := g.loop
	switch {
	case q.Verb == askOrder && q.Order != nil && q.Order.App == app:
		ticket, err := l.Order(*q.Order)
		if err != nil {
			return failed(err)
		}
		ticket = briefly(ticket)
		return reply{Ticket: &ticket, By: g.id}
	case q.Verb == askApprove:
		return failed(l.Approve(app, q.Word, q.By))
	case q.Verb == askPause && q.Pause != nil:
		return failed(l.Pause(app, *q.Pause))
	case q.Verb == askUnpause:
		return failed(l.Unpause(app, q.Host, q.Role, q.By))
	case q.Verb == askResume:
		return failed(l.Resume(ctx, app, q.By))
	case q.Verb == askLook:
		return failed(l.Look(app))
	case q.Verb == askLogs:
		lines, err := l.Logs(ctx, app, q.Host, q.Container, q.Lines)
		r := failed(err)
		r.Lines = lines
		return r
	}
	return failed(fmt.Errorf("another daemon asks for %q, which this one does not know; are both of one version?", q.Verb))
}

// ask puts a question to whoever leads an app, and gives the reply.
func (g *Group) ask(ctx context.Context, app state.App, q question) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, g.o.Patience)
	defer cancel()
	q.Until = g.o.Now().Add(g.o.Patience)
	data, err := packed(q)
	if err != nil {
		return reply{}, err
	}
	answer, err := g.o.Board.Ask(ctx, app, data)
	if err != nil {
		return reply{}, g.unanswered(app, err)
	}
	var r reply
	if err := unpackTo(answer, &r); err != nil {
		return reply{}, fmt.Errorf("the answer of the daemon that leads %s cannot be read: %w", app, err)
	}
	return r, r.err()
}

// unanswered says whom the question was for, and what to do.
func (g *Group) unanswered(app state.App, err error) error {
	who := "no daemon leads " + app.String() + " now"
	if since, _ := g.o.Stale(); !since.IsZero() {
		who = "the store cannot be reached, so it is not known who leads " + app.String()
	} else if leader, ok := g.o.Board.Leader(app); ok {
		who = leader + " leads " + app.String()
	}
	switch {
	case errors.Is(err, ErrNotTaken) && strings.Contains(err.Error(), "next:"):
		return fmt.Errorf("%s: %w", who, err)
	case errors.Is(err, ErrNotTaken):
		return fmt.Errorf("%s: %w\n  next: ask again in a moment; `kamald status` says who leads", who, err)
	}
	return fmt.Errorf("%s, and it is not known what became of this: %w\n  next: `kamald status` and `kamald history` show it", who, err)
}

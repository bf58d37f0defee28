package reconcile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// Every mutation of a server goes through a journal: its intention is in the store before it begins, so that whatever happens
// to this process, the store knows what may have been done. A store that cannot be written forbids what has not begun; it does
// not forbid taking back what a failed release has begun, nor giving a lock back: the intentions of the steps and of the lock
// cover those. The store lies on this machine and not on the servers, so a full disk there forbids nothing here.

// deed is one thing that is done to a server.
type deed struct {
	kind, host, role, step, message string
	silent                          bool // it has no line in the host's audit file
	stage                           int  // it begins when what is of an earlier stage has ended on all hosts
}

// stepDeed is what a plan's step does; false for steps that touch no server.
func stepDeed(s plan.Step) (deed, bool) {
	switch s.Kind {
	case plan.StepGate, plan.StepBarrier, plan.StepWait, plan.StepHold:
		return deed{}, false
	}
	return deed{kind: string(s.Kind), host: s.Host, role: s.Role, step: s.ID, message: describe(s)}, true
}

// journal notes the deeds of one plan or command.
type journal struct {
	c       *Controller
	app     state.App
	nonce   string
	release int

	mu    sync.Mutex
	ended []state.Event // not written yet
}

// journal begins the notes of a command that carries no plan out.
func (c *Controller) journal(app state.App) *journal {
	return &journal{c: c, app: app, nonce: rand.Text()[:12]}
}

// intend writes what is about to be done, all of it in one transaction. When that fails, nothing of it may be done.
func (j *journal) intend(deeds ...deed) error {
	events := make([]state.Event, 0, len(deeds))
	for _, d := range deeds {
		events = append(events, j.event(d, state.EventIntended, nil))
	}
	if err := j.c.Store.Append(j.app, events...); err != nil {
		return fmt.Errorf("nothing is done to a server that cannot be noted before: %w", err)
	}
	return nil
}

// end notes how a deed ended; write keeps it.
func (j *journal) end(d deed, err error) {
	outcome := state.EventDone
	switch {
	case errors.Is(err, errSkipped):
		outcome = state.EventNotBegun
	case err != nil:
		outcome = state.EventFailed
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = append(j.ended, j.event(d, outcome, err))
}

// write keeps what has ended, and further events, in one transaction.
func (j *journal) write(more ...state.Event) error {
	j.mu.Lock()
	events := append(j.ended, more...)
	j.ended = nil
	j.mu.Unlock()
	return j.c.Store.Append(j.app, events...)
}

// noted notes one deed, does it, and notes how it ended.
func (c *Controller) noted(app state.App, d deed, do func() error) error {
	j := c.journal(app)
	if err := j.intend(d); err != nil {
		return err
	}
	err := do()
	j.end(d, err)
	return errors.Join(err, j.write())
}

func (j *journal) event(d deed, outcome string, err error) state.Event {
	event := state.Event{At: j.c.now(), Who: j.c.Owner.Who, Where: j.c.Owner.Where(), Nonce: j.nonce, Release: j.release,
		Kind: d.kind, Host: d.host, Role: d.role, Step: d.step, Outcome: outcome, Message: d.message}
	if err != nil {
		event.Error = Brief(err)
	}
	return event
}

// auditLine is a line of a host's audit file in Kamal's form (kamal-facts: B-90).
func (c *Controller) auditLine(at time.Time, app state.App, role, message string) string {
	line := fmt.Sprintf("[%s] [%s] ", at.UTC().Format(time.RFC3339), c.Owner.Who)
	for _, part := range []string{app.Destination, role} {
		if part != "" {
			line += "[" + part + "] "
		}
	}
	return line + firstLine(message) + "\n"
}

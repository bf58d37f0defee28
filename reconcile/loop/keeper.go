package loop

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// What a worker is woken by. It is woken once, whatever came meanwhile.
const (
	wakeStart  = "start"
	wakeTimer  = "timer"
	wakeAgain  = "again" // what was decided said when to look again
	wakeEvent  = "event"
	wakeSource = "source"
	wakeOrder  = "order"
)

const (
	// together is how long events are gathered before a look: a container that is removed dies first.
	together = 40 * time.Millisecond
	// busiest is how long they are gathered at most, where they come one after another: each time it is twice as long. calm is how long
	// none must have come for that to begin anew.
	busiest = 2 * time.Second
	patient = 8 // rounds for events in a row that led to nothing before that begins
	calm    = 10 * time.Second
	// keepLines is how many lines of progress are kept of what is under way.
	keepLines = 200
)

// keeper drives one app. Only its worker (run) looks and acts; the rest is asked from anywhere.
type keeper struct {
	l   *Loop
	app state.App
	set Settings

	term  Term   // nil: no other daemon could lead
	yield func() // ends the term

	signal chan struct{} // holds a token while the worker has something to do

	saving     sync.Mutex // held while what is remembered is written: the newest is written last
	publishing sync.Mutex // held while a status is told: the newest is told last

	mu     sync.Mutex
	memory state.Watch
	public Status
	heard  heard
	orders []string        // IDs of tickets that wait, the oldest first
	hard   context.Context // what an act may go on in; nil: not running
	acting bool
	aside  int            // rollbacks under way
	beside sync.WaitGroup // the same
	// hooking holds a token while hooks at drift run.
	hooking chan struct{}
	quiet   time.Time // until then, what is heard is of the worker's own doing
	// proposed is what the worker has read last, for whoever acts beside it.
	proposed *Proposal
	yielded  bool // the term was ended for another daemon to lead
	renewed  bool // a person has changed what holds: what had been given up is tried again

	// The worker's own.
	want     want
	session  *session
	blind    time.Time         // since when no server could be reached; zero: some could
	sighted  bool              // some could since this daemon leads
	due      time.Time         // when all is to be looked at again, whatever is heard until then
	failing  map[string]string // what was found then by asking
	storm    int               // how many rounds for events came one after another since something was done
	stormed  time.Time         // the newest of them
	tries    tries
	strange  bool                 // the store knows of no earlier daemon, or of one with another comparison
	familiar time.Time            // when that ends; zero: nothing was seen yet
	snapshot state.Snapshot       // the newest look
	toldOf   map[string]time.Time // findings that people were told of → when each was seen last
}

func newKeeper(l *Loop, s Settings) (*keeper, error) {
	memory, known, err := l.o.Store.Watch(s.App)
	if err != nil {
		return nil, err
	}
	k := &keeper{l: l, app: s.App, set: s, signal: make(chan struct{}, 1), hooking: make(chan struct{}, 1), memory: memory, toldOf: map[string]time.Time{}}
	for _, f := range memory.Findings {
		k.toldOf[f.ID] = l.o.Now()
	}
	k.strange = !known || memory.Comparator != l.o.Comparator
	k.memory.Schema, k.memory.App = state.WatchSchema, s.App
	k.public = Status{App: s.App, Since: l.o.Now(), Wanted: withoutRelease(memory.Wanted), Conditions: present(memory.Conditions), Findings: memory.Findings, Pauses: memory.Pauses}
	k.tries = newTries(l.o.Jitter)
	k.recall()
	return k, nil
}

// run is the worker: it looks and acts whenever something may be otherwise, until soft ends. What it is doing by then may go on until
// hard ends.
func (k *keeper) run(soft, hard context.Context) {
	k.mu.Lock()
	k.hard = hard
	k.mu.Unlock()
	var beside sync.WaitGroup
	beside.Go(func() { k.lastingly(soft, func() { k.set.Source.Watch(soft, func() { k.wake(wakeSource, "") }) }) })
	k.wake(wakeStart, "")
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for soft.Err() == nil {
		select {
		case <-soft.Done():
			continue
		case <-k.signal:
		case <-timer.C:
			k.wake(k.ticks(), "")
			continue
		}
		pause := k.rest
		if k.surviving(func() error { k.next(soft, hard); return nil }) != nil {
			pause = func() time.Duration { return anew }
		}
		timer.Reset(pause())
	}
	k.refuseFrom(k.ending(), true)
	k.beside.Wait()
	if k.session != nil {
		k.session.close()
	}
	beside.Wait()
}

// ticks is what it is time for.
func (k *keeper) ticks() string {
	if k.l.o.Now().Before(k.due) {
		return wakeAgain
	}
	return wakeTimer
}

// gather waits for what comes together with an event, unless somebody waits for the round. It tells whether there is one.
func (k *keeper) gather(soft context.Context) bool {
	now := k.l.o.Now()
	if now.Sub(k.stormed) > calm {
		k.storm = 0
	}
	timer := time.NewTimer(min(together<<max(min(k.storm, 16)-patient, 0), busiest))
	defer timer.Stop()
	for !k.hurried() {
		select {
		case <-k.signal: // it may be somebody
			continue
		case <-soft.Done():
		case <-timer.C:
			k.storm, k.stormed = k.storm+1, k.l.o.Now()
		}
		return soft.Err() == nil
	}
	return true
}

// refuseFrom ends the orders that wait; with closing, none is taken any more.
func (k *keeper) refuseFrom(why error, closing bool) {
	k.mu.Lock()
	waiting := k.orders
	k.orders = nil
	if closing {
		k.hard = nil
	}
	k.mu.Unlock()
	for _, id := range waiting {
		k.l.tellTicket(k.l.tickets.end(id, nil, why))
	}
}

// next is what comes of having been woken.
func (k *keeper) next(soft, hard context.Context) {
	if k.gather(soft) {
		k.turn(soft, hard)
	}
}

// turn is one round, when there is room for it.
func (k *keeper) turn(soft, hard context.Context) {
	select {
	case k.l.slots <- struct{}{}:
	case <-soft.Done():
		return
	}
	defer func() { <-k.l.slots }()
	k.round(soft, hard)
}

// wake has the worker look; host is where something was heard of, "" for anything else.
func (k *keeper) wake(why, host string) {
	k.mu.Lock()
	k.heard.note(why, host)
	k.mu.Unlock()
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// hurried tells whether somebody waits for the round: then nothing more is gathered before it.
func (k *keeper) hurried() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.orders) > 0 || !k.heard.only(wakeEvent)
}

// rest is how long the worker has nothing to do, unless it is woken.
func (k *keeper) rest() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return max(k.public.Round.Next.Sub(k.l.o.Now()), 0)
}

// happened takes what the watch of a host heard.
func (k *keeper) happened(h reconcile.Happening) {
	wakes := true
	_ = k.surviving(func() error { // it is called by whoever follows the host
		now := k.l.o.Now()
		k.mu.Lock()
		defer k.mu.Unlock()
		wakes = k.heard.happening(h, k.app, k.acting || now.Before(k.quiet), now)
		return nil
	})
	if wakes {
		k.wake(wakeEvent, h.Host)
	}
}

func (k *keeper) status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.public
	s.Conditions, s.Findings = slices.Clone(s.Conditions), slices.Clone(s.Findings)
	s.Pauses, s.Places = slices.Clone(k.memory.Pauses), slices.Clone(s.Places)
	if s.Doing != nil {
		doing := *s.Doing
		doing.Lines = slices.Clone(doing.Lines)
		s.Doing = &doing
	}
	return s
}

// publish changes what everybody may see, and tells whoever watches when that is something else.
func (k *keeper) publish(change func(*Status)) {
	k.publishing.Lock()
	defer k.publishing.Unlock()
	k.mu.Lock()
	change(&k.public)
	k.mu.Unlock()
	s := k.status()
	k.l.tell(Notice{Kind: NoticeStatus, App: k.app, Status: &s})
}

// progress takes a line of what is under way.
func (k *keeper) progress(p reconcile.Progress) {
	k.mu.Lock()
	if doing := k.public.Doing; doing != nil && !p.Passing() {
		doing.Lines = append(doing.Lines, p)
		if over := len(doing.Lines) - keepLines; over > 0 {
			doing.Lines = slices.Delete(doing.Lines, 0, over)
		}
	}
	k.mu.Unlock()
	k.l.tell(Notice{Kind: NoticeProgress, App: k.app, Progress: &p})
}

// during marks that something is done to servers for as long as it is, and tells how it ended.
func (k *keeper) during(kind plan.Kind, version, who string, do func() (reconcile.Report, error)) (reconcile.Report, error) {
	report, err := func() (reconcile.Report, error) {
		defer k.begin(kind, version, who)()
		return do()
	}()
	k.ended(report, err)
	return report, err
}

// begin marks that something is done to servers; the function marks its end.
func (k *keeper) begin(kind plan.Kind, version, who string) (end func()) {
	condition := ConditionReleasing
	if kind == plan.KindHeal || kind == plan.KindPrune {
		condition = ConditionHealing
	}
	k.mu.Lock()
	k.acting = true
	k.mu.Unlock()
	k.publish(func(s *Status) {
		s.Doing = &Activity{Kind: kind, Version: version, Who: who, Since: k.l.o.Now()}
		s.Conditions = append(s.Conditions, state.Condition{Kind: condition, Since: s.Doing.Since, Reason: fmt.Sprintf("%s of %s", kind, version)})
	})
	return func() {
		k.mu.Lock()
		k.acting, k.quiet = false, k.l.o.Now().Add(ownEcho)
		k.mu.Unlock()
		k.publish(func(s *Status) {
			s.Doing = nil
			s.Conditions = slices.DeleteFunc(s.Conditions, func(c state.Condition) bool { return c.Kind == condition })
		})
	}
}

// ended tells how an act ended; one in which nothing was begun is no news.
func (k *keeper) ended(report reconcile.Report, err error) {
	if report.Kind == "" || report.Kind == plan.KindNone {
		return
	}
	if err != nil && report.Outcome == "" {
		report.Outcome = state.OutcomeFailed
	}
	k.l.tell(Notice{Kind: NoticeEnded, App: k.app, Report: &report, Err: err})
}

func withoutRelease(w *state.Wanted) *state.Wanted {
	if w == nil {
		return nil
	}
	short := *w
	short.Release = nil
	return &short
}

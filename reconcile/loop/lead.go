package loop

import (
	"context"
	"fmt"
	"time"

	"github.com/kamald/kamald/state"
)

// Leadership shares apps among daemons: each app is driven by the one that leads it.
type Leadership interface {
	// Lead waits until this daemon leads the app. What the store has of the app's Watch is no older than the term then, also where it comes
	// from memory. The error is the context's, or why that cannot be known.
	Lead(ctx context.Context, app state.App) (Term, error)
	// Others tells whether another daemon leads the app, or stands for it; false also where that is not known.
	Others(app state.App) bool
}

// Term is a time in which this daemon, and no other, begins anything of an app. What it has begun may outlast it: the locks on the servers
// keep the next one from it until it has ended.
type Term interface {
	// Over is closed as soon as the term has ended, or may have.
	Over() <-chan struct{}
	// Holds tells, by the clock alone, whether no other daemon can lead yet.
	Holds() bool
	// Number grows with every term of an app.
	Number() int64
	// Keep is state.Store's SaveWatch, which is refused once another daemon leads.
	Keep(state.Watch) error
	// Resign lets another lead at once.
	Resign()
}

const (
	// leadPause is how long it takes until a daemon asks again to lead an app that it could not drive.
	leadPause = 5 * time.Second
	// blindness is how long a daemon that shares its apps reaches no server of one before it lets another try.
	blindness = time.Minute
	// blindPause is how long it lets others lead then.
	blindPause = 15 * time.Second
)

// errNotLeading: another daemon may lead by now. Nothing was begun.
var errNotLeading = fmt.Errorf("this daemon leads the app no more: %w\n  next: ask again; `kamald status` says who leads", errOtherwise)

// Leads tells whether this daemon drives an app now.
func (l *Loop) Leads(app state.App) bool {
	k, err := l.keeper(app)
	return err == nil && (l.o.Leadership == nil || k.drives())
}

// Yield lets another daemon lead an app, unless something is under way or ordered. It tells whether it does.
func (l *Loop) Yield(app state.App) bool {
	k, err := l.keeper(app)
	if err != nil {
		return false
	}
	k.mu.Lock()
	idle := k.term != nil && k.hard != nil && !k.acting && k.aside == 0 && len(k.orders) == 0
	k.yielded = k.yielded || idle
	k.mu.Unlock()
	if idle {
		k.yield()
	}
	return idle
}

// Relay gives a notice of an app that another daemon leads to whoever watches this one.
func (l *Loop) Relay(n Notice) { l.watch.send(n) }

// lead drives an app whenever this daemon leads it, until soft ends. Each term begins with what the one before has kept, whoever had it.
func (l *Loop) lead(soft, hard context.Context, k *keeper) {
	for soft.Err() == nil {
		pause := leadPause
		standing, end := l.doubts.within(soft)
		term, err := l.o.Leadership.Lead(standing, k.app)
		doubts := standing.Err() != nil
		end()
		if err == nil {
			k, pause = l.serve(soft, hard, k, term)
			doubts = k.isBlind()
		}
		select {
		case <-soft.Done():
		case <-time.After(pause):
		}
		if doubts && soft.Err() == nil {
			_ = k.surviving(func() error { l.sight(soft, k); return nil })
		}
	}
}

// serve drives an app for one term. It gives who drove it, and how long others are let lead after it.
func (l *Loop) serve(soft, hard context.Context, before *keeper, term Term) (*keeper, time.Duration) {
	defer term.Resign()
	k, err := newKeeper(l, before.set)
	if err != nil {
		before.wrong(err)
		return before, leadPause
	}
	within, end := context.WithCancel(soft)
	defer end()
	go func() { _ = k.surviving(func() error { endWith(term.Over(), within, end); return nil }) }()
	k.term, k.yield = term, end
	l.mu.Lock()
	l.keepers[k.app] = k
	l.mu.Unlock()
	k.run(within, hard)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.yielded {
		return k, blindPause
	}
	return k, 0
}

// endWith ends a context when a channel is closed.
func endWith(over <-chan struct{}, within context.Context, end func()) {
	select {
	case <-over:
		end()
	case <-within.Done():
	}
}

// ending is why the worker takes no orders any more.
func (k *keeper) ending() error {
	if err := k.leads(); err != nil {
		return err
	}
	return errNotRunning
}

// drives tells whether the worker runs, and takes orders.
func (k *keeper) drives() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hard != nil
}

// leads is why nothing may be begun any more; nil while this daemon leads. A daemon that was stopped, or whose machine slept, learns it by
// the clock.
func (k *keeper) leads() error {
	if k.term != nil && !k.term.Holds() {
		return errNotLeading
	}
	return nil
}

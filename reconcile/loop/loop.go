package loop

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Source is where it stands what is wanted of an app.
type Source interface {
	// Read gives what is proposed now. After an error the last good proposal goes on to hold.
	Read(ctx context.Context) (Proposal, error)
	// Watch calls changed whenever Read may give something else, until the context ends.
	Watch(ctx context.Context, changed func())
}

// Proposal is what a source proposes.
type Proposal struct {
	Release release.Release
	From    string // the source, for a person
}

// Options are what a loop works with.
type Options struct {
	Store state.Store
	// Open makes the controller of an app whose servers are reached as the release says. It is closed by the loop.
	Open func(desired release.Release) (*reconcile.Controller, error)
	// Leadership shares the apps with other daemons; nil: this one alone drives them.
	Leadership Leadership
	// Comparator names the comparison that this program makes: where another one looked last, the first round only reports.
	Comparator string
	Notify     func(Transition) // must not block; nil: nobody is told
	Log        func(Notice)     // must not block; nil: nobody listens
	// Rounds is how many apps are looked at or worked on at once; 0: 32.
	Rounds int
	// Grace is how long a release that is under way may go on when the loop is asked to end; 0: 2 minutes. Then it is taken back.
	Grace time.Duration
	// Events and Plans are how many of each the store keeps of an app; 0: 10,000 and 500.
	Events, Plans int
	Now           func() time.Time // nil: the clock
	// Jitter gives a random duration from 0 up to most, so that daemons do not act in step; nil: none.
	Jitter func(most time.Duration) time.Duration
}

// Settings are how one app is driven.
type Settings struct {
	App       state.App
	Mode      string // may only lower what the proposal says; "": it does not
	ImageWait time.Duration
	Source    Source
}

// Loop drives apps, each by one worker.
type Loop struct {
	o     Options
	slots chan struct{} // what bounds the rounds at once

	mu      sync.Mutex
	keepers map[state.App]*keeper
	tickets tickets
	watch   subscribers
	doubts  doubts // about what this daemon reaches
}

// New makes a loop that drives nothing yet.
func New(o Options) *Loop {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func(time.Duration) time.Duration { return 0 }
	}
	o.Events, o.Plans = cmp.Or(o.Events, 10_000), cmp.Or(o.Plans, 500)
	o.Grace = cmp.Or(o.Grace, 2*time.Minute)
	l := &Loop{o: o, slots: make(chan struct{}, cmp.Or(o.Rounds, 32)), keepers: map[state.App]*keeper{}}
	l.tickets.now = o.Now
	return l
}

// Drive adds an app. It must be called before Run, once for each app.
func (l *Loop) Drive(s Settings) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.keepers[s.App]; twice {
		return fmt.Errorf("%s is driven twice", s.App)
	}
	k, err := newKeeper(l, s)
	if err != nil {
		return err
	}
	l.keepers[s.App] = k
	return nil
}

// patience is how long a look waits for one host, while the others' repairs wait for the look.
const patience = 15 * time.Second

// Run drives the apps until the context ends, and what is under way by then has ended: it goes on for Options.Grace, and is taken back
// after that.
func (l *Loop) Run(ctx context.Context) {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(l.o.Grace, stop) })()
	var all sync.WaitGroup
	for _, k := range l.all() {
		all.Go(func() {
			_ = k.surviving(func() error {
				if l.o.Leadership == nil {
					k.run(ctx, hard)
				} else {
					l.lead(ctx, hard, k)
				}
				return nil
			})
		})
	}
	all.Wait()
	l.watch.close()
}

// Looked tells whether every app has been looked at, so that what Statuses says is true.
func (l *Loop) Looked() bool {
	return !slices.ContainsFunc(l.all(), func(k *keeper) bool { return k.status().Round.Number == 0 })
}

// Statuses gives every app, sorted by its name.
func (l *Loop) Statuses() []Status {
	var list []Status
	for _, k := range l.all() {
		list = append(list, k.status())
	}
	return list
}

// Status gives one app.
func (l *Loop) Status(app state.App) (Status, error) {
	k, err := l.keeper(app)
	if err != nil {
		return Status{}, err
	}
	return k.status(), nil
}

// Look has an app looked at now.
func (l *Loop) Look(app state.App) error {
	k, err := l.keeper(app)
	if err == nil {
		k.wake(wakeOrder, "")
	}
	return err
}

// Subscribe gives what happens from now on until the context ends. Whoever is too slow misses what comes then: the channel is closed.
func (l *Loop) Subscribe(ctx context.Context) <-chan Notice { return l.watch.add(ctx) }

func (l *Loop) keeper(app state.App) (*keeper, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.keepers[app]
	if !ok {
		return nil, fmt.Errorf("%s: %w", app, ErrNoApp)
	}
	return k, nil
}

// all gives the workers in the order of their apps.
func (l *Loop) all() []*keeper {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*keeper, 0, len(l.keepers))
	for _, k := range l.keepers {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *keeper) int {
		return cmp.Or(cmp.Compare(a.app.Service, b.app.Service), cmp.Compare(a.app.Destination, b.app.Destination))
	})
	return list
}

// tell gives a notice to whoever watches.
func (l *Loop) tell(n Notice) {
	n.At = l.o.Now()
	if l.o.Log != nil {
		l.o.Log(n)
	}
	l.watch.send(n)
}

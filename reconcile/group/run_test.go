package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// keptNothing is a store that knows nothing.
type keptNothing struct{ state.Store }

func (keptNothing) Watch(state.App) (state.Watch, bool, error) { return state.Watch{}, false, nil }

// wall is a board that notes what is shown.
type wall struct {
	Board
	fails map[state.App]error

	mu    sync.Mutex
	tries map[state.App]int
	shown map[state.App]int
}

func (w *wall) Show(_ context.Context, app state.App, _ []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries[app]++
	if err := w.fails[app]; err != nil {
		return err
	}
	w.shown[app]++
	return nil
}

func (w *wall) Leader(state.App) (string, bool) { return "two", true }

func appN(n int) state.App { return state.App{Service: fmt.Sprintf("s%d", n)} }

// grouped is a daemon with a board. Without a leadership it leads all of its apps.
func grouped(t *testing.T, board Board, apps int, leadership loop.Leadership) *Group {
	t.Helper()
	l := loop.New(loop.Options{Store: keptNothing{}, Leadership: leadership})
	for n := range apps {
		if err := l.Drive(loop.Settings{App: appN(n)}); err != nil {
			t.Fatal(err)
		}
	}
	g := New(Options{Board: board, Election: chosen{}, Name: "one"})
	g.Drives(l)
	return g
}

func TestAnAppThatCannotBeShownHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{fails: map[state.App]error{appN(0): errors.New("etcd: request timed out"), appN(1): fmt.Errorf("s1: %w", state.ErrNotLeader)}, tries: map[state.App]int{}, shown: map[state.App]int{}}
		g := grouped(t, w, 12, nil)
		for n := range 12 {
			g.changed(appN(n))
		}
		ctx, stop := context.WithCancel(t.Context())
		var showing sync.WaitGroup
		showing.Go(func() { g.lastingly(ctx, func() error { return g.show(ctx) }) })
		time.Sleep(g.o.Every)
		w.mu.Lock()
		for n := 2; n < 12; n++ {
			if w.shown[appN(n)] != 1 {
				t.Errorf("%s was shown %d times", appN(n), w.shown[appN(n)])
			}
		}
		w.fails = nil
		w.mu.Unlock()
		time.Sleep(10 * time.Second)
		stop()
		showing.Wait()
		if w.shown[appN(0)] != 1 {
			t.Errorf("what could not be shown is shown %d times once it can be", w.shown[appN(0)])
		}
		if w.tries[appN(1)] != 1 {
			t.Errorf("what another leads was tried %d times", w.tries[appN(1)])
		}
	})
}

// chosen is an election that is won at once.
type chosen struct{}

func (chosen) Lead(context.Context, state.App) (loop.Term, error) {
	return mandate{over: make(chan struct{})}, nil
}
func (chosen) Others(state.App) bool { return false }

// mandate is its term.
type mandate struct {
	loop.Term
	over chan struct{}
}

func (m mandate) Over() <-chan struct{} { return m.over }
func (m mandate) Resign()               { close(m.over) }

// slowly is a board on which an answer takes a while, whatever ends.
type slowly struct{ Board }

func (slowly) Hide(context.Context, state.App) error { return nil }
func (slowly) Answer(context.Context, state.App, func(context.Context, []byte) []byte) error {
	time.Sleep(time.Minute)
	return nil
}

func TestWhoLeadsNoMoreLetsOthersLeadBeforeItsLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grouped(t, slowly{}, 1, chosen{})
		term, err := g.Lead(t.Context(), appN(0))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		resigned := make(chan struct{})
		go func() { term.Resign(); close(resigned) }()
		time.Sleep(time.Second)
		select {
		case <-term.Over():
		default:
			t.Error("the term goes on until everybody is answered")
		}
		<-resigned
	})
}

// An order is as old as it is: what counts is since when nobody is heard of who could end it.
func TestAnOrderIsLostOnlyAWhileAfterItsDaemonWasSeenLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grouped(t, &wall{}, 1, chosen{})
		order := loop.Ticket{ID: "an order", Order: loop.Order{App: appN(0)}}
		data, err := shown{By: "two", Status: loop.Status{App: appN(0)}, Tickets: []loop.Ticket{order}}.pack()
		if err != nil {
			t.Fatal(err)
		}
		g.saw(appN(0), data)
		time.Sleep(time.Hour)
		g.saw(appN(0), nil) // it is gone
		time.Sleep(g.o.Patience)
		if _, lost, known := g.elsewhere(order.ID); lost || !known {
			t.Errorf("it is lost: %v, and known: %v", lost, known)
		}
		time.Sleep(time.Second)
		if _, lost, _ := g.elsewhere(order.ID); !lost {
			t.Error("it is waited for for ever")
		}
	})
}

// standers is a board on which daemons of these names stand for every app.
type standers struct {
	Board
	names []string
}

func (s standers) Standing() map[state.App][]string { return map[state.App][]string{appN(0): s.names} }

func TestAnotherDaemonMayHaveTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			names []string
			leads bool
			want  bool
		}{{nil, false, false}, {[]string{"one"}, false, true}, {[]string{"one"}, true, false}, {[]string{"one", "one"}, true, true}, {[]string{"one", "two"}, true, true}} {
			var others loop.Leadership // of nobody's else: it leads all
			if !c.leads {
				others = chosen{} // and has led nothing yet
			}
			g := grouped(t, standers{names: c.names}, 1, others)
			if got := g.Others(appN(0)); got != c.want {
				t.Errorf("of %v, leading %t: %t", c.names, c.leads, got)
			}
		}
	})
}

// Whether a question is still waited for is decided where it lies: each is taken once, or taken back. Clocks that are somewhat apart have no
// say in it.
func TestAQuestionFromAClockThatIsBehindIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grouped(t, &wall{}, 1, nil)
		data, err := packed(map[string]any{"verb": askLook, "until": time.Now().Add(-time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		if r := g.replyTo(t.Context(), appN(0), data); r.Error != "" {
			t.Errorf("it is refused: %s", r.Error)
		}
		time.Sleep(2 * time.Minute) // the cluster was away, and has it still
		if r := g.replyTo(t.Context(), appN(0), data); !strings.Contains(r.Error, "too late") {
			t.Errorf("an old one is answered: %+v", r)
		}
	})
}

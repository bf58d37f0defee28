package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

var boardApp = state.App{Service: "shop", Destination: "eu/1"}

// stand gives a daemon on a cluster.
func standOf(t *testing.T, c *etcdtest.Cluster, name string) (*etcd.Elector, *etcd.Board) {
	t.Helper()
	s, err := etcd.Open(etcd.Config{Endpoints: []string{c.Members[0].Endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	e := s.NewElector(name, 2*time.Second)
	t.Cleanup(func() { _ = errors.Join(e.Close(), s.Close()) })
	return e, e.Board()
}

func leadOf(t *testing.T, e *etcd.Elector) *etcd.Term {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	term, err := e.Campaign(ctx, boardApp)
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func TestWhatTheLeaderShowsIsSeenByTheOthers(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, shows := standOf(t, c, "one")
	_, sees := standOf(t, c, "two")
	if err := shows.Show(t.Context(), boardApp, []byte("nothing")); !errors.Is(err, state.ErrNotLeader) {
		t.Errorf("who does not lead shows something: %v", err)
	}
	leadOf(t, one)
	saw := make(chan []byte, 10)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		_ = sees.Watch(ctx, func(app state.App, data []byte) {
			if app != boardApp {
				t.Errorf("%s is shown", app)
			}
			saw <- data
		})
	})
	for _, text := range []string{"healthy", "drifted"} {
		if err := shows.Show(t.Context(), boardApp, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := <-saw; string(got) != text {
			t.Errorf("%q is seen, and not %q", got, text)
		}
	}
	stop()
	watching.Wait()
	if err := one.Close(); err != nil { // what it shows goes with it, also while nobody watches
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	watching.Go(func() { _ = sees.Watch(ctx, func(_ state.App, data []byte) { saw <- data }) })
	if got := <-saw; got != nil {
		t.Errorf("%q is seen of one that is gone", got)
	}
	stop()
	watching.Wait()
}

func TestAQuestionIsTakenOnce(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, leads := standOf(t, c, "one")
	_, asks := standOf(t, c, "two")
	leadOf(t, one)
	var taken atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var answering sync.WaitGroup
	for range 2 { // as after a trouble of the cluster's, when one begins before the other has ended
		answering.Go(func() {
			_ = leads.Answer(ctx, boardApp, func(_ context.Context, question []byte) []byte {
				taken.Add(1)
				return append([]byte("answer to "), question...)
			})
		})
	}
	var asking sync.WaitGroup
	for i := range 20 {
		asking.Go(func() {
			question := fmt.Sprintf("question %d", i)
			answer, err := asks.Ask(t.Context(), boardApp, []byte(question))
			if err != nil || !bytes.Equal(answer, []byte("answer to "+question)) {
				t.Errorf("%s: %q, %v", question, answer, err)
			}
		})
	}
	asking.Wait()
	stop()
	answering.Wait()
	if taken.Load() != 20 {
		t.Errorf("20 questions were taken %d times", taken.Load())
	}
}

// Who leads no more waits for nothing that it was asked: others could not lead meanwhile.
func TestAnAnswerEndsWithTheTimeInWhichItIsGiven(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, leads := standOf(t, c, "one")
	_, asks := standOf(t, c, "two")
	leadOf(t, one)
	ctx, stop := context.WithCancel(t.Context())
	begun := make(chan struct{})
	var answering, asking sync.WaitGroup
	answering.Go(func() {
		_ = leads.Answer(ctx, boardApp, func(ctx context.Context, _ []byte) []byte {
			close(begun)
			<-ctx.Done()
			return []byte("it was cut off")
		})
	})
	asking.Go(func() {
		if answer, err := asks.Ask(t.Context(), boardApp, []byte("will you?")); err != nil || string(answer) != "it was cut off" {
			t.Errorf("%q, %v", answer, err)
		}
	})
	<-begun
	stop()
	answering.Wait()
	asking.Wait()
}

func TestAQuestionThatNobodyTakesIsTakenBack(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, leads := standOf(t, c, "one")
	_, asks := standOf(t, c, "two")
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := asks.Ask(short, boardApp, []byte("is anybody there?")); !errors.Is(err, etcd.ErrNotTaken) {
		t.Fatalf("it ends with %v", err)
	}
	leadOf(t, one)
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	_ = leads.Answer(ctx, boardApp, func(_ context.Context, question []byte) []byte {
		t.Errorf("%q was taken after that", question)
		return nil
	})
}

func TestWhoDoesNotLeadTakesNoQuestion(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, leads := standOf(t, c, "one")
	two, other := standOf(t, c, "two")
	leadOf(t, one)
	stopped, stop := context.WithCancel(t.Context())
	var answering sync.WaitGroup
	answering.Go(func() {
		_ = other.Answer(stopped, boardApp, func(context.Context, []byte) []byte { t.Error("who does not lead has taken it"); return nil })
	})
	answering.Go(func() {
		_ = leads.Answer(stopped, boardApp, func(context.Context, []byte) []byte { return []byte("one") })
	})
	if answer, err := other.Ask(t.Context(), boardApp, []byte("who?")); err != nil || string(answer) != "one" {
		t.Errorf("%q, %v", answer, err)
	}
	stop()
	answering.Wait()
	_ = two
}

func TestWhoStandsIsKnownInTheirOrder(t *testing.T) {
	c := etcdtest.Start(t, 1)
	one, board := standOf(t, c, "one")
	two, _ := standOf(t, c, "two")
	leadOf(t, one)
	ctx, stop := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = two.Campaign(ctx, boardApp) })
	for until := time.Now().Add(20 * time.Second); !slices.Equal(board.Standing()[boardApp], []string{"one", "two"}); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("there stand %v", board.Standing())
		}
	}
	stop()
	waiting.Wait()
}

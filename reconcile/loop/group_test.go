package loop_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile/group"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// board is one in memory, of one app.
type board struct {
	mu      sync.Mutex
	data    []byte
	watches map[int]func(state.App, []byte)
	next    int
	answers map[int]func(context.Context, []byte) []byte
	away    error // what every call fails with
	leader  func() (string, bool)
}

func (b *board) Show(_ context.Context, app state.App, data []byte) error { return b.set(app, data) }
func (b *board) Hide(_ context.Context, app state.App) error              { return b.set(app, nil) }

func (b *board) set(app state.App, data []byte) error {
	b.mu.Lock()
	if b.away != nil {
		defer b.mu.Unlock()
		return b.away
	}
	b.data = data
	var tell []func(state.App, []byte)
	for _, saw := range b.watches {
		tell = append(tell, saw)
	}
	b.mu.Unlock()
	for _, saw := range tell {
		saw(app, data)
	}
	return nil
}

func (b *board) Watch(ctx context.Context, saw func(state.App, []byte)) error {
	b.mu.Lock()
	b.next++
	id, data := b.next, b.data
	b.watches[id] = saw
	b.mu.Unlock()
	if data != nil {
		saw(shop, data)
	}
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watches, id)
	return ctx.Err()
}

func (b *board) Ask(ctx context.Context, _ state.App, question []byte) ([]byte, error) {
	b.mu.Lock()
	away := b.away
	var answers []func(context.Context, []byte) []byte
	for _, a := range b.answers {
		answers = append(answers, a)
	}
	b.mu.Unlock()
	switch {
	case away != nil:
		return nil, away
	case len(answers) == 0:
		return nil, group.ErrNotTaken
	case len(answers) > 1:
		panic("two daemons answer")
	}
	return answers[0](ctx, question), nil
}

func (b *board) Answer(ctx context.Context, _ state.App, answer func(context.Context, []byte) []byte) error {
	b.mu.Lock()
	b.next++
	id := b.next
	b.answers[id] = answer
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.answers, id)
	return ctx.Err()
}

func (b *board) Standing() map[state.App][]string { return nil }

func (b *board) Leader(state.App) (string, bool) { return b.leader() }

// team is two daemons that share an app, and see each other.
type team struct {
	*pair
	board  *board
	groups [2]*group.Group
	since  time.Time // the store is away
}

func (w *world) team() *team {
	b, t := &board{watches: map[int]func(state.App, []byte){}, answers: map[int]func(context.Context, []byte) []byte{}}, &team{}
	t.board = b
	var loops [2]atomic.Pointer[loop.Loop]
	b.leader = func() (string, bool) {
		for i := range loops {
			if l := loops[i].Load(); l != nil && l.Leads(shop) {
				return fmt.Sprintf("bastion-%d", i+1), true
			}
		}
		return "", false
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	lead := func(i int, votes *election) loop.Leadership {
		t.groups[i] = group.New(group.Options{Board: b, Election: voter{votes, i}, Name: fmt.Sprintf("bastion-%d", i+1), Failed: func(err error) { w.t.Error(err) },
			Stale: func() (time.Time, error) { return t.since, errors.New("no quorum") }})
		return t.groups[i]
	}
	t.pair = w.pairOf(lead, func(i int, l *loop.Loop) {
		loops[i].Store(l)
		t.groups[i].Drives(l)
		go t.groups[i].Run(ctx)
	})
	stop := w.stop
	w.stop = func() { cancel(); stop() }
	return t
}

func TestWhoFollowsShowsWhatIsLed(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		led, err := m.groups[0].Status(shop)
		if err != nil || led.Leader == nil || !led.Leader.Self || led.Leader.Name != "bastion-1" {
			t.Fatalf("the leader shows %+v, %v", led.Leader, err)
		}
		follows, err := m.groups[1].Status(shop)
		if err != nil || follows.Leader == nil || follows.Leader.Self || follows.Leader.Name != "bastion-1" {
			t.Fatalf("who follows shows %+v, %v", follows.Leader, err)
		}
		if follows.Held == nil || follows.Held.Version != "v1" || len(follows.Places) != len(led.Places) || follows.Round.Number == 0 {
			t.Errorf("who follows shows held %+v and places %+v", follows.Held, follows.Places)
		}
		if !m.groups[1].Looked() {
			t.Error("who follows is never ready")
		}
	})
}

func TestWhoFollowsPassesOnWhatItIsAsked(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		follower := m.groups[1]
		watching, stop := context.WithCancel(w.t.Context())
		defer stop()
		notices := follower.Subscribe(watching)
		ticket, err := follower.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2", By: loopPerson("ada")})
		if err != nil {
			t.Fatal(err)
		}
		if known, ok := follower.Ticket(ticket.ID); !ok || known.Done() {
			t.Errorf("the order is not known where it was given: %+v", known)
		}
		ended, err := follower.Await(w.t.Context(), ticket.ID)
		if err != nil || ended.Error != "" || ended.Report == nil || ended.Report.Outcome != state.OutcomeSucceeded || ended.Order.By.Who != "ada" {
			t.Fatalf("it ended as %+v, %v", ended, err)
		}
		w.want(all("v2"))
		w.pass(5 * time.Second)
		stop()
		heard := inTheirOrder(t, notices)
		for _, kind := range []string{loop.NoticeProgress, loop.NoticeTicket, loop.NoticeStatus} {
			if heard[kind] == 0 {
				t.Errorf("who watches where it was given hears no %s: %v", kind, heard)
			}
		}
		if err := follower.Pause(shop, state.Pause{Reason: "looked at", Who: "ada"}); err != nil {
			t.Error(err)
		}
		w.pass(5 * time.Second)
		if status, _ := follower.Status(shop); len(status.Pauses) != 1 {
			t.Errorf("the pause is not shown: %+v", status.Pauses)
		}
		if err := follower.Unpause(shop, "", "", loopPerson("ada")); err != nil {
			t.Error(err)
		}
		if err := follower.Approve(shop, "no-such-word", loopPerson("ada")); !errors.Is(err, loop.ErrNothingWaits) {
			t.Errorf("an approval of nothing ends with %v", err)
		}
		lines, err := follower.Logs(w.t.Context(), shop, "h1", "shop-web-v2", 10)
		if err != nil {
			t.Errorf("logs: %v, %v", lines, err)
		}
		for i, err := range []error{follower.Look(shop), follower.Resume(w.t.Context(), shop, loopPerson("ada"))} {
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		if m.acts[1].Load() != 0 {
			t.Errorf("who follows has changed something on servers, %d times", m.acts[1].Load())
		}
	})
}

// inTheirOrder counts notices by their kinds, and wants the last that a release has done to be told before its end.
func inTheirOrder(t *testing.T, notices <-chan loop.Notice) map[string]int {
	t.Helper()
	heard := map[string]int{}
	written, over := 0, 0
	for i := 1; ; i++ {
		n, ok := <-notices
		if !ok {
			break
		}
		heard[n.Kind]++
		if n.Progress != nil && n.Progress.Kind == "done" && strings.Contains(n.Progress.Message, "release record") {
			written = i
		}
		if n.Ticket != nil && n.Ticket.Done() && over == 0 {
			over = i
		}
	}
	if written == 0 || over < written {
		t.Errorf("the last that was done is told as %d, and that it has ended as %d", written, over)
	}
	return heard
}

func TestAnOrderThatGoesDownWithItsDaemonIsNotWaitedForForEver(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		ticket := w.midRelease(m.groups[1].Order)
		m.cut[0].Store(true) // its process is gone: it reaches neither servers
		m.votes.lapse(true)  // nor the others
		m.board.forget()
		waits, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
		defer cancel()
		ended, err := m.groups[1].Await(waits, ticket.ID)
		if err == nil || !strings.Contains(err.Error(), "has gone") {
			t.Errorf("whoever waits hears %+v, %v", ended, err)
		}
	})
}

// Whoever stops a bastion in the middle of an order lets that end: so whoever waits at the other is to hear of its end.
func TestAnOrderThatEndsWithItsDaemonIsHeardOfThroughTheOther(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		ticket := w.midRelease(m.groups[1].Order)
		await := func() error {
			ended, err := m.groups[1].Await(w.t.Context(), ticket.ID)
			if err == nil && (ended.Error != "" || ended.Report == nil || ended.Report.Outcome != state.OutcomeSucceeded) {
				err = fmt.Errorf("it ended as %+v", ended)
			}
			return err
		}
		waits := make(chan error, 1)
		go func() { waits <- await() }()
		w.pass(time.Second)
		m.stops[0]()
		if err := <-waits; err != nil {
			t.Errorf("whoever waits hears %v", err)
		}
		w.pass(time.Minute)
		if err := await(); err != nil {
			t.Errorf("whoever asks later hears %v", err)
		}
		w.want(all("slow"))
	})
}

func TestAResumeThatIsPassedOnSaysWhoseLockItWaitedFor(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		if ticket := w.order(loop.Order{Verb: loop.VerbRelease, Version: "v2"}); ticket.Error != "" {
			t.Fatal(ticket.Error)
		}
		lock := ".kamal/lock-shop"
		w.MakeDir("h1", lock)
		w.WriteFile("h1", lock+"/details", []byte(base64.StdEncoding.EncodeToString([]byte("Locked by: alice at 2026-01-02T03:04:05Z\nVersion: v9\nMessage: Automatic deploy lock\n"))))
		if err := m.groups[1].Resume(w.t.Context(), shop, loopPerson("ada")); err == nil || !strings.Contains(err.Error(), "alice") {
			t.Errorf("it ends with %v", err)
		}
	})
}

func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data = nil
	clear(b.answers)
}

// refusing lets nobody lead.
type refusing struct{ why error }

// Lead implements group.Election.
func (r refusing) Lead(context.Context, state.App) (loop.Term, error) { return nil, r.why }

func TestWhyThisDaemonCannotLeadIsSaidWhereNobodyDoes(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		m.stops[0]()
		m.stops[1]()
		g := group.New(group.Options{Board: m.board, Election: refusing{errors.New("etcd does not take the user\n  next: see its password")}, Name: "bastion-2"})
		g.Drives(m.loops[1])
		if _, err := g.Lead(w.t.Context(), shop); err == nil {
			t.Fatal("it leads")
		}
		status, err := g.Status(shop)
		i := slices.IndexFunc(status.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionLeaderless })
		if err != nil || i < 0 || status.Conditions[i].Reason != "no daemon leads it now, and bastion-2 cannot: etcd does not take the user" ||
			status.Conditions[i].Next != "see its password" {
			t.Errorf("the status is %+v, %v", status.Conditions, err)
		}
	})
}

func TestNobodyLeadsAndItIsSaid(t *testing.T) {
	inWorld(t, func(w *world) {
		m := w.deployed("v1").team()
		w.settle()
		m.stops[0]()
		m.stops[1]()
		_, err := m.groups[1].Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2", By: loopPerson("ada")})
		if !errors.Is(err, group.ErrNotTaken) || !strings.Contains(err.Error(), "next:") {
			t.Errorf("an order that nobody takes ends with %v", err)
		}
		status, err := m.groups[1].Status(shop)
		if err != nil || !slices.ContainsFunc(status.Conditions, func(c state.Condition) bool { return c.Kind == loop.ConditionLeaderless }) {
			t.Errorf("nobody leads, and the status is %+v, %v", status.Conditions, err)
		}
		m.since = time.Now()
		status, _ = m.groups[1].Status(shop)
		if !slices.ContainsFunc(status.Conditions, func(c state.Condition) bool {
			return c.Kind == loop.ConditionStoreBroken && strings.Contains(c.Reason, "from before") && strings.Contains(c.Reason, "no quorum")
		}) {
			t.Errorf("the store is away, and the status is %+v", status.Conditions)
		}
	})
}

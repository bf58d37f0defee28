package sim_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestAFailedCallIsNotCarriedOutAndALostReplyIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.FailNth(b.Calls() + 1)
		if err := b.Engine.CreateNetwork(t.Context(), "a"); !errors.Is(err, sim.ErrFault) {
			t.Fatal(err)
		}
		b.LostReplyNth(b.Calls() + 1)
		if err := b.Engine.CreateNetwork(t.Context(), "b"); !errors.Is(err, state.ErrUnreachable) {
			t.Fatal(err)
		}
		list, err := b.Engine.Networks(t.Context())
		must(t, err)
		if got := fmt.Sprint(names(list)); got != "[b bridge kamal]" {
			t.Fatal(got)
		}
	})
}

func TestAHangingCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.HangNth(b.Calls() + 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if _, err := b.Engine.Info(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Fatal(err, time.Since(began))
		}
		_, err := b.Engine.Info(t.Context())
		must(t, err)
	})
}

func TestAKilledProgramCallsNothingUntilItIsRevived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		before := len(b.History())
		b.KillNth(b.Calls() + 2)
		must(t, b.Engine.CreateNetwork(t.Context(), "a"))
		for range 3 {
			if err := b.Engine.CreateNetwork(t.Context(), "b"); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		b.Revive()
		must(t, b.Engine.CreateNetwork(t.Context(), "c"))
		var got []string
		for _, call := range b.History()[before:] {
			got = append(got, call.Method+" "+call.Args)
		}
		if fmt.Sprint(got) != "[Engine.CreateNetwork a Engine.CreateNetwork c]" {
			t.Fatal(got)
		}
	})
}

func TestACutHostIsUnreachableAndItsOldConnectionsStayDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, sim.Image{Ref: repo + ":v1", Behaviour: sim.Behaviour{StopsIn: time.Minute}})
		b.run(t, "one", "v1")
		time.AfterFunc(10*time.Second, func() { b.Cut(web) })
		if err := b.Engine.Stop(t.Context(), "one", 2*time.Minute); !errors.Is(err, state.ErrUnreachable) {
			t.Fatalf("the reply came over a link that was cut: %v", err)
		}
		if _, err := b.Connector().Connect(t.Context(), release.Host{Name: web}); !errors.Is(err, state.ErrUnreachable) {
			t.Fatal(err)
		}
		b.Restore(web)
		if _, err := b.Engine.Info(t.Context()); !errors.Is(err, state.ErrUnreachable) {
			t.Fatalf("an old connection lives again: %v", err)
		}
		_, err := connect(t, b.World).Engine.Info(t.Context())
		must(t, err)
	})
}

func TestAClosedConnectionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		must(t, b.Close())
		if _, err := b.Files.Home(t.Context()); err == nil {
			t.Fatal("a call went through")
		}
	})
}

func TestOneSeedIsOneRun(t *testing.T) {
	first, again, other := journal(t, 7), journal(t, 7), journal(t, 8)
	if first != again {
		t.Fatalf("two runs with one seed differ:\n%s\n\n%s", first, again)
	}
	if first == other {
		t.Fatal("another seed gave the same run")
	}
}

// journal is the history of four hosts that are worked on at once.
func journal(t *testing.T, seed uint64) (text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := sim.New(seed)
		w.Push(sim.Image{Ref: repo + ":v1"})
		var group sync.WaitGroup
		for i := range 4 {
			host := fmt.Sprint("web", i)
			w.AddHost(host)
			group.Go(func() {
				c, err := w.Connector().Connect(t.Context(), release.Host{Name: host})
				if err == nil {
					err = errors.Join(c.Engine.Pull(t.Context(), repo+":v1", "", release.Auth{}), c.Engine.CreateNetwork(t.Context(), net))
				}
				if err == nil {
					_, err = c.Engine.Create(t.Context(), "one", state.Spec{Image: repo + ":v1"}, nil, nil)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, call := range w.History() {
			text += call.String() + "\n"
		}
		for _, host := range w.Hosts() {
			text += w.Containers(host, state.View{})[0].ID + "\n"
		}
	})
	return text
}

func names(list []state.Network) (names []string) {
	for _, n := range list {
		names = append(names, n.Name)
	}
	return names
}

package etcd_test

import (
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/etcd"
	"github.com/kamald/kamald/state/etcdtest"
)

// lines are three members, and a line to each.
func lines(t *testing.T) (lines []*etcdtest.Line, endpoints []string) {
	t.Helper()
	for _, m := range etcdtest.Start(t, 3).Members {
		line := etcdtest.NewLine(t, m.Endpoint)
		lines, endpoints = append(lines, line), append(endpoints, line.Endpoint)
	}
	return lines, endpoints
}

// silence has one of three members take what it is sent and answer nothing, which is worse than one that is gone. The term is of an elector
// that renews its lease meanwhile.
func silence(t *testing.T) (*etcd.Store, *etcd.Term) {
	t.Helper()
	lines, endpoints := lines(t)
	s := open(t, endpoints...)
	e := s.NewElector("a", 6*time.Second)
	t.Cleanup(func() { _ = e.Close() })
	term := lead(t, e, shop)
	for range 6 { // there is a connection to each
		must(t, s.Writable())
	}
	lines[1].Cut()
	return s, term
}

func TestAMemberThatIsSilentTakesNoTermAway(t *testing.T) {
	t.Parallel() // it waits for leases
	s, term := silence(t)
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if !term.Holds() {
			t.Fatal("it does not hold any more")
		}
		must(t, s.Append(shop, state.Event{Message: "x"}))
	}
}

// A third of what is asked goes to it, and nothing else is asked that would show that the others answer.
func TestAMemberThatIsSilentDoesNotMakeTheStoreSeemAway(t *testing.T) {
	t.Parallel() // it waits for leases
	s, term := silence(t)
	for end := time.Now().Add(9 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if since, err := s.Stale(); !since.IsZero() {
			t.Fatalf("stale since %v: %v", since, err)
		}
	}
	if !term.Holds() {
		t.Error("it does not hold any more")
	}
	must(t, s.Append(shop, state.Event{Message: "x"}))
}

func TestASilentMemberDoesNotTakeAllTheTimeThatThereIsWhileTheStoreSeemsAway(t *testing.T) {
	t.Parallel()
	lines, endpoints := lines(t)
	s := open(t, endpoints...)
	for range 6 { // there is a connection to each
		must(t, s.Writable())
	}
	lines[1].Cut()
	for range 6 {
		s.Lose()
		must(t, s.Append(shop, state.Event{Message: "x"}))
		if since, err := s.Stale(); !since.IsZero() {
			t.Errorf("stale since %v: %v", since, err)
		}
	}
}

package bolt_test

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

// A process with a limit on the size of its files stands for a full disk: the same calls fail at the same place.
func TestAFullDiskFailsWritesAndNotReadsAndIsOvercomeWithoutOpeningAnew(t *testing.T) {
	_, path := open(t)
	out, err := other(path, "full").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := bolt.Open(path)
	must(t, err)
	must(t, s.Check())
	events, err := s.Events(shop, 0)
	must(t, err)
	if len(events) != 3 || events[0].Message != "after" {
		t.Errorf("%d events, the newest %.20q", len(events), events[0].Message)
	}
}

// onAFullDisk holds the store, fills its disk and makes room again; it gives its exit code.
func onAFullDisk(path string) int {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	if err == nil {
		err = s.Append(shop, state.Event{Message: "before"})
	}
	var unlimited syscall.Rlimit
	if err == nil {
		err = syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for round := range 2 {
		if wrong := fillAndFree(s, path, unlimited); wrong != "" {
			fmt.Println("round", round, wrong)
			return 1
		}
	}
	if err := s.Append(shop, state.Event{Message: "after"}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func fillAndFree(s *bolt.Store, path string, unlimited syscall.Rlimit) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error()
	}
	full := syscall.Rlimit{Cur: uint64(info.Size()), Max: unlimited.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err.Error()
	}
	before, err := s.Events(shop, 0)
	if err != nil {
		return err.Error()
	}
	large := state.Event{Message: strings.Repeat("x", int(info.Size())+1<<16)}
	for range 3 {
		if err := s.Append(shop, large); err == nil || !strings.Contains(err.Error(), "no room for the store "+path) {
			return fmt.Sprintf("an event without room: %v", err)
		}
		if events, err := s.Events(shop, 0); err != nil || len(events) != len(before) || events[len(events)-1].Message != "before" {
			return fmt.Sprintf("reading without room: %d events, %v", len(events), err)
		}
	}
	if err := s.Check(); err != nil {
		return err.Error()
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
		return err.Error()
	}
	if len(before) > 1 {
		return "" // one large event is enough
	}
	if err := s.Append(shop, large); err != nil {
		return "with room again: " + err.Error()
	}
	return ""
}

package bolt_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
	"github.com/kamald/kamald/state/bolt"
)

func TestATrimThatHasNothingToDoWritesNothing(t *testing.T) {
	s, path := open(t)
	must(t, s.Append(shop, state.Event{Message: "x"}))
	before, err := os.ReadFile(path)
	must(t, err)
	must(t, s.Trim(shop, 1, 1))
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the file changed")
	}
}

// A daemon that appends and trims for ever has a file that stays as large as what it keeps.
func TestWhatTrimFreesIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := bolt.OpenWith(path, bolt.Options{Hold: true})
	must(t, err)
	defer s.Close()
	size := func() int64 {
		info, err := os.Stat(path)
		must(t, err)
		return info.Size()
	}
	var early int64
	for round := range 120 {
		var events []state.Event
		for range 50 {
			events = append(events, state.Event{Message: strings.Repeat("x", 500)})
		}
		must(t, s.Append(shop, events...))
		must(t, s.SavePlan(shop, state.PlanRecord{Nonce: fmt.Sprint(round), At: noon.Add(time.Duration(round) * time.Second),
			Plan: json.RawMessage(`"` + strings.Repeat("p", 4000) + `"`)}))
		must(t, s.SaveWatch(state.Watch{App: shop, Comparator: fmt.Sprint(round)}))
		must(t, s.Trim(shop, 200, 5))
		if round == 20 {
			early = size()
		}
	}
	if late := size(); late > early*3/2 {
		t.Errorf("%d bytes after 20 rounds are %d after 120", early, late)
	}
	if events, err := s.Events(shop, 0); err != nil || len(events) != 200 {
		t.Errorf("%d events, %v", len(events), err)
	}
	must(t, s.Check())
}

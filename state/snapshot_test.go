package state_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/state"
)

// TestASnapshotIsReadBackAsItWasWritten, and a record that all hosts have is in it once.
func TestASnapshotIsReadBackAsItWasWritten(t *testing.T) {
	record := state.Record{Schema: 1, Number: 7, Version: "v7", Release: json.RawMessage(`{"hosts":["` + strings.Repeat("x", 1000) + `"]}`)}
	older := state.Record{Schema: 1, Number: 6, Version: "v6", Release: json.RawMessage(`{}`)}
	s := state.Snapshot{Schema: 1, App: state.App{Service: "shop"}, TakenAt: time.Unix(1000, 0).UTC()}
	for i := range 50 {
		copied := record
		s.Hosts = append(s.Hosts, state.Host{Name: fmt.Sprintf("h%d", i), Record: &copied, FreeBytes: -1, Fence: 7})
	}
	s.Hosts[3].Record, s.Hosts[4].Record, s.Hosts[5].Record = nil, &older, &older
	other := record
	other.Outcome = state.OutcomeFailed // the same number, and not the same record
	s.Hosts[9].Record = &other
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "xxxxx"); len(data) > 15000 || n == 0 {
		t.Errorf("%d bytes for 50 hosts with the same record", len(data))
	}
	var back state.Snapshot
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s, back) {
		t.Errorf("read back otherwise:\n%+v\n%+v", s, back)
	}
}

// TestAnEmptySnapshotIsReadBack as an older program has written it, too.
func TestAnEmptySnapshotIsReadBack(t *testing.T) {
	for _, text := range []string{`{"schema":1,"app":{"service":"shop"},"taken_at":"2026-01-01T00:00:00Z","hosts":null}`,
		`{"schema":1,"app":{"service":"shop"},"taken_at":"2026-01-01T00:00:00Z","hosts":[{"name":"h1","record":{"number":3}},{"name":"h2","record":{"number":3}}]}`} {
		var s state.Snapshot
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if s.App.Service != "shop" || len(s.Hosts) == 2 && s.Hosts[1].Record.Number != 3 {
			t.Errorf("%s is read as %+v", text, s)
		}
	}
}

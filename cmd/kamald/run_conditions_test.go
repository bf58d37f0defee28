package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// toldOf gives a service's log what a loop tells of an app, one status after another.
func toldOf(w io.Writer, statuses ...[]state.Condition) {
	s := &service{log: zerolog.New(w)}
	for i, conditions := range statuses {
		for _, name := range []string{"shop", "blog"} { // each has its own
			status := loop.Status{App: state.App{Service: name}, Conditions: conditions, Round: loop.Round{Number: i}}
			s.logNotice(loop.Notice{App: status.App, Kind: loop.NoticeStatus, Status: &status})
		}
	}
}

// What holds is said when it begins and when it is over, once each, however often the status is told meanwhile.
func TestTheLogSaysWhenAConditionBeginsAndWhenItIsOver(t *testing.T) {
	at := time.Now().Add(-time.Minute)
	gone := state.Condition{Kind: loop.ConditionUnreachable, Host: "h2", Reason: "connection refused", Since: at, Next: "look at it"}
	down := state.Condition{Kind: loop.ConditionUnreachable, Host: "h3", Reason: "the engine does not answer", Since: at}
	stuck := state.Condition{Kind: loop.ConditionNotConverging, Reason: "a repair changed nothing", Since: at}
	ill := state.Condition{Kind: loop.ConditionQuarantined, Reason: "v2 failed", Since: at}
	waits := state.Condition{Kind: loop.ConditionWaiting, Reason: "no image v3", Since: at}
	heals := state.Condition{Kind: loop.ConditionHealing, Reason: "heal of v1", Since: at}
	later := gone
	later.Reason = "no route to host" // it is the same outage
	statuses := [][]state.Condition{{}, {gone}, {gone, gone}, {later, heals}, {later, down, stuck}, {down, ill}, {down, ill, waits}, {waits}, {}, {gone}}
	want := []string{
		"begins unreachable h2", "begins unreachable h3", "begins not-converging", "over unreachable h2", "over not-converging", "begins quarantined",
		"begins waiting", "over unreachable h3", "over quarantined", "over waiting", "begins unreachable h2",
	}

	var data bytes.Buffer
	toldOf(&data, statuses...)
	said := map[string][]string{}
	for line := range strings.Lines(data.String()) {
		var l struct {
			App, Condition, Host, Level, Message, Next, Lasted, Since string
			Over                                                      *bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Over == nil {
			t.Fatalf("%s: %v", line, err)
		}
		what := "begins"
		if *l.Over {
			what = "over"
		}
		said[l.App] = append(said[l.App], strings.TrimSpace(what+" "+l.Condition+" "+l.Host))
		calm := *l.Over || l.Condition == loop.ConditionWaiting
		if (l.Level == "info") != calm || *l.Over != (l.Lasted != "") || *l.Over == (l.Since != "") {
			t.Errorf("its level, or since when: %s", line)
		}
		if l.Condition == "unreachable" && l.Host == "h2" && !*l.Over && (l.Next != "look at it" || l.Message != "unreachable: connection refused") {
			t.Errorf("it does not say why, and what to do: %s", line)
		}
	}
	for _, app := range []string{"shop", "blog"} {
		if !slices.Equal(said[app], want) {
			t.Errorf("of %s it says %q", app, said[app])
		}
	}

	var text bytes.Buffer
	toldOf(zerolog.ConsoleWriter{Out: &text, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName}}, statuses...)
	for line, times := range map[string]int{
		"WRN unreachable: connection refused app=shop condition=unreachable host=h2 next=\"look at it\"": 2,
		"INF unreachable: it is over app=shop condition=unreachable host=h2 lasted=":                     1,
		"WRN quarantined: v2 failed app=shop condition=quarantined":                                      1,
		"INF waiting: no image v3 app=shop condition=waiting":                                            1,
	} {
		if n := strings.Count(text.String(), line); n != times {
			t.Errorf("for people %q is said %d times:\n%s", line, n, text.String())
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// shownReport is what showReport says of a report, on both outputs, and the exit code it leads to.
func shownReport(report reconcile.Report, err error) (out, stderr string, code int) {
	var o, e bytes.Buffer
	p := newProgram(&o, &e)
	code = exitCode(p.showReport(state.App{Service: "shop"}, report, err), false)
	return o.String(), e.String(), code
}

func TestAReportHasARowForEachHostAndRoleThenTheOutcome(t *testing.T) {
	out, _, code := shownReport(reconcile.Report{Outcome: state.OutcomeSucceeded, Kind: plan.KindRelease, Release: 7, Version: "v2", Took: 2340 * time.Millisecond,
		Rows: []reconcile.Row{{Host: "web-1", Role: "web", Before: "v1", Wanted: "v2", Now: "v2"}, {Host: "jobs-1", Role: "workers", Wanted: "v2", Now: "v2"}}}, nil)
	want := `
HOST    ROLE     BEFORE  WANTED  NOW
web-1   web      v1      v2      v2
jobs-1  workers  none    v2      v2
Released shop v2 (release 7) in 2.3s.
`
	if out != want || code != exitDone {
		t.Errorf("exit code %d, said\n%s\nwant\n%s", code, out, want)
	}
}

func TestAFailedReportSaysWhyWhatIsLeftAndWhatNext(t *testing.T) {
	report := reconcile.Report{Outcome: state.OutcomeFailed, Kind: plan.KindRelease, Release: 8, Version: "v3", Undone: true, Took: time.Second,
		Rows: []reconcile.Row{{Host: "web-1", Role: "web", Before: "v2", Wanted: "v3", Now: "v2", Why: "web-1: exit code 3"}}}
	out, stderr, code := shownReport(report, errors.New("web-1: exit code 3"))
	if code != exitError || !strings.Contains(stderr, "kamald: web-1: exit code 3") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	for _, want := range []string{"v2   exit code 3", "failed after 1.0s; it was undone: every role runs what it ran before.", "next: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	report.Left = []string{"h2: remove shop-web-v3"}
	if out, _, _ := shownReport(report, errors.New("no")); !strings.Contains(out, "left: h2: remove shop-web-v3") || strings.Contains(out, "every role runs what it ran") {
		t.Errorf("what is left is not said in\n%s", out)
	}
}

func TestAReportNeverClaimsThatEverythingRunsAsBeforeWhenARowMoved(t *testing.T) {
	out, _, _ := shownReport(reconcile.Report{Outcome: state.OutcomeFailed, Kind: plan.KindRelease, Version: "v3", Undone: true,
		Rows: []reconcile.Row{{Host: "web-1", Role: "web", Before: "v2", Wanted: "v3", Now: ""}}}, errors.New("no"))
	if strings.Contains(out, "every role runs what it ran before.") && !strings.Contains(out, "not every role") {
		t.Errorf("said\n%s", out)
	}
}

func TestSkippedHostsAreNamedAndTheExitCodeIsSix(t *testing.T) {
	out, _, code := shownReport(reconcile.Report{Outcome: state.OutcomePartial, Kind: plan.KindRelease, Version: "v2",
		Skipped: []plan.Skipped{{Host: "web-2", Reason: "dial: refused"}}}, nil)
	if code != exitSkipped || !strings.Contains(out, "skipped: web-2: dial: refused") || !strings.Contains(out, "but not on every host") {
		t.Errorf("exit code %d, said\n%s", code, out)
	}
}

func TestExitCodesFollowTheCause(t *testing.T) {
	locked := &reconcile.LockedError{Host: "web-1"}
	cases := []struct {
		name        string
		err         error
		interrupted bool
		want        int
	}{
		{"done", nil, false, 0},
		{"done although somebody wanted to stop", nil, true, 0},
		{"an error", errors.New("no"), false, 1},
		{"changes are planned", &exit{code: exitChanges}, false, 2},
		{"locked", errors.Join(locked, errors.New("no")), false, 4},
		{"locked, and the result says so", &exit{code: exitError, cause: locked}, false, 4},
		{"interrupted", &exit{code: exitError, cause: errors.New("no")}, true, 130},
	}
	for _, c := range cases {
		if got := exitCode(c.err, c.interrupted); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAPlanLeadsToItsExitCode(t *testing.T) {
	steps := []plan.Step{{ID: "tag/web-1", Kind: plan.StepTag}}
	away := []plan.Skipped{{Host: "web-2", Reason: "gone"}}
	cases := []struct {
		name     string
		plan     plan.Plan
		detailed bool
		want     int
	}{
		{"nothing to do", plan.Plan{}, true, 0},
		{"only deferred things", plan.Plan{Items: []plan.Item{{Deferred: "held"}}}, true, 0},
		{"changes", plan.Plan{Steps: steps}, false, 0},
		{"changes, asked for", plan.Plan{Steps: steps}, true, 2},
		{"hosts skipped", plan.Plan{Unreachable: away}, true, 6},
		{"problems", plan.Plan{Steps: steps, Unreachable: away, Problems: []plan.Problem{{Summary: "no"}}}, true, 1},
	}
	for _, c := range cases {
		if got := exitCode(planExit(c.plan, c.detailed), false); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAReportSaysWhatWasCarriedAndWhatNot(t *testing.T) {
	for want, c := range map[string]reconcile.Carried{
		"carried: h1: 9 KiB sent, 1 of 7 layers; 104 MiB were there already": {Host: "h1", Sent: 9 << 10, Layers: 1, There: 6, ThereBytes: 104 << 20},
		"carried: h1: 104 MiB sent, 7 of 7 layers":                           {Host: "h1", Sent: 104 << 20, Layers: 7},
		"carried: h1: 3 MiB sent":                                            {Host: "h1", Sent: 3 << 20}, // it was cut off
	} {
		if got := carried(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package drift

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// one is the only finding of a plan of one item.
func one(t *testing.T, p plan.Plan) state.Finding {
	t.Helper()
	found := Of(p, noon)
	if len(found) != 1 {
		t.Fatalf("%d findings: %+v", len(found), found)
	}
	return found[0]
}

func TestEachItemIsAFindingWithItsSeverityAndItsHealing(t *testing.T) {
	for _, test := range []struct {
		item            plan.Item
		switches        bool
		severity, heals string
	}{
		{plan.Item{Action: plan.Create, Class: plan.DriftMissing, Resource: plan.ResourceContainer}, true, Critical, "make it again and switch to it"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftMissing, Resource: plan.ResourceContainer}, false, Critical, "make it again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftExited, Resource: plan.ResourceContainer}, false, Critical, "start it again"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftExited, Resource: plan.ResourceContainer}, true, Critical, "start it again and switch to it"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftRestarting, Resource: plan.ResourceContainer}, true, Critical, "make another and switch to it"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftUnhealthy, Resource: plan.ResourceContainer}, false, Critical, "make another"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftPaused, Resource: plan.ResourceContainer}, false, Critical, "make another"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftSpec, Resource: plan.ResourceContainer}, true, Warning, "make another and switch to it"},
		{plan.Item{Action: plan.Update, Class: plan.DriftSpec, Resource: plan.ResourceContainer}, false, Warning, "set it right in place"},
		{plan.Item{Action: plan.Remove, Class: plan.DriftSuperseded, Resource: plan.ResourceContainer}, false, Warning, "stop it"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftSuperseded, Resource: plan.ResourceContainer}, true, Warning, "bring v2 and switch to it"},
		{plan.Item{Action: plan.Create, Class: plan.DriftRoute, Resource: plan.ResourceRoute}, true, Critical, "put the route back"},
		{plan.Item{Action: plan.Create, Class: plan.DriftRoute, Resource: plan.ResourceErrorPages, Name: "c162d066147bd03b"}, false, Warning, "bring the error pages again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftRoute, Resource: plan.ResourceRoute, Fields: []plan.Field{{Path: "state"}}}, false, Critical, "let the route serve again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftNetwork, Resource: plan.ResourceContainer}, false, Critical, "attach it to its network again"},
		{plan.Item{Action: plan.Create, Class: plan.DriftNetwork, Resource: plan.ResourceNetwork}, false, Critical, "make the network again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftTag, Resource: plan.ResourceTag}, false, Warning, "move the tag back to v2"},
		{plan.Item{Action: plan.Update, Class: plan.DriftImage, Resource: plan.ResourceImage}, false, Warning, "put the tag back at the image that was released"},
		{plan.Item{Action: plan.Create, Class: plan.DriftImage, Resource: plan.ResourceImage}, false, Warning, "fetch the image again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftSecretsFile, Deferred: "`kamald env push` brings it"}, false, Warning, "`kamald env push` brings it"},
		{plan.Item{Action: plan.Update, Class: plan.DriftSecretsFile}, false, Warning, "write the file again"},
		{plan.Item{Action: plan.Create, Class: plan.DriftProxy}, false, Critical, "make the proxy again"},
		{plan.Item{Action: plan.Update, Class: plan.DriftProxy}, false, Critical, "start the proxy, on its network"},
		{plan.Item{Action: plan.Replace, Class: plan.DriftProxy}, false, Warning, "make the proxy anew"},
		{plan.Item{Action: plan.Create, Class: plan.DriftRecord}, false, Info, "write the record there"},
		{plan.Item{Action: plan.Remove, Class: plan.DriftDisk}, false, Warning, "remove it"},
		{plan.Item{Action: plan.Remove, Class: plan.DriftOrphan}, false, Info, "remove it"},
		{plan.Item{Action: plan.Remove, Class: plan.DriftOrphan, Cause: plan.Orphan}, false, Info, "nothing: approve it with `kamald approve`"},
	} {
		test.item.Host, test.item.Role = "web-1", "web"
		if test.item.Cause == "" {
			test.item.Cause = plan.Drift
		}
		p := plan.Plan{Version: "v2", Items: []plan.Item{test.item}}
		if test.switches {
			p.Steps = []plan.Step{{Kind: plan.StepSwitch, Host: "web-1", Role: "web"}}
		}
		if f := one(t, p); f.Severity != test.severity || f.Heals != test.heals || f.Class != string(test.item.Class) || !f.Since.Equal(noon) {
			t.Errorf("%s %s: %s, %q, %s; want %s, %q", test.item.Action, test.item.Class, f.Severity, f.Heals, f.Class, test.severity, test.heals)
		}
	}
}

func TestWhatWasAskedForIsNoFinding(t *testing.T) {
	for _, cause := range []plan.Cause{plan.Change, plan.Leftover, plan.Retention} {
		if found := Of(plan.Plan{Items: []plan.Item{{Cause: cause, Class: plan.DriftSpec}}}, noon); len(found) > 0 {
			t.Errorf("%s: %+v", cause, found)
		}
	}
}

func TestWhatWasMovedByHandIsAFindingThatNothingHeals(t *testing.T) {
	f := one(t, plan.Plan{Moved: []plan.HandMove{{Host: "web-1", What: "tag latest", From: "v1", To: "v2"}}})
	want := state.Finding{ID: "moved/web-1//tag%20latest", Class: "moved", Severity: Warning, Host: "web-1", Name: "tag latest", Since: noon,
		Reason: "it is at v2, and no record says so: the newest is of v1",
		Heals:  "nothing: `kamald adopt` takes what runs now, `kamald release VERSION` goes to that version"}
	if f != want {
		t.Errorf("found %+v\nwant  %+v", f, want)
	}
}

func TestTwoItemsOfOneThingAreOneFinding(t *testing.T) {
	item := plan.Item{Cause: plan.Drift, Class: plan.DriftRoute, Action: plan.Update, Host: "web-1", Role: "web", Name: "shop-web", Reason: "its maintenance ended",
		Fields: []plan.Field{{Path: "state", Before: "stopped", After: "running"}}}
	other := item
	other.Reason, other.Fields = "the proxy has it otherwise", []plan.Field{{Path: "target", Before: "a", After: "b"}}
	f := one(t, plan.Plan{Items: []plan.Item{item, other}})
	if f.Reason != "its maintenance ended: state: stopped → running; the proxy has it otherwise: target: a → b" || f.Heals != "let the route serve again; put the route back" {
		t.Errorf("%+v", f)
	}
}

// TestFindingsAreTheSameFromRoundToRound: sorted, one of each ID, whatever the order of the items and the hour.
func TestFindingsAreTheSameFromRoundToRound(t *testing.T) {
	name := rapid.SampledFrom([]string{"", "a", "b", "a/b", "/", "%2F", "<a|b>\n", "\x1b[31m"})
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Custom(func(t *rapid.T) plan.Item {
			return plan.Item{Cause: rapid.SampledFrom([]plan.Cause{plan.Drift, plan.Orphan, plan.Change}).Draw(t, "cause"),
				Class: rapid.SampledFrom(plan.DriftClasses).Draw(t, "class"), Action: rapid.SampledFrom([]plan.Action{plan.Create, plan.Update, plan.Remove, plan.Replace}).Draw(t, "action"),
				Host: name.Draw(t, "host"), Role: name.Draw(t, "role"), Name: name.Draw(t, "name")}
		})).Draw(t, "items")
		found := Of(plan.Plan{Items: items}, noon)
		ids := map[string]string{}
		for _, f := range found {
			what := fmt.Sprintf("%q", []string{f.Class, f.Host, f.Role, f.Name})
			if other, twice := ids[f.ID]; twice {
				t.Fatalf("%s and %s have the ID %s", what, other, f.ID)
			}
			ids[f.ID] = what
		}
		again := Of(plan.Plan{Items: rapid.Permutation(items).Draw(t, "again")}, noon.Add(time.Hour))
		if !slices.EqualFunc(found, again, func(x, y state.Finding) bool { return x.ID == y.ID && x.Severity == y.Severity }) {
			t.Fatalf("%+v\nand then\n%+v", found, again)
		}
	})
}

func TestTheWorstFindingIsTheReports(t *testing.T) {
	clean := ReportOf(plan.Plan{}, release.Release{}, nil, noon)
	if !clean.Clean() || clean.Worst() != "" || clean.Against != "the file" {
		t.Errorf("%+v", clean)
	}
	r := Report{Findings: []state.Finding{{Severity: Info}, {Severity: Critical}, {Severity: Warning}}}
	if r.Clean() || r.Worst() != Critical {
		t.Errorf("worst %q", r.Worst())
	}
}

func TestAReportNamesThePlacesThatWereLookedAt(t *testing.T) {
	desired := release.Release{Hosts: []release.Host{{Name: "web-1"}, {Name: "web-2"}}, Roles: []release.Role{{Name: "web", Hosts: []string{"web-1", "web-2"}}, {Name: "jobs", Hosts: []string{"web-1"}}}}
	p := plan.Plan{Observed: map[string]string{"web-1": "d"}, Unreachable: []plan.Skipped{{Host: "web-2", Reason: "timeout"}}}
	r := ReportOf(p, desired, &state.Record{Number: 3}, noon)
	if want := []Place{{"web-1", ""}, {"web-1", "web"}, {"web-1", "jobs"}}; !slices.Equal(r.Places, want) || r.Release != 3 || r.Against != "release 3" {
		t.Errorf("%+v", r)
	}
	p.Filter = plan.Filter{Roles: []string{"jobs"}}
	if r := ReportOf(p, desired, nil, noon); !slices.Equal(r.Places, []Place{{"web-1", "jobs"}}) {
		t.Errorf("of jobs: %+v", r.Places)
	}
}

package plan_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

func TestAScopeIsChosenByNamesAndGlobs(t *testing.T) {
	for given, want := range map[string]plan.Filter{
		"":              {},
		"work-1":        {Hosts: []string{"work-1"}},
		"web-*":         {Hosts: []string{"web-1", "web-2"}},
		"*-1,web-*":     {}, // all of them: the whole release
		"|workers":      {Roles: []string{"workers"}},
		"web-2|work*":   {Hosts: []string{"web-2"}, Roles: []string{"workers"}},
		"*|web,workers": {},
	} {
		hosts, roles, _ := strings.Cut(given, "|")
		got, err := plan.FilterOf(shop(), list(hosts), list(roles))
		if err != nil || !slices.Equal(got.Hosts, want.Hosts) || !slices.Equal(got.Roles, want.Roles) {
			t.Errorf("%q: %+v, %v, want %+v", given, got, err, want)
		}
	}
	for given, says := range map[string]string{"db-1": "web-1, web-2, work-1", "[": "glob", "web": "web-1", "|jobs": "web, workers", "work-1|web": "no role of web is on a host of work-1: web is on web-1, web-2"} {
		hosts, roles, _ := strings.Cut(given, "|")
		if got, err := plan.FilterOf(shop(), list(hosts), list(roles)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q chose %v: %v", given, got, err)
		}
	}
}

func TestAScopeConcernsTheHostsOfItsRolesAndThoseThatHaveSomethingOfThem(t *testing.T) {
	left := state.Container{Service: "shop", Role: "workers"}
	for given, want := range map[string][]string{
		"":             {"web-1", "web-2", "work-1", "gone-1"},
		"web-1":        {"web-1"},
		"|web":         {"web-1", "web-2"},
		"|workers":     {"web-2", "work-1", "gone-1"},
		"web-1|web":    {"web-1"},
		"web-*|w*":     {"web-1", "web-2"},
		"work-1|work*": {"work-1"},
	} {
		hosts, roles, _ := strings.Cut(given, "|")
		scope, err := plan.FilterOf(shop(), list(hosts), list(roles))
		var got []string
		for _, host := range []state.Host{{Name: "web-1"}, {Name: "web-2"}, {Name: "work-1"}, {Name: "gone-1", Containers: []state.Container{left}}} {
			if scope.Concerns(shop(), host) {
				got = append(got, host.Name)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q concerns %v, want %v: %v", given, got, want, err)
		}
	}
}

func list(given string) []string {
	if given == "" {
		return nil
	}
	return strings.Split(given, ",")
}

// only limits the world's plans.
func (w *world) only(t *testing.T, hosts, roles string) *world {
	t.Helper()
	w = w.clone()
	var err error
	if w.options.Filter, err = plan.FilterOf(w.desired, list(hosts), list(roles)); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAPartialReleaseMovesNoLatestPrunesNothingAndTheNextPlanShowsTheRest(t *testing.T) {
	r := shop()
	r.RetainContainers = 1
	v1 := released(t, r)
	w := v1.to("v2").settle(t).to("v3").only(t, "web-1", "")
	p := w.plan()
	if !p.Partial || len(p.Problems) > 0 {
		t.Fatal(show(p))
	}
	for _, s := range p.Steps {
		if s.Host != "" && s.Host != "web-1" || s.Kind == plan.StepTag || s.Kind == plan.StepRemove || s.Kind == plan.StepUntag {
			t.Errorf("%s\n%s", s.ID, show(p))
		}
	}
	after := w.settle(t) // and the same plan again is empty
	if after.held.Version != "v2" {
		t.Errorf("%s is held after a partial release of v3", after.held.Version)
	}
	if drift := keeping(after.to("v2")).plan(); len(drift.Steps) > 0 || len(drift.Drifted()) > 0 {
		t.Errorf("what the partial release put there is not left alone:\n%s", show(drift))
	}
	after.options = plan.Options{}
	whole := after.plan()
	for _, s := range whole.Steps {
		if s.Host == "web-1" && s.Kind == plan.StepCreate {
			t.Errorf("web-1 gets another one\n%s", show(whole))
		}
	}
	if !slices.ContainsFunc(whole.Steps, func(s plan.Step) bool { return s.ID == "tag/web-1" }) {
		t.Errorf("latest does not move when it is whole\n%s", show(whole))
	}
	if done := after.settle(t); done.held.Version != "v3" {
		t.Errorf("%s is held in the end", done.held.Version)
	}
	back := after.to("v2")
	p = back.plan()
	if p.Kind != plan.KindRelease || len(p.Drifted()) > 0 {
		t.Errorf("going back from a partial release is asked for, and no drift:\n%s", show(p))
	}
	back.settle(t)
}

// keeping gives a world whose plans leave what partial releases did.
func keeping(w *world) *world {
	w.options = plan.Options{KeepPartial: true}
	return w
}

func TestAPartialReleaseWithoutAPrimaryNeedsOneThatServes(t *testing.T) {
	w := released(t, shop()).to("v2")
	p := w.only(t, "work-1", "").plan()
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "none serves v2") {
		t.Fatal(show(p))
	}
	if p := w.only(t, "", "workers").plan(); len(p.Problems) != 1 {
		t.Fatal(show(p))
	}
	served := w.only(t, "web-1", "web").settle(t)
	served.options = plan.Options{}
	served = served.only(t, "", "workers")
	if p := served.plan(); len(p.Problems) > 0 || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepBarrier }) {
		t.Error(show(p))
	}
	after := served.settle(t)
	served.host("web-1").Proxy.Routes = nil
	if p := served.plan(); len(p.Problems) != 1 {
		t.Errorf("a primary that nobody reaches vouches for nothing\n%s", show(p))
	}
	after.options = plan.Options{}
	after.settle(t)
}

func TestAFilteredPlanAsksNothingOfHostsOutOfScope(t *testing.T) {
	w := released(t, shop()).to("v2").only(t, "web-1", "")
	*w.host("work-1") = state.Host{Name: "work-1", Unreachable: "no route to host"}
	if p := w.plan(); len(p.Problems) > 0 || len(p.Unreachable) > 0 {
		t.Error(show(p))
	}
	w = released(t, shop()).to("v2").only(t, "web-2", "")
	*w.host("web-1") = state.Host{Name: "web-1", Unreachable: "no route to host"}
	if p := w.plan(); len(p.Problems) != 1 || p.Problems[0].Host != "web-1" {
		t.Errorf("the primary host, where runs meet, is not there:\n%s", show(p))
	}
	w.options.SkipUnreachable = true
	if p := w.plan(); len(p.Problems) > 0 {
		t.Error(show(p))
	}
}

// TestAFilteredPlanStaysInItsScopeAndIsAFixedPoint, whatever was on the servers; what is left then is left to an unfiltered one.
func TestAFilteredPlanStaysInItsScopeAndIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		anyScope(t, w)
		p := w.plan()
		scope := w.options.Filter
		for _, s := range p.Steps {
			if s.Host != "" && s.Role != "" && !scope.Has(s.Host, s.Role) {
				t.Fatalf("%s is out of scope %s\n%s", s.ID, scope, show(p))
			}
			if !scope.Whole() && (s.Kind == plan.StepTag || s.Kind == plan.StepRemove || s.Kind == plan.StepUntag || s.Kind == plan.StepUnroute) {
				t.Fatalf("%s is in a filtered plan\n%s", s.ID, show(p))
			}
		}
		if len(p.Problems) > 0 {
			t.Skip("it cannot be carried out")
		}
		after := w.clone()
		if err := after.carryOut(p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next") }); err != nil {
			t.Fatalf("%v\n%s", err, show(p))
		}
		if next := after.plan(); !next.Empty() {
			t.Fatalf("not empty: %s\nafter: %s", show(next), show(p))
		}
		after.options.Filter = plan.Filter{}
		whole := after.plan()
		if len(whole.Problems) > 0 {
			t.Skip("the rest cannot be carried out")
		}
		if err := after.carryOut(whole, inOrder); err != nil {
			t.Fatalf("%v\n%s", err, show(whole))
		}
		if next := after.plan(); !next.Empty() {
			t.Fatalf("the rest is not empty: %s\nafter: %s\nafter: %s", show(next), show(whole), show(p))
		}
	})
}

func anyScope(t *rapid.T, w *world) {
	w.options.Prune, w.options.Filter = false, someScope(t, w)
}

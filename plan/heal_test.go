package plan_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// healing is the plan that repairs what is held, and nothing else.
func healing(w *world) plan.Plan {
	w = w.clone()
	w.options.Heal, w.options.KeepPartial, w.options.SkipUnreachable, w.atHand = true, true, true, nil
	return w.plan()
}

func TestHealingRepairsEveryDriftByHandWithoutARelease(t *testing.T) {
	for name, test := range drifts {
		t.Run(name, func(t *testing.T) {
			w := released(t, shop()).clone()
			test.hand(t, w)
			p := healing(w)
			if p.Kind != plan.KindHeal || test.step != "" && !hasStep(p, test.step) {
				t.Fatalf("want %s in\n%s", test.step, show(p))
			}
			for _, s := range p.Steps {
				if s.Kind == plan.StepRecord || s.Kind == plan.StepEnv || s.Kind == plan.StepUnroute || s.Host != "" && s.Host != "web-1" {
					t.Errorf("healing web-1 has the step %s", s.ID)
				}
			}
		})
	}
}

// TestHealingRollsNoSecretOut: what was pushed since waits for a release, and a dead container is started all the same.
func TestHealingRollsNoSecretOut(t *testing.T) {
	w := released(t, shop()).clone()
	for i := range w.host("web-1").EnvFiles {
		w.host("web-1").EnvFiles[i].Digests["TOKEN"] = "digest-of-pushed"
	}
	if p := healing(w); len(p.Steps) > 0 {
		t.Errorf("a secret that was pushed is healed:\n%s", show(p))
	}
	w.atHand = nil
	if p := w.plan(); p.Kind != plan.KindConfig {
		t.Errorf("a plan of the file is of kind %s", p.Kind)
	}
	webOn(t, w, "web-1", "web").Status = state.StatusExited
	if p := healing(w); !hasStep(p, "start/web-1/web") || hasStep(p, "create/web-1/web") {
		t.Errorf("the dead container is not started as it is:\n%s", show(p))
	}
}

func TestHealingTakesNothingAwayUnlessItIsTold(t *testing.T) {
	w := released(t, shop()).clone()
	w.desired.Roles = w.desired.Roles[:1]
	p := healing(w)
	left := slices.IndexFunc(p.Items, func(i plan.Item) bool { return i.Cause == plan.Orphan && strings.Contains(i.Deferred, "approve") })
	if len(p.Steps) > 0 || left < 0 {
		t.Errorf("healing touches what no release asks for, or does not name it:\n%s", show(p))
	}
	w.options.Orphans = true
	if p := healing(w); !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Kind == plan.StepRemove }) {
		t.Errorf("an approved orphan stays:\n%s", show(p))
	}
}

func TestHealingOfAPartLeavesTheRestAndPutsItsTagBack(t *testing.T) {
	w := released(t, shop()).clone()
	webOn(t, w, "web-1", "web").Status = state.StatusExited
	webOn(t, w, "web-2", "web").Status = state.StatusExited
	untag(w.host("web-1"), "registry.test/acme/shop:latest")
	w.host("web-1").Latest = ""
	var err error
	if w.options.Filter, err = plan.FilterOf(w.desired, nil, nil, "web-2/web"); err != nil {
		t.Fatal(err)
	}
	p := healing(w)
	if !hasStep(p, "start/web-1/web") || hasStep(p, "start/web-2/web") || !hasStep(p, "tag/web-1") {
		t.Error(show(p))
	}
}

func TestHealingIgnoresWhatTheFileSaysIsNobodysBusiness(t *testing.T) {
	w := released(t, shop()).clone()
	webOn(t, w, "web-1", "web").Live.Options["memory"] = []string{"268435456"}
	w.desired.Reconcile.Ignore = []string{"role.web.options.memory"}
	if p := w.plan(); len(p.Items) > 0 {
		t.Error(show(p))
	}
}

// of is the container of a role on a host.
func of(w *world, host, role string) *state.Container {
	on := w.host(host)
	return &on.Containers[slices.IndexFunc(on.Containers, func(c state.Container) bool { return c.Role == role })]
}

// What a daemon has found by asking is repaired as what Docker's check says, and opens no barrier; no other plan knows of it.
func TestWhatWasAskedAndIsUnwellIsReplaced(t *testing.T) {
	w := released(t, shop()).clone()
	before := w.plan().Observed["web-1"]
	of(w, "web-1", "web").Failing = "it runs, and was asked 3 times: GET :3000/up: 500"
	p := healing(w)
	if !hasStep(p, "create/web-1/web") || !hasStep(p, "switch/web-1/web") || p.Items[0].Class != plan.DriftUnhealthy || p.Items[0].Reason == "" {
		t.Errorf("it is not replaced:\n%s", show(p))
	}
	if w.plan().Observed["web-1"] != before {
		t.Error("plans that were saved depend on it")
	}
	of(w, "web-1", "web").Status = state.StatusExited
	if p = healing(w); hasStep(p, "create/web-1/web") {
		t.Errorf("what has ended is made anew, and not started:\n%s", show(p))
	}
}

// Whatever has happened to the servers, healing changes no version, records nothing, takes away nothing that serves and that no other
// takes the place of, and touches nothing that is excepted.
func TestHealingIsNeverARelease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWorld(t)
		if w.held == nil {
			t.Skip("nothing is held, so there is nothing to heal towards")
		}
		w.desired.Version, w.heldRelease = w.held.Version, &w.desired
		w.options.Heal, w.options.KeepPartial, w.options.SkipUnreachable, w.atHand = true, true, true, nil
		w.options.Prune = false
		p := w.plan()
		for _, s := range p.Steps {
			switch s.Kind {
			case plan.StepRecord, plan.StepUnroute, plan.StepCanary:
				t.Fatalf("healing has the step %s\n%s", s.ID, show(p))
			}
		}
		if p.Kind != plan.KindHeal && p.Kind != plan.KindNone {
			t.Fatalf("it is of kind %s", p.Kind)
		}
	})
}

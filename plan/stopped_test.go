package plan_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// stop is an intent for a role on a host.
func stop(host, role string, until time.Time) state.Intent {
	return state.Intent{Kind: state.IntentStop, Host: host, Role: role, Serial: 1, Who: "ann", Since: epoch.Add(-2 * time.Hour), Until: until, Reason: "new disk"}
}

// putAsleep draws roles that were stopped on purpose, or are not any more, whatever runs of them.
func (w *world) putAsleep(t *rapid.T) {
	for i := range w.hosts {
		h := &w.hosts[i]
		for _, role := range w.desired.Roles {
			if slices.Contains(role.Places(), h.Name) && rapid.Bool().Draw(t, "asleep") {
				h.Intents = append(h.Intents, stop(h.Name, role.Name, pick(t, "wakes", time.Time{}, epoch.Add(time.Hour), epoch.Add(-time.Hour))))
			}
		}
	}
	w.options.Start = rapid.Bool().Draw(t, "start")
	w.options.Only = w.options.Start && rapid.Bool().Draw(t, "only")
}

// lift is what the executor does: the role is not stopped on purpose any more.
func (w *world) lift(h *state.Host, s plan.Step) error {
	lifted := stop(h.Name, s.Role, time.Time{})
	lifted.Serial, lifted.Lifted = 2, true
	h.Intents = append(h.Intents, lifted)
	return nil
}

// woken: a step about a role's container or route where it was stopped on purpose, and nobody starts it.
func woken(w *world, p plan.Plan) (broken []string) {
	acts := []plan.StepKind{plan.StepRename, plan.StepCreate, plan.StepStart, plan.StepProve, plan.StepSwitch, plan.StepCanary, plan.StepResume, plan.StepUpdate, plan.StepConnect,
		plan.StepStop, plan.StepLift}
	for _, s := range p.Steps {
		h := w.find(s.Host)
		if h == nil || !slices.Contains(acts, s.Kind) {
			continue
		}
		intent, said := h.Stop(s.Role)
		starts := w.options.Start && w.options.Filter.Has(s.Host, s.Role)
		switch role, _ := w.desired.Role(s.Role); {
		case !slices.Contains(role.Places(), s.Host):
		case said && intent.Holds(epoch) && !starts:
			broken = append(broken, s.ID+" is about what was stopped on purpose")
		case s.Kind == plan.StepLift && (!said || intent.Lifted):
			broken = append(broken, s.ID+" takes back what nobody said")
		}
	}
	return broken
}

// asleep is a released world with web stopped on web-1: no route, and a container that has ended.
func asleep(t *testing.T, intents ...state.Intent) *world {
	w := released(t, shop())
	h := w.host("web-1")
	h.Proxy.Routes, h.Intents = nil, intents
	webOn(t, w, "web-1", "web").Status = state.StatusExited
	return w
}

func TestWhatWasStoppedOnPurposeIsShownAndLeft(t *testing.T) {
	for name, c := range map[string]struct {
		until time.Time
		runs  bool
		says  string
	}{
		"until it is started":     {time.Time{}, false, "web-1: web was stopped on purpose by ann since"},
		"until a time":            {epoch.Add(time.Hour), false, "new disk"},
		"and started by somebody": {time.Time{}, true, "web runs, and was stopped on purpose by ann"},
	} {
		w := asleep(t, stop("web-1", "web", c.until))
		if c.runs {
			w.container("web-1", "shop-web-v1").Status = state.StatusRunning
		}
		p := w.plan()
		if !p.Empty() || len(p.Items) > 0 || len(p.Gates) != 1 || !strings.Contains(p.Gates[0].String(), c.says) {
			t.Errorf("%s: %s\n%+v", name, show(p), p.Gates)
		}
	}
}

func TestAStopThatIsOverIsHealed(t *testing.T) {
	lifted := stop("web-1", "web", time.Time{})
	lifted.Serial, lifted.Lifted = 2, true
	for name, w := range map[string]*world{
		"its time":    asleep(t, stop("web-1", "web", epoch.Add(-time.Minute))),
		"it is taken": asleep(t, stop("web-1", "web", time.Time{}), lifted),
		"nobody's":    asleep(t),
		"of another":  asleep(t, stop("web-2", "web", time.Time{}), stop("web-1", "workers", time.Time{})),
	} {
		p := w.plan()
		if p.Kind != plan.KindHeal || len(kinds(p, plan.StepStart)) != 1 || len(kinds(p, plan.StepSwitch)) != 1 || len(p.Gates) > 0 {
			t.Errorf("%s: %s", name, show(p))
		}
	}
}

func TestAStartIsTakenBackLast(t *testing.T) {
	w := asleep(t, stop("web-1", "web", time.Time{}))
	w.options.Start, w.options.Only, w.options.Heal = true, true, true
	p := w.plan()
	if lifts := kinds(p, plan.StepLift); len(lifts) != 1 || !slices.Equal(stepOf(&p, lifts[0]).Needs, []string{"switch/web-1/web"}) || p.Kind != plan.KindHeal || len(p.Gates) > 0 {
		t.Fatalf("%s", show(p))
	}
	if after := w.settle(t).plan(); len(after.Steps) > 0 {
		t.Errorf("%s", show(after))
	}
}

func TestAStartLeavesWhatRunsAndABootDoesNot(t *testing.T) {
	w := asleep(t, stop("web-1", "web", time.Time{}))
	c := webOn(t, w, "web-2", "web")
	c.Live.Env = map[string]string{"LOG_LEVEL": "debug"} // somebody's
	w.options.Start, w.options.Only = true, true
	for _, s := range w.plan().Steps {
		if s.Host == "web-2" && s.Kind != plan.StepGate {
			t.Errorf("a start does %s", s.ID)
		}
	}
	w.options.Only = false
	if p := w.plan(); !slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.ID == "create/web-2/web" }) {
		t.Errorf("a boot leaves it: %s", show(p))
	}
}

func TestAReleaseLeavesAHostOnWhichEverythingWasStoppedAsItIs(t *testing.T) {
	w := asleep(t, stop("web-1", "web", time.Time{})).to("v2")
	p := w.plan()
	for _, s := range p.Steps {
		if s.Host == "web-1" && s.Kind != plan.StepGate {
			t.Errorf("%s", s.ID)
		}
	}
	if len(kinds(p, plan.StepTag)) == 0 || len(p.Problems) > 0 {
		t.Errorf("%s", show(p))
	}
}

func TestARestartMakesEachContainerAnewOneHostAfterTheOther(t *testing.T) {
	w := released(t, shop())
	w.options.Restart, w.options.Heal = true, true
	p := w.plan()
	if p.Kind != plan.KindHeal || len(kinds(p, plan.StepCreate)) != 4 || len(kinds(p, plan.StepRename)) != 4 || len(kinds(p, plan.StepStop)) != 4 || len(p.Groups) != 3 {
		t.Fatalf("%s", show(p))
	}
	for name, law := range laws {
		if broken := law(w, p); len(broken) > 0 {
			t.Errorf("%s: %v", name, broken)
		}
	}
	for _, id := range kinds(p, plan.StepCreate) {
		s := stepOf(&p, id)
		if c := webOn(t, w, s.Host, s.Role); s.Spec.Hash() != c.Asked.Hash() {
			t.Errorf("%s is of another spec", s.ID)
		}
	}
	w.host("web-1").Intents = []state.Intent{stop("web-1", "web", time.Time{})}
	if p := w.plan(); len(kinds(p, plan.StepCreate)) != 3 {
		t.Errorf("what was stopped on purpose is restarted: %s", show(p))
	}
}

package plan_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// maintenance is an intent for a role on a host.
func maintenance(host, role string, until time.Time) state.Intent {
	return state.Intent{Kind: state.IntentMaintenance, Host: host, Role: role, Serial: 1, Who: "ann", Since: epoch.Add(-2 * time.Hour), Until: until,
		Reason: "migration", Message: "back soon"}
}

// maintained draws routes that are in maintenance, or were, by kamald or by hand.
func (w *world) maintained(t *rapid.T) {
	for i := range w.hosts {
		h := &w.hosts[i]
		for j, route := range h.Proxy.Routes {
			for _, role := range w.desired.Roles {
				if route.Name != w.desired.App().RouteName(role.Name) {
					continue
				}
				h.Proxy.Routes[j].Stopped = rapid.Bool().Draw(t, "stopped")
				if rapid.Bool().Draw(t, "told") {
					h.Intents = append(h.Intents, maintenance(h.Name, role.Name, pick(t, "ends", time.Time{}, epoch.Add(time.Hour), epoch.Add(-time.Hour))))
				}
			}
		}
	}
}

// resume is what the executor does: the route serves, and the maintenance is lifted.
func (w *world) resume(h *state.Host, s plan.Step) error {
	i := slices.IndexFunc(h.Proxy.Routes, func(r state.Route) bool { return r.Name == s.Name })
	if i < 0 || !h.Proxy.Running {
		return errors.New("there is no such route")
	}
	h.Proxy.Routes[i].Stopped = false
	lifted := maintenance(h.Name, s.Role, time.Time{})
	lifted.Serial, lifted.Lifted = 2, true
	h.Intents = append(h.Intents, lifted)
	return nil
}

// inMaintenance is a released world with the route of web on web-1 stopped.
func inMaintenance(t *testing.T, intents ...state.Intent) *world {
	w := released(t, shop())
	h := w.host("web-1")
	h.Proxy.Routes[0].Stopped, h.Intents = true, intents
	return w
}

func TestMaintenanceIsShownAndNothingIsPlannedAgainstIt(t *testing.T) {
	for name, c := range map[string]struct {
		intents []state.Intent
		says    string
	}{
		"with an end":    {[]state.Intent{maintenance("web-1", "web", epoch.Add(time.Hour))}, "in maintenance by ann since"},
		"without an end": {[]state.Intent{maintenance("web-1", "web", time.Time{})}, "migration"},
		"by hand":        {nil, "nobody told kamald why"},
		"of another":     {[]state.Intent{maintenance("web-2", "web", time.Time{}), maintenance("web-1", "workers", time.Time{})}, "nobody told kamald why"},
	} {
		t.Run(name, func(t *testing.T) {
			p := inMaintenance(t, c.intents...).plan()
			if !p.Empty() || len(p.Items) > 0 || len(p.Gates) != 1 || !strings.Contains(p.Gates[0].String(), c.says) {
				t.Fatalf("%s\n%+v", show(p), p.Gates)
			}
			for _, render := range []func(p plan.Plan, w *strings.Builder) error{
				func(p plan.Plan, w *strings.Builder) error { return p.Text(w, plan.TextOptions{}) },
				func(p plan.Plan, w *strings.Builder) error { return p.Markdown(w) },
			} {
				var text strings.Builder
				if err := render(p, &text); err != nil || !strings.Contains(text.String(), "Not serving, on purpose") || !strings.Contains(text.String(), "shop-web") {
					t.Errorf("%v\n%s", err, text.String())
				}
			}
		})
	}
}

func TestAReleaseInMaintenanceKeepsTheRouteStopped(t *testing.T) {
	w := inMaintenance(t, maintenance("web-1", "web", time.Time{})).to("v2").settle(t)
	route, _ := w.host("web-1").Proxy.Route("shop-web")
	other, _ := w.host("web-2").Proxy.Route("shop-web")
	if !route.Stopped || other.Stopped {
		t.Errorf("stopped on web-1: %t, on web-2: %t", route.Stopped, other.Stopped)
	}
}

func TestARouteThatWasLostInMaintenanceComesBackInIt(t *testing.T) {
	w := inMaintenance(t, maintenance("web-1", "web", time.Time{}))
	w.host("web-1").Proxy.Routes = nil
	if p := w.plan(); len(p.Gates) > 0 || len(p.Items) != 1 || p.Items[0].Action != plan.Create {
		t.Errorf("%+v", p.Gates)
	}
	route, _ := w.settle(t).host("web-1").Proxy.Route("shop-web")
	if !route.Stopped || route.StopMessage != "back soon" {
		t.Errorf("it serves: %+v", route)
	}
}

func TestAMaintenanceThatHasEndedIsHealed(t *testing.T) {
	w := inMaintenance(t, maintenance("web-1", "web", epoch.Add(-time.Minute)))
	p := w.plan()
	if p.Kind != plan.KindHeal || len(p.Drifted()) != 1 || len(p.Gates) > 0 {
		t.Fatalf("%s\n%+v", show(p), p.Gates)
	}
	route, _ := w.settle(t).host("web-1").Proxy.Route("shop-web")
	if route.Stopped {
		t.Error("it is still stopped")
	}
	lifted := maintenance("web-1", "web", epoch.Add(-time.Minute))
	lifted.Serial, lifted.Lifted = 2, true
	if p := inMaintenance(t, maintenance("web-1", "web", epoch.Add(-time.Minute)), lifted).plan(); !p.Empty() || len(p.Gates) != 1 || p.Gates[0].Intent != nil {
		t.Errorf("a hand has stopped it since, and that is undone: %s\n%+v", show(p), p.Gates)
	}
}

func TestAProxyThatWasStoppedOnPurposeIsNotStarted(t *testing.T) {
	stopped := func(w *world) *world {
		w.host("web-1").Proxy.Running = false
		w.host("web-1").Proxy.Stopped = &state.Intent{Kind: state.IntentProxyStop, Host: "web-1", Who: "ann", Since: epoch, Reason: "new certificate"}
		return w
	}
	p := stopped(released(t, shop())).plan()
	if !p.Empty() || len(p.Items) > 0 || len(p.Gates) != 1 || !strings.Contains(p.Gates[0].String(), "ann since") {
		t.Errorf("%s\n%+v", show(p), p.Gates)
	}
	p = stopped(released(t, shop()).to("v2")).plan()
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Summary, "ann since") || p.Problems[0].Next != "run `kamald proxy start --hosts web-1`" {
		t.Errorf("%+v", p.Problems)
	}
	w := released(t, shop())
	w.host("web-1").Proxy.Running = false
	if p := w.plan(); p.Kind != plan.KindHeal {
		t.Errorf("one that nobody stopped on purpose: %s", show(p))
	}
}

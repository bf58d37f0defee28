package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestContainersGetWhatTheirHostSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 811)
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.FromHost = map[string]release.HostText{"NODE": "at ${NODE}"}
		}
		w.SetVariable("h1", "NODE", "h1!")
		w.SetVariable("h2", "NODE", "h2!")
		if _, err := w.applyWith(desired, reconcile.Options{}); err == nil || !strings.Contains(err.Error(), "has no NODE") {
			t.Errorf("h3 does not set it: %v", err)
		}
		w.SetVariable("h3", "NODE", "h3!")
		w.mustApply(desired)
		for _, host := range []string{"h1", "h2", "h3"} {
			for _, c := range w.Containers(host, state.View{Clear: map[string]bool{"NODE": true}}) {
				if c.Role != "" && c.Live.Env["NODE"] != "at "+host+"!" {
					t.Errorf("%s on %s has %q", c.Name, host, c.Live.Env["NODE"])
				}
			}
		}
		if p := w.mustPlan(desired); !p.Empty() {
			t.Errorf("the plan after it: %+v", p.Items)
		}
		w.SetVariable("h3", "NODE", "moved")
		if p := w.mustPlan(desired); p.Kind != plan.KindConfig {
			t.Errorf("the host says otherwise now, and the plan is %s", p.Kind)
		}
	})
}

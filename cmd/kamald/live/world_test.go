package live

import (
	"fmt"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// after is a moment of the run.
func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// released is a release of a web role, in groups of hosts, and of a worker.
func released(groups [][]string, worker string) plan.Plan {
	p := plan.Plan{Kind: plan.KindRelease, App: state.App{Service: "shop"}, Version: "v2"}
	add := func(kind plan.StepKind, phase plan.Phase, group int, host, role string, needs ...string) string {
		id := fmt.Sprintf("%s/%s/%s", kind, host, role)
		p.Steps = append(p.Steps, plan.Step{ID: id, Kind: kind, Phase: phase, Group: group, Host: host, Role: role, Needs: needs})
		return id
	}
	var prepared, proofs, switched []string
	for _, hosts := range append(groups, []string{worker}) {
		for _, host := range hosts {
			prepared = append(prepared, add(plan.StepImage, plan.PhasePrepare, 0, host, ""))
		}
	}
	gate := add(plan.StepGate, plan.PhasePrepare, 0, "", "", prepared...)
	for i, hosts := range groups {
		for _, host := range hosts {
			made := add(plan.StepCreate, plan.PhaseCreate, i+1, host, "web", append([]string{gate}, switched...)...)
			started := add(plan.StepStart, plan.PhasePrimary, i+1, host, "web", made)
			proofs = append(proofs, add(plan.StepProve, plan.PhasePrimary, i+1, host, "web", started))
		}
		if i == 0 {
			barrier := add(plan.StepBarrier, plan.PhasePrimary, 1, "", "web", proofs...)
			started := add(plan.StepStart, plan.PhaseOthers, 1, worker, "workers", barrier)
			proofs = append(proofs, add(plan.StepProve, plan.PhaseOthers, 1, worker, "workers", started))
		}
		proven := add(plan.StepGate, plan.PhaseSwitch, i+1, "", fmt.Sprint(i), proofs...)
		for _, host := range hosts {
			switched = append(switched, add(plan.StepSwitch, plan.PhaseSwitch, i+1, host, "web", proven))
		}
	}
	for _, host := range append(flat(groups), worker) {
		add(plan.StepTag, plan.PhaseFinish, 0, host, "", switched...)
	}
	return p
}

func flat(groups [][]string) (all []string) {
	for _, hosts := range groups {
		all = append(all, hosts...)
	}
	return all
}

// play is a run that is told step by step.
type play struct {
	*Tree
	steps map[string]plan.Step
}

func newPlay(p plan.Plan) *play {
	t := &play{Tree: &Tree{Name: "apply shop", Began: noon}, steps: map[string]plan.Step{}}
	t.Plan(p)
	for _, s := range p.Steps {
		t.steps[s.ID] = s
	}
	return t
}

func (t *play) tell(kind, id string, at float64, message string) {
	s := t.steps[id]
	t.Take(reconcile.Progress{At: after(at), Kind: kind, Host: s.Host, Role: s.Role, Step: id, Phase: s.Phase.String(), Message: message})
}

// does tells of a step that took from one second to another.
func (t *play) does(id string, from, to float64, message string) {
	t.tell("begin", id, from, message)
	t.tell("done", id, to, message)
}

// call has a remote call be under way.
func (t *play) call(step, host, method string, since float64) {
	t.Calls = append(t.Calls, reconcile.Flight{Call: reconcile.Call{Host: host, Method: method}, Step: step, Since: after(since)})
}

// prepared has everything before the web role's proof be done.
func (t *play) prepared(hosts ...string) {
	for i, host := range hosts {
		t.does("image/"+host+"/", 0.2, 3+float64(i)/2, "get image registry.example.com/acme/shop:v2")
		if s := "create/" + host + "/web"; t.steps[s].ID != "" {
			t.does(s, 4, 4.2, "create shop-web-v2")
			t.does("start/"+host+"/web", 4.2, 4.5, "start shop-web-v2")
		}
	}
	for id, s := range t.steps {
		if s.Kind == plan.StepGate && s.Phase == plan.PhasePrepare {
			t.byID[id].status = done
		}
	}
}

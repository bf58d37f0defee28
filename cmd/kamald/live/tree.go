// Package live shows on a terminal what is under way on servers: a tree of phases, hosts and roles that is drawn over while it lasts,
// and ends as a summary. What it looks like is a pure function of what is known, the size of the terminal, and the time.
package live

import (
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
)

// status is how far a step is.
type status int

const (
	waiting status = iota
	running
	done
	failed
	skipped // it was begun, and nobody waits for it any more
)

// step is one thing that is done.
type step struct {
	id, host, role string
	phase          plan.Phase // 0: of no plan
	group          int
	needs          []string
	silent         bool // it does nothing by itself: others wait for it

	status  status
	message string
	began   time.Time
	took    time.Duration
}

// Tree is what is known of a run. The zero value knows nothing. It is not safe for concurrent use.
type Tree struct {
	Name    string // of the command, for as long as no plan says more
	Calls   []reconcile.Flight
	Began   time.Time
	Stopped bool // somebody asked it to stop

	title   string
	planned bool
	groups  int
	steps   []*step
	byID    map[string]*step
	undone  int
}

// Plan takes what is going to be carried out.
func (t *Tree) Plan(p plan.Plan) {
	t.title, t.planned, t.groups = titleOf(p), true, 0
	t.steps, t.byID = nil, map[string]*step{}
	for _, s := range p.Steps {
		silent := s.Kind == plan.StepGate || s.Kind == plan.StepBarrier
		t.add(&step{id: s.ID, host: s.Host, role: s.Role, phase: s.Phase, group: s.Group, needs: s.Needs, silent: silent})
		t.groups = max(t.groups, s.Group)
	}
}

func titleOf(p plan.Plan) string {
	what := p.App.String() + " " + p.Version
	switch p.Kind {
	case plan.KindRollback:
		return "Rolling back to " + what
	case plan.KindHeal:
		return "Healing " + what
	case plan.KindConfig:
		return "Reconfiguring " + what
	case plan.KindPrune:
		return "Pruning " + p.App.String()
	}
	return "Releasing " + what
}

func (t *Tree) add(s *step) *step {
	if t.byID == nil {
		t.byID = map[string]*step{}
	}
	t.steps = append(t.steps, s)
	t.byID[s.id] = s
	return s
}

// Take takes an event.
func (t *Tree) Take(event reconcile.Progress) {
	if event.Step == "" {
		return
	}
	s := t.byID[event.Step]
	if s == nil {
		if event.Kind != "begin" {
			return
		}
		s = t.add(&step{id: event.Step, host: event.Host, role: event.Role, phase: phaseOf(event.Phase)})
	}
	switch event.Kind {
	case "begin":
		s.status, s.began, s.message = running, event.At, line(event)
	case "bytes", "waiting":
		s.message = line(event)
	case "done", "failed", "skipped":
		s.status, s.took = map[string]status{"done": done, "failed": failed, "skipped": skipped}[event.Kind], event.Took
		if s.status == skipped && s.phase == plan.PhaseFinish {
			s.status = done // it was found not to be needed
		}
		s.message = line(event)
		if s.took == 0 && !s.began.IsZero() {
			s.took = event.At.Sub(s.began)
		}
	case "undone":
		t.undone++
	}
}

// Empty tells whether there is nothing to show yet.
func (t *Tree) Empty() bool { return len(t.steps) == 0 && len(t.Calls) == 0 }

// line is an event's message on one line that a terminal can show, without the host that it begins with.
func line(event reconcile.Progress) string {
	text, _, _ := strings.Cut(strings.TrimPrefix(event.Message, event.Host+": "), "\n")
	return plan.Printable(text)
}

func phaseOf(name string) plan.Phase {
	var phase plan.Phase
	_ = phase.UnmarshalText([]byte(name)) // one that is not known is none
	return phase
}

// counted are the steps that do something.
func counted(steps []*step) []*step {
	return slices.DeleteFunc(slices.Clone(steps), func(s *step) bool { return s.silent })
}

// behind names what a step waits for: what is under way or has failed of what it needs, however far back.
func (t *Tree) behind(s *step) *step {
	seen := map[string]bool{}
	var find func(*step) *step
	find = func(s *step) *step {
		var best *step
		for _, id := range s.needs {
			need := t.byID[id]
			if need == nil || seen[id] || need.status == done {
				continue
			}
			seen[id] = true
			if need.status == waiting {
				need = find(need)
			}
			if need != nil && (best == nil || need.status == running && best.status != running) {
				best = need
			}
		}
		return best
	}
	return find(s)
}

// call is the remote call that a step has been in for longest.
func (t *Tree) call(s *step) *reconcile.Flight {
	for i, call := range t.Calls {
		if call.Step == s.id && call.Host == s.host {
			return &t.Calls[i]
		}
	}
	return nil
}

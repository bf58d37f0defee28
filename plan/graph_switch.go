package plan

import (
	"slices"
	"time"

	"github.com/kamald/kamald/state"
)

// switchAll switches each host's routes, and then stops the host's old containers, of any role.
func (b *builder) switchAll(n int, slots []*slot, proven []string) []string {
	heals := b.in.Held != nil && b.kind == KindHeal
	switched, all := b.switches(n, slots, proven, heals)
	all = append(all, b.endings(n, slots, proven)...)
	all = append(all, b.stops(n, slots, proven, switched, heals)...)
	if len(all) == 0 {
		return proven
	}
	if heals { // what was switched waited for its own proof only; the next group waits for all of this one
		all = append(all, proven...)
	}
	return all
}

// switches moves the traffic of each proxied role; the steps by their hosts, and all of them.
func (b *builder) switches(n int, slots []*slot, proven []string, heals bool) (switched map[string][]string, all []string) {
	switched = map[string][]string{}
	for _, s := range slots {
		id := ""
		switch {
		case s.route != nil:
			id = b.switchStep(n, s, proven, heals)
		case s.endsRollout:
			id = b.endRollout(n, s, proven)
		default:
			continue
		}
		switched[s.host.Name] = append(switched[s.host.Name], id)
		all = append(all, id)
	}
	return switched, all
}

func (b *builder) switchStep(n int, s *slot, proven []string, heals bool) string {
	at, needs, reason := s.host.Name+"/"+s.role.Name, proven, "every container of the group is healthy"
	if heals && s.prove { // the version was released: what is healthy again need not wait for what is not
		needs, reason = []string{"prove/" + at}, "its container is healthy"
	}
	return b.add(s.switching(Step{Phase: PhaseSwitch, Group: n, Needs: needs, EndsRollout: s.tried || s.endsRollout, Reason: reason}))
}

// switching is the step that has the slot's route go to its container.
func (s *slot) switching(step Step) Step {
	route := *s.route
	step.ID, step.Kind, step.Host, step.Role = "switch/"+s.host.Name+"/"+s.role.Name, StepSwitch, s.host.Name, s.role.Name
	step.Name, step.Route, step.OldRoute, step.Container = route.Name, &route, s.oldRoute, s.name
	if s.wanted != nil {
		step.Container = s.wanted.ID
	}
	return step
}

// endings end what a person had asked for and is over: a maintenance, a stop on purpose.
func (b *builder) endings(n int, slots []*slot, proven []string) (all []string) {
	for _, s := range slots {
		if s.resume != nil {
			needs := slices.Clone(proven)
			if s.route != nil {
				needs = []string{"switch/" + s.host.Name + "/" + s.role.Name}
			}
			all = append(all, b.resumeStep(n, s, needs))
		}
	}
	for _, s := range slots {
		if s.lift != nil {
			all = append(all, b.liftStep(n, s, proven))
		}
	}
	return all
}

// stops stops the old containers, each when its host has switched.
func (b *builder) stops(n int, slots []*slot, proven []string, switched map[string][]string, heals bool) (all []string) {
	for _, s := range slots {
		for _, old := range s.stop {
			if s.role.Singleton && s.boots() {
				continue
			}
			needs := switched[s.host.Name]
			if len(needs) == 0 || heals {
				needs = append(slices.Clone(needs), proven...)
			}
			all = append(all, b.add(b.stopStep(n, PhaseSwitch, s, old, needs)))
		}
	}
	return all
}

func (b *builder) stopStep(n int, phase Phase, s *slot, old state.Container, needs []string) Step {
	return Step{ID: "stop/" + s.host.Name + "/" + s.role.Name + "/" + old.ShortID(), Kind: StepStop, Phase: phase, Group: n, Host: s.host.Name, Role: s.role.Name,
		Needs: slices.Clone(needs), Container: old.ID, Name: old.Name, Grace: graceOf(old, s.role.Stop.Grace), Reason: "another container of the role serves"}
}

// Grace is how long a container may take to end: what is stored on it, else the given time.
func Grace(c state.Container, otherwise time.Duration) time.Duration { return graceOf(c, otherwise) }

// graceOf is the grace stored on the container, else the given one.
func graceOf[D ~int64](c state.Container, otherwise D) D {
	if c.Asked != nil && c.Asked.StopGrace > 0 {
		return D(c.Asked.StopGrace)
	}
	if c.Live.StopGrace > 0 {
		return D(c.Live.StopGrace)
	}
	return otherwise
}

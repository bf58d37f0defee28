package plan

import (
	"fmt"

	"github.com/kamald/kamald/state"
)

// running is a container on a host.
type running struct {
	host string
	c    state.Container
}

// elsewhere gives what runs of a singleton's role on other hosts that were observed, in their order: it has to end before the
// slot's container starts.
func (b *builder) elsewhere(s *slot) []running {
	if !s.role.Singleton || !s.boots() {
		return nil
	}
	var found []running
	for _, name := range b.observed {
		if name == s.host.Name {
			continue
		}
		for _, c := range ofRole(b.app, b.hosts[name], s.role.Name) {
			if c.Running() || c.Status == state.StatusRestarting {
				found = append(found, running{name, c})
			}
		}
	}
	return found
}

// stopElsewhere ends a singleton's container on another host, and gives the step.
func (b *builder) stopElsewhere(phase Phase, s *slot, other running, needs []string) string {
	step := b.stopStep(0, phase, s, other.c, needs)
	step.ID, step.Host = stopID(other.host, other.c), other.host
	step.Reason = "the role is a singleton and comes up on " + s.host.Name
	b.ended[step.ID] = true
	return b.add(step)
}

func stopID(host string, c state.Container) string {
	return "stop/" + host + "/" + c.Role + "/" + c.ShortID()
}

// checkSingleton refuses to start a singleton beside one that the plan may not stop.
func (b *builder) checkSingleton(s *slot) {
	if b.in.Options.Filter.Whole() {
		return
	}
	for _, other := range b.elsewhere(s) {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("it is a singleton, and its container %s on %s is out of scope", other.c.Name, other.host),
			"apply without --hosts: the old one is stopped first then")
	}
}

func (b *builder) isSingleton(name string) bool {
	role, ok := b.in.Desired.Role(name)
	return ok && role.Singleton
}

// stopsAlready tells whether a step that stops the container is planned.
func (b *builder) stopsAlready(host string, c state.Container) bool {
	return b.ended[stopID(host, c)]
}

package plan

import (
	"slices"

	"github.com/kamald/kamald/state"
)

// OldRecords gives, of the numbers of release records that lie on a host, those that nothing needs any more: no rollback within
// what is kept, no container there, and nobody who asks how the newest releases ended. What is not known stays. The history keeps
// them all elsewhere.
func OldRecords(there []int, known []state.Record, host state.Host, app state.App, keep int) []int {
	newestFirst := slices.SortedFunc(slices.Values(known), func(x, y state.Record) int { return y.Number - x.Number })
	stays := map[int]bool{}
	if host.Record != nil {
		stays[host.Record.Number] = true
	}
	for _, c := range ofApp(app, host) {
		stays[c.Release] = true
	}
	ended, succeeded, last := map[int]bool{}, 0, map[state.Outcome]bool{}
	versions := map[string]bool{}
	for _, r := range newestFirst {
		ended[r.Number] = r.Outcome != state.OutcomeRunning
		if r.Outcome != state.OutcomeSucceeded {
			// Those after the newest that succeeded say what the servers may run a part of.
			stays[r.Number] = stays[r.Number] || succeeded == 0 || !last[r.Outcome]
			last[r.Outcome] = true
			continue
		}
		another := !versions[r.Version] && len(versions) <= keep
		stays[r.Number] = stays[r.Number] || succeeded <= keep || another
		succeeded++
		if another {
			versions[r.Version] = true
		}
	}
	var old []int
	for _, n := range there {
		if ended[n] && !stays[n] {
			old = append(old, n)
		}
	}
	return old
}

// Without is a host without the containers that some steps remove there.
func Without(host state.Host, steps []Step) state.Host {
	host.Containers = slices.DeleteFunc(slices.Clone(host.Containers), func(c state.Container) bool {
		return slices.ContainsFunc(steps, func(s Step) bool { return s.Kind == StepRemove && s.Host == host.Name && s.Container == c.ID })
	})
	return host
}

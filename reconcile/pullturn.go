package reconcile

import (
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

// pullsAtOnce is how many hosts pull at one time: enough to fill a registry's line, and not so many that it refuses some. It is no
// setting, like the number of connections begun at once, since nothing but time depends on it.
const pullsAtOnce = 8

// pullTurns gives, for each pull of a plan, those that it begins after, however they end. Where engines look at a mirror first, one
// host of each mirror fills it and the others come after that one: else all of them would fetch the same from far away. They go in
// lanes: those that fill a mirror, those without one, and the others, each in the plan's order, so that one run is like another.
func pullTurns(planned Planned) map[string][]string {
	turns := map[string][]string{}
	if planned.Plan.Pin.Digest == "" {
		return turns // what is carried has a limit of its own
	}
	var seeds, alone, others []string
	first := map[string]string{} // mirror → the step that fills it
	for _, s := range planned.Plan.Steps {
		if s.Kind != plan.StepImage {
			continue
		}
		mirror := mirrorOf(planned, s.Host)
		seed, seeded := first[mirror]
		switch {
		case mirror == "":
			alone = append(alone, s.ID)
		case seeded:
			others = append(others, s.ID)
			turns[s.ID] = []string{seed}
		default:
			first[mirror] = s.ID
			seeds = append(seeds, s.ID)
		}
	}
	queue := slices.Concat(seeds, alone, others)
	for i := pullsAtOnce; i < len(queue); i++ {
		turns[queue[i]] = append(turns[queue[i]], queue[i-pullsAtOnce])
	}
	return turns
}

// mirrorOf is where a host's engine gets the image from before it asks the registry; "" for none. Engines ask their mirrors for
// images of Docker Hub, and for no others.
func mirrorOf(planned Planned, host string) string {
	seen, _ := planned.Snapshot.Host(host)
	if registry := planned.Desired.Registry; len(seen.Engine.Mirrors) == 0 || registry == nil || !release.OnHub(registry.Server) {
		return ""
	}
	return seen.Engine.Mirrors[0]
}

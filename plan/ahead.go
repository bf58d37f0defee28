package plan

import (
	"fmt"

	"github.com/kamald/kamald/state"
)

// lookAhead finds the partial release that the slot's container is of, when nothing newer is held. Such a container is newer than
// latest on purpose: it is no drift. Where it is to stay, the slot wants what that release asked for.
func (s *slot) lookAhead(in Input) {
	s.ahead = aheadOf(in.Held, s.host, s.current)
	if s.ahead == nil || s.current.Asked == nil || !in.Options.KeepPartial || s.current.Name == s.name && s.suits(*s.current) {
		return
	}
	s.kept, s.spec, s.name = true, *s.current.Asked, s.current.Name
	s.items = append(s.items, Item{Action: Update, Cause: Change, Resource: ResourceContainer, Host: s.host.Name, Role: s.role.Name, Name: s.current.Name, Risk: Safe,
		Reason:   fmt.Sprintf("partial release %d of %s by %s has put it there", s.ahead.Number, s.ahead.Version, s.ahead.Who),
		Deferred: "`kamald apply` without --hosts and --roles makes it whole"})
}

// aheadOf gives the partial release on the host that made a container, when it is newer than what is held.
func aheadOf(held *state.Record, host state.Host, c *state.Container) *state.Partial {
	if c == nil || c.Release == 0 || held != nil && c.Release <= held.Number {
		return nil
	}
	for i, partial := range host.Partials {
		if partial.Number == c.Release {
			return &host.Partials[i]
		}
	}
	return nil
}

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// decideStop finds that the role was stopped here on purpose, or that nobody asked for more than to start what was: then it is left as
// it is. A role that is to start again has that lifted in the end.
func (s *slot) decideStop(in Input) {
	starts := in.Options.Start && in.Options.Filter.Has(s.host.Name, s.role.Name)
	intent, said := s.host.Stop(s.role.Name)
	if said && !intent.Lifted && (starts || intent.Holds(in.Now)) {
		if starts {
			s.lift = &intent
		} else {
			s.stopped = &intent
		}
	}
	s.left = s.stopped != nil || in.Options.Only && s.lift == nil && slices.ContainsFunc(s.own, state.Container.Running)
}

// restart has a container that runs as it should make way for another of the same spec. One that is stopped is started as ever, and what
// a partial release has put there is that release's.
func (s *slot) restart(in Input) {
	if !in.Options.Restart || s.boots() || s.wanted == nil || s.kept || !in.Options.Filter.Has(s.host.Name, s.role.Name) {
		return
	}
	s.update, s.connect, s.items = nil, false, nil
	s.replace(*s.wanted, Change, DriftSuperseded, "it is restarted", nil)
}

// decideLift says that a role is not stopped any more, where nothing else has to happen for that.
func (s *slot) decideLift() {
	if s.lift != nil && len(s.items) == 0 {
		s.item(Update, Change, DriftExited, Safe, "it runs; that it was stopped on purpose is taken back", nil)
	}
}

// liftStep takes back that a role was stopped on purpose, when it serves again: until then healing leaves it.
func (b *builder) liftStep(n int, s *slot, proven []string) string {
	at := s.host.Name + "/" + s.role.Name
	needs := slices.Clone(proven)
	switch {
	case s.route != nil:
		needs = []string{"switch/" + at}
	case s.prove:
		needs = []string{"prove/" + at}
	}
	return b.add(Step{ID: "lift/" + at, Kind: StepLift, Phase: PhaseSwitch, Group: n, Host: s.host.Name, Role: s.role.Name, Needs: needs,
		Name: s.role.Name, Reason: "it was stopped on purpose, and starts again"})
}

// awake tells whether something of the release is to run on a host: where all of it was stopped on purpose the host is as it was left,
// with the tag and the record of what ran there.
func (b *builder) awake(host string) bool {
	return slices.ContainsFunc(b.on[host], func(s *slot) bool { return s.stopped == nil })
}

// primaryStopped tells whether the primary role was stopped on purpose somewhere in scope.
func (b *builder) primaryStopped() bool {
	return slices.ContainsFunc(b.slots, func(s *slot) bool { return s.role.Primary && s.stopped != nil })
}

// checkStopped refuses a release that is of nothing but what was stopped on purpose, or whose other roles nobody could let in.
func (b *builder) checkStopped(heals bool) {
	boots := slices.ContainsFunc(b.slots, (*slot).boots)
	asleep := func(s *slot) bool { return s.stopped != nil }
	released := b.kind == KindRelease || b.kind == KindConfig
	switch {
	case heals || b.in.Options.Heal:
	case released && len(b.slots) > 0 && !slices.ContainsFunc(b.slots, func(s *slot) bool { return !asleep(s) }):
		b.problem("", "", "everything in scope was stopped on purpose: "+b.whoStopped(), "`kamald app start` starts it with what it ran; release after that")
	case boots && b.primaryStopped() && !b.primaryServes() && len(b.openers()) == 0:
		b.problem("", b.in.Desired.PrimaryRole, "it was stopped on purpose on every host in scope, so nothing would open the barrier for the other roles: "+b.whoStopped(),
			"`kamald app start` starts it with what it ran; release after that")
	}
}

// whoStopped names the first that was.
func (b *builder) whoStopped() string {
	i := slices.IndexFunc(b.slots, func(s *slot) bool { return s.stopped != nil })
	if i < 0 {
		return ""
	}
	s := b.slots[i]
	return fmt.Sprintf("%s on %s by %s", s.role.Name, s.host.Name, s.stopped.By())
}

// stop tells whether the gate is a role that was stopped on purpose.
func (g Gate) stop() bool { return g.Intent != nil && g.Intent.Kind == state.IntentStop }

func (g Gate) stopText() string {
	by := Printable(g.Intent.By())
	if g.State == state.RouteRunning {
		return fmt.Sprintf("%s: %s runs, and was stopped on purpose by %s: it failed half-way, or somebody has started it; `kamald app start` takes that back, `kamald app stop` stops it again",
			g.Host, Printable(g.Role), by)
	}
	return fmt.Sprintf("%s: %s was stopped on purpose by %s; `kamald app start` starts it", g.Host, Printable(g.Role), by)
}

// stopOf finds a role that was stopped on purpose.
func stopOf(app state.App, host state.Host, role string, now time.Time) (Gate, bool) {
	intent, said := host.Stop(role)
	if !said || !intent.Holds(now) {
		return Gate{}, false
	}
	g := Gate{Host: host.Name, Role: role, State: state.RouteStopped, Intent: &intent}
	if _, runs := currentOf(app, host, role); runs {
		g.State = state.RouteRunning
	}
	return g, true
}

// Stale are the containers of the app's roles that run on a host, and are not what their role serves with: left by an interrupted run, or
// started by a hand. None that the proxy sends requests to is among them.
func Stale(app state.App, host state.Host, roles []string) []state.Container {
	var stale []state.Container
	for _, role := range roles {
		current, _ := currentOf(app, host, role)
		route, _ := host.Proxy.Route(app.RouteName(role))
		for _, c := range ofRole(app, host, role) {
			routed := slices.ContainsFunc(append(slices.Clone(route.Targets), rolloutTargets(route)...), func(target string) bool { return strings.HasPrefix(target, c.ShortID()) })
			if (c.Running() || c.Status == state.StatusRestarting) && c.ID != current.ID && !routed {
				stale = append(stale, c)
			}
		}
	}
	return stale
}

func rolloutTargets(route state.Route) []string {
	if route.Rollout == nil {
		return nil
	}
	return route.Rollout.Targets
}

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Gate is something that does not serve on purpose: a role that was stopped, a route that is in maintenance or paused, or a proxy that
// was stopped.
type Gate struct {
	Host  string `json:"host"`
	Role  string `json:"role,omitempty"`  // "" for the proxy itself
	Route string `json:"route,omitempty"` // "" for the proxy itself, and for an accessory or a role that was stopped
	State string `json:"state"`           // stopped, paused; running: it serves, and maintenance was asked for
	// Intent is who asked for it; nil: somebody did it without kamald.
	Intent *state.Intent `json:"intent,omitempty"`
	Passed bool          `json:"passed,omitempty"` // the time of the intent has
}

// String says it to a person, and what ends it.
func (g Gate) String() string {
	what := "route " + Printable(g.Route)
	name, accessory := state.AccessoryOf(g.Role)
	switch {
	case g.Route == "" && accessory:
		return fmt.Sprintf("%s: accessory %s was stopped on purpose by %s; `kamald accessory start %s` ends it", g.Host, name, Printable(g.Intent.By()), name)
	case accessory:
		return fmt.Sprintf("%s: %s of accessory %s is %s, and nobody told kamald why; `kamald accessory restart %s` has it serve again", g.Host, what, name, g.State, name)
	case g.stop():
		return g.stopText()
	case g.Route == "":
		return fmt.Sprintf("%s: the proxy was stopped on purpose by %s; `kamald proxy start` ends it", g.Host, Printable(g.Intent.By()))
	case g.Intent != nil && g.State == state.RouteRunning:
		return fmt.Sprintf("%s: %s serves, and maintenance was asked for by %s: it failed, or somebody has resumed it; `kamald app live` forgets the maintenance, `kamald app maintenance` stops it again",
			g.Host, what, Printable(g.Intent.By()))
	case g.Intent != nil && g.Passed:
		return fmt.Sprintf("%s: the maintenance of %s has ended (%s); it answers 503 until it is resumed", g.Host, what, Printable(g.Intent.By()))
	case g.Intent != nil:
		return fmt.Sprintf("%s: %s is in maintenance by %s; `kamald app live` ends it", g.Host, what, Printable(g.Intent.By()))
	case g.State == state.RoutePaused:
		return fmt.Sprintf("%s: %s is paused: it holds requests; `kamald proxy resume` ends it", g.Host, what)
	}
	return fmt.Sprintf("%s: %s is stopped (503), and nobody told kamald why: `kamal app maintenance`, or by hand; `kamald app live` ends it", g.Host, what)
}

// Gates finds what does not serve on purpose of a release's roles and accessories, in the order of its hosts and roles.
func Gates(desired release.Release, observed state.Snapshot, now time.Time) []Gate {
	var gates []Gate
	hosts := make(map[string]state.Host, len(observed.Hosts))
	for _, host := range observed.Hosts {
		hosts[host.Name] = host
	}
	for _, on := range desired.Hosts {
		var mine []Gate
		host := hosts[on.Name]
		for _, role := range desired.Roles {
			if host.Unreachable != "" || !slices.Contains(role.Hosts, host.Name) {
				continue
			}
			if g, stopped := stopOf(desired.App(), host, role.Name, now); stopped {
				mine = append(mine, g)
				continue
			}
			if g, shut := gateOf(desired.RouteName(role.Name), host, role.Name, now); shut && role.Proxy != nil {
				mine = append(mine, g)
			}
		}
		if stopped := host.Proxy.Stopped; stopped != nil && host.Unreachable == "" {
			mine = append([]Gate{{Host: host.Name, State: state.RouteStopped, Intent: stopped}}, mine...)
		}
		gates = append(gates, append(mine, stoppedBesides(desired, host, now)...)...)
	}
	return gates
}

// stoppedBesides are the accessories of a host that stand still on purpose.
func stoppedBesides(desired release.Release, host state.Host, now time.Time) []Gate {
	var gates []Gate
	for _, a := range desired.AccessoriesOn(host.Name) {
		role := state.AccessoryRole(a.Name)
		intent, asked := host.StopAsked(role)
		c, _ := AccessoryOn(a, host)
		if asked && intent.Holds(now) && !c.Running() {
			gates = append(gates, Gate{Host: host.Name, Role: role, State: state.RouteStopped, Intent: &intent})
			continue
		}
		if g, shut := gateOf(a.Service, host, role, now); shut && a.Proxy != nil {
			gates = append(gates, g)
		}
	}
	return gates
}

// gates are those in the plan's scope; a maintenance whose time has passed is an item, and no gate any more.
func (b *builder) gates() []Gate {
	var gates []Gate
	for _, g := range Gates(b.in.Desired, b.in.Observed, b.in.Now) {
		_, observed := b.hosts[g.Host]
		if observed && !g.Passed && !(b.in.Options.Start && g.stop()) && (g.Role == "" || b.known.scope.has(g.Host, g.Role)) {
			gates = append(gates, g)
		}
	}
	return gates
}

func gateOf(routed string, host state.Host, role string, now time.Time) (Gate, bool) {
	route, there := host.Proxy.Route(routed)
	g := Gate{Host: host.Name, Role: role, Route: routed, State: state.RouteRunning}
	intent, asked := host.Maintenance(role)
	if asked = asked && !intent.Lifted; asked && (route.Stopped || intent.Holds(now)) {
		g.Intent, g.Passed = &intent, intent.Passed(now)
	}
	switch {
	case route.Stopped:
		g.State = state.RouteStopped
	case route.Paused:
		g.State, g.Intent, g.Passed = state.RoutePaused, nil, false
	case !there || g.Intent == nil:
		return g, false
	}
	return g, true
}

// decideGate finds the role's maintenance, and lets a route serve again whose maintenance has ended.
func (s *slot) decideGate(app state.App, now time.Time) {
	intent, asked := s.host.Maintenance(s.role.Name)
	route, _ := s.host.Proxy.Route(app.RouteName(s.role.Name))
	switch {
	case !asked || intent.Lifted || s.role.Proxy == nil:
	case intent.Holds(now):
		s.maintenance = &intent
	case route.Stopped:
		s.resume = &intent
		s.routeItem(Update, Drift, "its maintenance ended at "+intent.Until.UTC().Format(time.RFC3339),
			[]Field{{Path: "state", Before: state.RouteStopped, After: state.RouteRunning}})
	}
}

// keepShut: a route that was lost in maintenance comes back in it, which the proxy does not know.
func (s *slot) keepShut(want *state.Route, there bool) {
	if !there && s.maintenance != nil {
		want.Stopped, want.StopMessage = true, s.maintenance.Message
	}
}

// resumeStep lets a route serve again, when it goes where it should.
func (b *builder) resumeStep(n int, s *slot, needs []string) string {
	at := s.host.Name + "/" + s.role.Name
	return b.add(Step{ID: "resume/" + at, Kind: StepResume, Phase: PhaseSwitch, Group: n, Host: s.host.Name, Role: s.role.Name, Needs: needs,
		Name: s.routed, Reason: "its maintenance has ended"})
}

// proxyStopped plans nothing for a proxy that somebody has stopped on purpose, and no release that needs it.
func (b *builder) proxyStopped(host state.Host, slots []*slot) {
	needs := func(s *slot) bool { return s.role.Proxy != nil && (s.boots() || s.route != nil || s.resume != nil) }
	if slices.ContainsFunc(slots, needs) {
		b.problem(host.Name, "", "its proxy was stopped on purpose by "+host.Proxy.Stopped.By(), fmt.Sprintf("run `kamald proxy start --hosts %s`", host.Name))
	}
}

func (t *texter) gates(gates []Gate) {
	for i, g := range gates {
		if i == 0 {
			t.line("")
			t.line("%s", t.in(yellow, "Not serving, on purpose"))
		}
		t.line("  %s", g)
	}
}

func markdownGates(b *strings.Builder, gates []Gate) {
	for i, g := range gates {
		if i == 0 {
			b.WriteString("\n#### Not serving, on purpose\n\n")
		}
		fmt.Fprintf(b, "- %s\n", EscapeMarkdown(g.String()))
	}
}

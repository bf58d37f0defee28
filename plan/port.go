package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// taking is a port of a host that a step takes.
type taking struct {
	step *Step
	port state.Port
}

// what says who takes it, for a person.
func (t taking) what() string {
	if t.step.Kind == StepProxy {
		return fmt.Sprintf("port %s, which the proxy publishes,", t.port)
	}
	return fmt.Sprintf("port %s, which it publishes,", t.port)
}

// TakesPorts gives the protocols of which the plan takes ports of a host: then it is worth asking there who holds which.
func (f *Preflight) TakesPorts(host state.Host) (protocols []string) {
	if f.AsksProxy(host) {
		return []string{"tcp", "udp"}
	}
	for _, t := range f.takings(host, Facts{}) {
		if !slices.Contains(protocols, t.port.Protocol) {
			protocols = append(protocols, t.port.Protocol)
		}
	}
	slices.Sort(protocols)
	return protocols
}

// AsksProxy tells whether the plan starts a proxy of which it is not known how it was made.
func (f *Preflight) AsksProxy(host state.Host) bool {
	return host.Proxy.Live == nil && slices.ContainsFunc(f.on[host.Name], func(s *Step) bool { return startsProxy(s, host) && s.Container != "" })
}

// MakesProxy tells whether the plan makes the host's proxy.
func (f *Preflight) MakesProxy(host state.Host) bool {
	return slices.ContainsFunc(f.on[host.Name], func(s *Step) bool { return startsProxy(s, host) && s.Container == "" })
}

// startsProxy tells whether a step starts a proxy that does not run.
func startsProxy(s *Step, host state.Host) bool {
	return s.Kind == StepProxy && s.NewName == "" && !host.Proxy.Running
}

// takings are the ports of a host that the steps take there, in the steps' order.
func (f *Preflight) takings(host state.Host, facts Facts) []taking {
	var all []taking
	specs := map[string]*state.Spec{}
	for _, s := range f.on[host.Name] {
		var spec state.Spec
		switch {
		case s.Kind == StepCreate:
			specs[s.Name] = s.Spec
		case startsProxy(s, host):
			spec = proxyTaking(s, f.desired, host, facts)
		case s.Kind == StepStart:
			spec = startTaking(s, host, specs)
		}
		for _, entry := range spec.Options["publish"] {
			if port, ok := publishedPort(entry); ok {
				all = append(all, taking{s, port})
			}
		}
	}
	return all
}

// proxyTaking is the proxy that a step starts: one that it makes, or one that stands still.
func proxyTaking(s *Step, desired release.Release, host state.Host, facts Facts) state.Spec {
	switch {
	case s.Container == "":
		return ProxySpec(desired, host)
	case facts.Proxy != nil:
		return *facts.Proxy
	case host.Proxy.Live != nil:
		return *host.Proxy.Live
	}
	return state.Spec{}
}

// startTaking is the container that a step starts: one that the plan makes, or one that is there.
func startTaking(s *Step, host state.Host, made map[string]*state.Spec) state.Spec {
	if spec := made[s.Name]; spec != nil {
		return *spec
	}
	i := slices.IndexFunc(host.Containers, func(c state.Container) bool { return c.ID == s.Container && !c.Running() })
	if i < 0 {
		return state.Spec{}
	}
	return host.Containers[i].Live
}

// publishedPort reads the host's side of [address:][host port:]container port[/protocol]; false where the engine chooses one.
func publishedPort(entry string) (state.Port, bool) {
	entry, protocol, _ := strings.Cut(entry, "/")
	i := strings.LastIndex(entry, ":")
	if i < 0 {
		return state.Port{}, false
	}
	address, number := "", entry[:i]
	if at := strings.LastIndex(number, ":"); at >= 0 {
		address, number = number[:at], number[at+1:]
	}
	n, err := strconv.Atoi(number)
	if err != nil || n == 0 {
		return state.Port{}, false
	}
	port := state.Port{Number: n, Protocol: cmp.Or(protocol, "tcp")}
	if address != "" {
		if port.Address, err = netip.ParseAddr(strings.Trim(address, "[]")); err != nil {
			return state.Port{}, false
		}
	}
	return port, true
}

// checkPorts finds the ports of a host that a step would take and another holds: a container that goes on, another step of the
// plan, or a process that is in no container.
func (f *Preflight) checkPorts(host state.Host, facts Facts) {
	takings := f.takings(host, facts)
	for i, t := range takings {
		object := func(next, format string, args ...any) {
			f.Object(Problem{Host: host.Name, Role: t.step.Role, Summary: t.what() + " " + fmt.Sprintf(format, args...), Check: CheckPorts, Next: next})
		}
		holder := slices.IndexFunc(facts.Held, func(held state.Port) bool { return held.Clashes(t.port) && !f.mayTake(t, held) })
		twin := slices.IndexFunc(takings[:i], func(other taking) bool { return other.step != t.step && other.port.Clashes(t.port) })
		switch {
		case twin >= 0:
			object("publish another port there", "is taken there by %s too", takings[twin].step.who())
		case holder >= 0:
			held := facts.Held[holder]
			if c, beside := besideHolding(host, held, f.desired.App()); beside {
				object("publish another port, or stop or remove that accessory", "is held there by %s, an accessory of this app", c.Name)
				continue
			}
			if c, ours := owned(host, held, f.desired.App()); ours {
				object("a port can be published by one container at a time: take publish out and have the proxy route to it, or make it a singleton, whose old container ends first",
					"is held there by %s, which goes on until the new one serves", c.Name)
				continue
			}
			object("stop that container, or "+t.elsewhere(), "is held there by the container %s (%s), which is not of this app", held.Name, state.ShortID(held.Container))
		case slices.ContainsFunc(facts.Held, t.port.Clashes): // and it ends before
		case slices.ContainsFunc(facts.Listening, t.port.Clashes):
			object(fmt.Sprintf("`ss -ltnp 'sport = :%d'` there, as root, names it: stop it, or %s; %s", t.port.Number, t.elsewhere(), CheckPorts.ignored()),
				"is held there by a process that is in no container")
		}
	}
}

// who names what a step starts.
func (s *Step) who() string {
	if s.Kind == StepProxy {
		return "the proxy"
	}
	if accessory, is := state.AccessoryOf(s.Role); is {
		return "accessory " + accessory
	}
	return "role " + s.Role
}

// elsewhere says how the port is made another.
func (t taking) elsewhere() string {
	if t.step.Kind == StepProxy {
		return "give the proxy other ports with proxy_server { http_port = … https_port = … }"
	}
	return "publish another port"
}

// mayTake tells whether a container that holds a port is the one that takes it, or has ended by then.
func (f *Preflight) mayTake(t taking, held state.Port) bool {
	if held.Container == t.step.Container {
		return true
	}
	if f.steps == nil {
		f.steps = make(map[string]*Step, len(f.plan.Steps))
		for i := range f.plan.Steps {
			f.steps[f.plan.Steps[i].ID] = &f.plan.Steps[i]
		}
	}
	seen := map[string]bool{}
	var ended func(id string) bool
	ended = func(id string) bool {
		s := f.steps[id]
		if s == nil || seen[id] || s.Kind == StepBarrier { // of a barrier's needs any one will do
			return false
		}
		seen[id] = true
		return s.Kind == StepStop && s.Host == t.step.Host && s.Container == held.Container || slices.ContainsFunc(s.Needs, ended)
	}
	return slices.ContainsFunc(t.step.Needs, ended)
}

// besideHolding finds the container of an accessory of the app's that holds a port.
func besideHolding(host state.Host, held state.Port, app state.App) (state.Container, bool) {
	i := slices.IndexFunc(host.Containers, func(c state.Container) bool {
		return c.ID == held.Container && c.Role == "" && strings.HasPrefix(c.Accessory, app.OwnedAs(""))
	})
	if i < 0 {
		return state.Container{}, false
	}
	return host.Containers[i], true
}

// owned finds the container of the app that holds a port.
func owned(host state.Host, held state.Port, app state.App) (state.Container, bool) {
	i := slices.IndexFunc(host.Containers, func(c state.Container) bool {
		return c.ID == held.Container && c.Service == app.Service && c.Destination == app.Destination && c.Role != ""
	})
	if i < 0 {
		return state.Container{}, false
	}
	return host.Containers[i], true
}

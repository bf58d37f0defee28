package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// MuchSkew is by how much a clock may differ from this machine's before it is worth a word. Nothing of kamald's compares the two: leases
// expire by the host's own. Certificates, tokens and log times are judged by it.
const MuchSkew = 30 * time.Second

// Preflight looks, before a plan is carried out, for what is in the way of that on the hosts as they are now. It says what is worth being
// asked of them, and adds to the plan's problems and warnings. It asks nothing by itself.
type Preflight struct {
	plan     *Plan
	desired  release.Release
	observed state.Snapshot
	ignore   []Check
	size     int64 // of the image at its registry, in bytes; 0: not known

	order  map[string]int     // of the hosts
	on     map[string][]*Step // those of a host that bring or start something, in the plan's order
	images map[string]bool    // hosts with a step that brings the image
	steps  map[string]*Step   // by ID; made at first need
}

// Facts are what a host was asked for a plan, beside what is observed of every host.
type Facts struct {
	Held      []state.Port // that its containers publish
	Listening []state.Port // that its processes listen at, but for the engine's own for what containers publish
	Proxy     *state.Spec  // how the proxy's container was made that is to be started again; nil: not asked
}

// NewPreflight looks at a plan, which it will add to. Problems of the ignored checks become warnings.
func NewPreflight(p *Plan, desired release.Release, observed state.Snapshot, ignore []Check) *Preflight {
	f := &Preflight{plan: p, desired: desired, observed: observed, ignore: ignore, order: map[string]int{}, on: map[string][]*Step{}, images: map[string]bool{}}
	for i, host := range observed.Hosts {
		f.order[host.Name] = i
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		switch s.Kind {
		case StepImage:
			f.images[s.Host] = true
			fallthrough
		case StepProxy, StepCreate, StepStart:
			f.on[s.Host] = append(f.on[s.Host], s)
		}
	}
	return f
}

// Brings tells whether the plan brings a host the image, which is not there under any name.
func (f *Preflight) Brings(host state.Host) bool {
	pin := f.plan.Pin.Value()
	return f.images[host.Name] && pin != "" && host.Unreachable == "" &&
		!slices.ContainsFunc(host.Images, func(m state.Image) bool { return bears(m, pin) })
}

// Weighs says how many bytes of the plan's image its registry holds.
func (f *Preflight) Weighs(size int64) { f.size = size }

// Object adds a problem, or warns of it where its check is ignored.
func (f *Preflight) Object(problem Problem) { f.plan.object(f.ignore, problem) }

// Warn adds a warning, once.
func (f *Preflight) Warn(format string, args ...any) { f.plan.warn(format, args...) }

// Finish adds what the hosts' engines, room, ports and clocks say, and puts the problems into their order. facts are by host.
func (f *Preflight) Finish(facts map[string]Facts) {
	var hosts []state.Host
	for _, host := range f.observed.Hosts {
		if host.Unreachable == "" && len(f.on[host.Name]) > 0 {
			hosts = append(hosts, host)
		}
	}
	f.checkRoom()
	for _, host := range hosts {
		f.checkEngine(host)
		f.checkPorts(host, facts[host.Name])
		f.warnOfEngine(host, facts[host.Name])
	}
	f.warnOfClocks(hosts)
	f.plan.sortProblems(f.order)
}

// checkEngine finds an engine that is not for Linux, or lacks what a container that is made there asks for.
func (f *Preflight) checkEngine(host state.Host) {
	engine := host.Engine
	object := func(role, summary, next string) {
		f.Object(Problem{Host: host.Name, Role: role, Summary: summary, Next: next + "; " + CheckEngine.ignored(), Check: CheckEngine})
	}
	if engine.OS != "" && engine.OS != "linux" {
		object("", fmt.Sprintf("its engine runs containers for %s", engine.OS), "use a server whose engine runs those for Linux")
	}
	for _, s := range f.on[host.Name] {
		if s.Spec == nil {
			continue
		}
		var lacking []string
		for _, option := range engine.Lacks {
			if len(s.Spec.Options[option]) > 0 {
				lacking = append(lacking, option)
			}
		}
		if len(lacking) > 0 {
			object(s.Role, fmt.Sprintf("it asks for %s, and the engine there would drop that: its kernel has no such limits, or not for it", strings.Join(lacking, ", ")),
				"take it out of the options, or give the server what it needs: on a Raspberry Pi that is `cgroup_enable=memory` in cmdline.txt")
		}
	}
}

// warnOfEngine says what may hinder and need not.
func (f *Preflight) warnOfEngine(host state.Host, facts Facts) {
	if host.Engine.Rootless {
		for _, t := range f.takings(host, facts) {
			if t.port.Number < 1024 {
				f.Warn("%s: its engine runs without root, and port %s needs net.ipv4.ip_unprivileged_port_start=%d or lower there", host.Name, t.port, t.port.Number)
			}
		}
	}
	if f.Brings(host) && host.FreeBytes < 0 && host.Engine.Root != "" {
		f.Warn("%s: how much is free%s is not known: the SSH user may not look there, or its server cannot say", host.Name, in(host.Engine.Root))
	}
}

// warnOfClocks names the hosts whose clock is far off; when all are, and by the same, it is this machine's that is.
func (f *Preflight) warnOfClocks(hosts []state.Host) {
	var off []state.Host
	for _, host := range hosts {
		if host.Engine.Ahead.Abs() > MuchSkew {
			off = append(off, host)
		}
	}
	alike := len(off) > 1 && len(off) == len(hosts)
	for _, host := range off {
		alike = alike && (host.Engine.Ahead-off[0].Engine.Ahead).Abs() <= MuchSkew
	}
	if alike {
		f.Warn("the clock of this machine is %s all the servers': set it, or log times and the ages of what is shown are wrong", apart(-off[0].Engine.Ahead))
		return
	}
	for _, host := range off {
		f.Warn("%s: its clock is %s this machine's: certificates and tokens are judged by it; `timedatectl set-ntp true` there sets it", host.Name, apart(host.Engine.Ahead))
	}
}

// apart is "4m10s ahead of" or "2h0m0s behind".
func apart(ahead time.Duration) string {
	if ahead < 0 {
		return fmt.Sprintf("%s behind", (-ahead).Round(time.Second))
	}
	return fmt.Sprintf("%s ahead of", ahead.Round(time.Second))
}

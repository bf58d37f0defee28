package plan

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// New makes the plan that takes the observed world to the desired release.
func New(in Input) Plan {
	digest := release.Digest(in.Desired)
	in.reconfigured = in.HeldDigest != "" && in.HeldDigest != digest
	b := &builder{in: in, app: in.Desired.App(), hosts: map[string]state.Host{}, on: map[string][]*slot{}, beside: map[string][]*slot{}, imaged: map[string]bool{}, ended: map[string]bool{}, pruned: map[string][]Step{}, early: map[string]bool{}}
	b.plan = Plan{
		Schema: Schema, App: b.app, Version: in.Desired.Version, Image: in.Desired.Image(), Pin: in.Pin, PlannedAt: in.Now,
		Items: []Item{}, Steps: []Step{}, Filter: in.Options.Filter, VersionPolicy: in.Choice,
		Desired: digest, Observed: map[string]string{},
	}
	b.known = lookupOf(in)
	b.look()
	if in.Choice != nil && in.Desired.Version == "" {
		return b.awaitTag()
	}
	b.decide()
	b.decideBesides()
	b.plan.Gates = b.gates()
	b.kind = b.plan.kindOf(in, b.slots, b.besides)
	b.plan.Unrecorded = b.notRecorded()
	switch {
	case in.Options.Prune:
		b.pruneOnly()
	case len(in.Options.Accessories) > 0:
		b.accessoriesOnly()
	default:
		b.check()
		b.assemble()
		b.preDeploy()
	}
	b.finish()
	if b.plan.Awaited != "" {
		return b.plan.Wait(b.awaiting())
	}
	return b.plan
}

// builder holds what is gathered while a plan is made.
type builder struct {
	in       Input
	app      state.App
	plan     Plan
	hosts    map[string]state.Host // those that were observed
	cordoned map[string]string     // host → why it is left out
	leaving  []state.Host          // that left the file and hold something still
	observed []string              // hosts that were, in the file's order
	known    lookup
	kind     Kind               // what the slots make of it
	slots    []*slot            // those in scope, in the order of roles, then hosts
	rest     []*slot            // those out of scope
	besides  []*beside          // accessories in scope, in the file's order, then the hosts'
	on       map[string][]*slot // those of a host
	beside   map[string][]*slot // accessories in scope of a host, as slots
	routes   map[string]bool    // names of the release's own; made at first need

	homes  map[string]bool // roles that some slot in scope is of; made at first need
	steps  []Step
	imaged map[string]bool   // hosts that have an image step
	prune  []Step            // what goes when the release is recorded
	pruned map[string][]Step // those of a host
	// upgraded is the last step that upgrades a proxy: hosts are upgraded one after the other.
	upgraded string

	early map[string]bool // IDs of those that go before the image comes, to make room for it
	ended map[string]bool // routes, by routeKey, and singletons' stops elsewhere, by ID, that are planned
}

// look takes the observed hosts, and notes the others.
func (b *builder) look() {
	seen := make(map[string]state.Host, len(b.in.Observed.Hosts))
	for _, host := range b.in.Observed.Hosts {
		if _, twice := seen[host.Name]; !twice {
			seen[host.Name] = host
		}
	}
	b.cordoned = CordonedIn(b.in.Observed, b.in.Now)
	var observed []string
	for _, on := range b.in.Desired.Hosts {
		if reason := b.cordoned[on.Name]; reason != "" {
			b.plan.Cordoned = append(b.plan.Cordoned, Skipped{Host: on.Name, Reason: reason})
			continue
		}
		host, ok := seen[on.Name]
		if !ok {
			host = state.Host{Name: on.Name, Unreachable: "it was not observed"}
		}
		if host.Unreachable != "" && !b.known.concerned[on.Name] && on.Name != b.in.Desired.PrimaryHost() {
			continue // nothing is planned there, and nothing asked of it
		}
		if host.Unreachable != "" {
			b.plan.Unreachable = append(b.plan.Unreachable, Skipped{Host: on.Name, Reason: host.Unreachable})
			continue
		}
		b.hosts[on.Name] = host
		b.observed = append(b.observed, on.Name)
		if b.known.concerned[on.Name] || b.known.primary[on.Name] {
			observed = append(observed, on.Name)
		}
	}
	digests := make([]string, len(observed))
	each(len(observed), func(i int) { digests[i] = Projection(Scope(b.in.Desired, b.hosts[observed[i]])) })
	for i, name := range observed {
		b.plan.Observed[name] = digests[i]
	}
	b.leave()
}

func (b *builder) decide() {
	type place struct {
		role *release.Role
		host string
	}
	var places []place
	for i := range b.in.Desired.Roles {
		role := &b.in.Desired.Roles[i]
		for _, name := range role.Places() {
			if _, ok := b.hosts[name]; ok {
				places = append(places, place{role, name})
			}
		}
	}
	b.slots = make([]*slot, len(places))
	each(len(places), func(i int) {
		b.slots[i] = decide(b.in, *places[i].role, b.known.hosts[places[i].host], b.hosts[places[i].host])
	})
	b.limit()
	versions := map[string]bool{}
	for _, s := range b.slots {
		b.on[s.host.Name] = append(b.on[s.host.Name], s)
		if s.current != nil && s.current.Version() != "" {
			versions[s.current.Version()] = true
		}
	}
	b.plan.Before = strings.Join(sorted(versions), ", ")
}

// each calls do for 0…n-1 on every processor: what is done for one host depends on no other, and a fleet has many.
func each(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/64+1)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				do(i)
			}
		})
	}
	all.Wait()
}

// object notes a problem that may be ignored.
func (b *builder) object(problem Problem) { b.plan.object(b.in.Options.Ignore, problem) }

// problem notes why the plan cannot be carried out.
func (b *builder) problem(host, role, summary, next string) {
	b.plan.Problems = append(b.plan.Problems, Problem{Host: host, Role: role, Summary: summary, Next: next})
}

// check finds what forbids carrying the plan out.
func (b *builder) check() {
	b.checkEnvirons()
	// Healing needs neither every host nor the barrier: the version that it brings back has been released already.
	heals := b.kind == KindHeal
	skip := b.in.Options.SkipUnreachable || b.in.Desired.Rollout.SkipUnreachable || heals && b.in.Held != nil
	for _, host := range b.plan.Unreachable {
		switch {
		case !skip:
			b.problem(host.Host, "", "it cannot be observed: "+host.Reason, b.mend(host.Host)+
				", or go on without the host with --skip-unreachable: it converges with the next apply after it returns")
		case len(b.hosts) == len(b.leaving): // those are emptied only when some host serves that is seen to
			b.problem(host.Host, "", "it cannot be observed, nor can any other host: "+host.Reason, b.mend(host.Host)+": nothing can be done without a host")
		}
	}
	b.checkCordoned(heals)
	for _, s := range b.slots {
		b.checkSlot(s)
	}
	b.checkBesides()
	b.checkProxies(b.tenantsOn)
	b.checkCanary()
	b.checkFilter(heals)
	b.checkStopped(heals)
	if b.in.Options.Filter.Whole() && !b.primaryStopped() && !heals && !b.primaryServes() && len(b.openers()) == 0 && slices.ContainsFunc(b.slots, (*slot).boots) {
		b.problem("", b.in.Desired.PrimaryRole, "no host of the primary role can be reached, so nothing would open the barrier for the other roles",
			"bring a host of the primary role back")
	}
	b.awaitImage()
}

// mend says what to do about a host that could not be observed.
func (b *builder) mend(host string) string {
	seen, _ := b.in.Observed.Host(host)
	switch seen.NoEngine {
	case state.EngineMissing:
		return fmt.Sprintf("`kamald setup` installs Docker there and deploys (`kamald server bootstrap --hosts %s` only installs it)", host)
	case state.EngineStopped:
		return fmt.Sprintf("`kamald server bootstrap --hosts %s` starts it and shows what it logs when that fails", host)
	case state.EngineForbidden:
		return fmt.Sprintf("`kamald server bootstrap --hosts %s` gives the user its group", host)
	case state.EngineOld:
		return "upgrade Docker there"
	}
	return "mend that"
}

func (b *builder) checkSlot(s *slot) {
	b.checkSecrets(s)
	b.checkCertificate(s)
	b.checkSingleton(s)
	b.checkMoved(s)
	if taken, ok := s.nameTaken(b.app); ok && s.create && taken.Status == state.StatusRemoving {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the engine is removing the container %s (%s)", s.name, taken.ShortID()), "wait a moment and plan again; `docker rm -f` ends one that hangs")
	} else if ok && s.create {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the name %s is taken by a container that is not this role's (%s)", s.name, taken.ShortID()), "rename or remove that container")
	}
	if image, ok := s.host.Image(s.spec.Image); ok && image.Inspected && s.create && image.Arch != "" && s.host.Engine.Arch != "" && len(s.role.Options[optionPlatform]) == 0 &&
		!runs(state.Engine{Arch: s.host.Engine.Arch}, "linux/"+image.Arch) {
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("the image is for %s and the host is %s", image.Arch, s.host.Engine.Arch), "build it for the host's architecture too")
	}
	for _, c := range s.own {
		if c.RunDir != "" && s.host.RunDir != "" && c.RunDir != s.host.RunDir {
			b.problem(s.host.Name, s.role.Name, fmt.Sprintf("container %s was made with the run directory %s, and this SSH user's is %s: its lock and secrets would be others", c.Name, c.RunDir, s.host.RunDir),
				"use the SSH user it was deployed with, or set run_directory to that absolute path")
			return
		}
	}
}

// checkSecrets finds secrets that a container to be made would lack.
func (b *builder) checkSecrets(s *slot) {
	if !s.create {
		return
	}
	file, _ := s.host.EnvFile(s.role.Name)
	for name, digest := range s.spec.Secrets {
		if _, atHand := b.in.Secrets[s.host.Name][s.role.Name][name]; digest != "" || atHand {
			continue
		}
		if _, there := file.Digests[name]; there {
			continue
		}
		next := fmt.Sprintf("run `kamald env push --hosts %s` where the secrets are at hand", s.host.Name)
		if b.in.Options.Back { // a push is of what the file names today
			next = "roll back where that secret is at hand, in one of the secrets files; or take today's configuration with --with-current-config"
		}
		b.problem(s.host.Name, s.role.Name, fmt.Sprintf("its secrets file lacks %s", name), next)
	}
}

// primaryServes tells whether a healthy container of the primary role already runs as wanted somewhere: then the barrier is
// open.
func (b *builder) primaryServes() bool {
	return slices.ContainsFunc(b.slots, func(s *slot) bool {
		return s.serves()
	}) || slices.ContainsFunc(b.rest, func(s *slot) bool { return s.serves() && s.route == nil })
}

// serves tells whether the primary role runs as wanted in the slot.
func (s *slot) serves() bool {
	return s.role.Primary && s.wanted != nil && s.wanted.Running() && !s.boots() && s.wanted.Health != "unhealthy" && s.wanted.Failing == ""
}

// openers are the slots whose container may open the barrier.
func (b *builder) openers() []*slot {
	var openers []*slot
	for _, s := range b.slots {
		if s.role.Primary && s.boots() {
			openers = append(openers, s)
		}
	}
	return openers
}

// finish orders items and problems, so that equal inputs give equal bytes, and says what kind of plan it is.
func (b *builder) finish() {
	order := map[string]int{}
	for i, h := range b.in.Desired.Hosts {
		order[h.Name] = i
	}
	for i, h := range b.leaving {
		order[h.Name] = len(b.in.Desired.Hosts) + i
	}
	resources := map[Resource]int{ResourceNetwork: 0, ResourceImage: 1, ResourceEnvFile: 2, ResourceCertificate: 2, ResourceErrorPages: 2, ResourceProxy: 3, ResourceContainer: 4, ResourceRoute: 5, ResourceTag: 6, ResourceFile: 7}
	slices.SortStableFunc(b.plan.Items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(order[x.Host], order[y.Host]), cmp.Compare(resources[x.Resource], resources[y.Resource]))
	})
	b.plan.sortProblems(order)
	b.guard()
	b.plan.Steps = b.steps
	b.plan.Kind = KindNone
	if len(b.steps) > 0 || len(b.plan.Problems) > 0 {
		b.plan.Kind = b.kind
	}
	b.plan.Partial = !b.in.Options.Filter.Whole() && (b.plan.Kind == KindRelease || b.plan.Kind == KindConfig)
	if b.in.Options.Prune {
		b.plan.Kind = KindPrune
	}
	if len(b.in.Options.Accessories) > 0 && b.plan.Kind != KindNone {
		b.plan.Kind, b.plan.Partial = KindAccessory, false
	}
}

// kindOf tells a release from a change of configuration and from healing.
func (p Plan) kindOf(in Input, slots []*slot, besides []*beside) Kind {
	changed := slices.ContainsFunc(besides, func(s *beside) bool {
		return slices.ContainsFunc(s.items, func(i Item) bool { return i.Cause == Change && i.Deferred == "" })
	})
	for _, s := range slots {
		changed = changed || slices.ContainsFunc(s.items, func(i Item) bool { return i.Cause == Change })
	}
	switch {
	case in.Options.Heal:
		return KindHeal
	case slices.ContainsFunc(slots, func(s *slot) bool { return s.ahead != nil && s.boots() }):
		return KindRelease // also back to the held version, from a partial release of another
	case in.Held != nil && in.Held.Version == in.Desired.Version && !changed && !in.reconfigured:
		return KindHeal
	case in.Held != nil && in.Held.Version == in.Desired.Version:
		return KindConfig
	case in.Held == nil && !changed && len(slots) > 0 && !slices.ContainsFunc(slots, func(s *slot) bool { return s.create }):
		return KindHeal
	}
	return KindRelease
}

func sorted(set map[string]bool) []string {
	var list []string
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

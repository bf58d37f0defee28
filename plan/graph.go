package plan

import (
	"fmt"
	"slices"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// assemble turns decisions into the graph of steps: prepare everywhere; then a group of hosts at a time create, primary,
// barrier, others, switch, stop; and when every group is through, tag, record and prune.
func (b *builder) assemble() {
	busy := 0
	for _, s := range b.slots {
		b.plan.Items = append(b.plan.Items, s.items...)
		if s.busy() {
			busy++
		}
	}
	b.steps = make([]Step, 0, 8*busy)
	b.prepare()
	prepared := ids(b.steps)
	b.assembleBesides()
	if b.kind != KindHeal { // what is healed waits for nothing that is beside it
		prepared = ids(b.steps)
	}
	barrier := b.barrier()
	previous := b.containerHooks(release.HookPreBoot, PhasePrepare, gateIf(b, "prepared", PhasePrepare, 0, prepared))
	groups := b.groups()
	for i, hosts := range groups {
		previous = b.group(i+1, hosts, previous, barrier, i == len(groups)-1)
		b.plan.Groups = append(b.plan.Groups, hosts)
	}
	previous = b.containerHooks(release.HookPostBoot, PhaseSwitch, previous)
	if b.in.Options.Filter.Whole() {
		b.orphans(previous)
		b.orphanBesides(previous)
		for _, host := range b.leaving {
			b.orphansOf(host, previous)
		}
	}
	b.conclude()
}

// add puts a step into the graph and gives its ID.
func (b *builder) add(s Step) string {
	if s.Kind == StepUnroute {
		b.ended[routeKey(s.Host, s.Name)] = true
	}
	b.steps = append(b.steps, s)
	return s.ID
}

// gateIf adds a step that others wait for, so that edges stay linear in hosts; with one or no need there is nothing to gather.
func gateIf(b *builder, name string, phase Phase, group int, needs []string) []string {
	if len(needs) < 2 {
		return needs
	}
	return []string{b.add(Step{ID: "gate/" + name, Kind: StepGate, Phase: phase, Group: group, Needs: needs})}
}

func ids(steps []Step) []string {
	var list []string
	for _, s := range steps {
		list = append(list, s.ID)
	}
	return list
}

// barrier gives the steps that open the barrier for the other roles: none when a healthy primary serves already.
func (b *builder) barrier() []string {
	others := slices.ContainsFunc(b.slots, func(s *slot) bool { return !s.role.Primary && (s.boots() || len(s.stop) > 0) })
	openers := b.openers()
	if !others || b.primaryServes() || len(openers) == 0 {
		return nil
	}
	return []string{"barrier"}
}

// groups are the hosts with work, those of the primary role first, as many at once as the release allows.
func (b *builder) groups() [][]string {
	var busy []string
	with := map[string]bool{} // a share is of all the release's hosts, also of those out of scope
	for _, s := range append(slices.Clone(b.slots), b.rest...) {
		with[s.host.Name] = true
	}
	total := len(with)
	for _, on := range b.in.Desired.Hosts {
		slots := b.on[on.Name]
		if slices.ContainsFunc(slots, (*slot).busy) {
			busy = append(busy, on.Name)
		}
	}
	depths := b.depths()
	slices.SortStableFunc(busy, func(x, y string) int { return b.rank(x, depths) - b.rank(y, depths) })
	if len(busy) == 0 {
		return nil
	}
	limit := b.in.Desired.Rollout.Limit.Of(max(total, 1))
	if b.in.Options.Restart {
		limit = 1
	}
	return slices.Collect(slices.Chunk(busy, limit))
}

// depths are the lengths of the longest chains of depends_on below the roles.
func (b *builder) depths() map[string]int {
	depths := map[string]int{}
	for _, name := range b.rolesInOrder() {
		role, _ := b.in.Desired.Role(name)
		for _, dependency := range role.DependsOn {
			depths[name] = max(depths[name], depths[dependency]+1)
		}
	}
	return depths
}

// rank puts hosts that can open the barrier first, then those of the primary role, then the others: those first whose roles the
// roles of the next depend on.
func (b *builder) rank(host string, depths map[string]int) int {
	rank := 2
	for _, s := range b.on[host] {
		switch {
		case !s.role.Primary && s.busy() && rank >= 2:
			rank = max(rank, 2+depths[s.role.Name])
		case s.role.Primary && s.boots():
			return 0
		case s.role.Primary:
			rank = 1
		}
	}
	return rank
}

// group plans one group of hosts, and gives what the next has to wait for.
func (b *builder) group(n int, hosts, previous, barrier []string, last bool) []string {
	slots := b.busyOn(hosts)
	previous = b.bootHooks(release.HookPreBoot, PhaseCreate, n, slots, previous)
	made := b.createAll(n, slots, previous)
	var proofs []string
	byHost := map[string][]string{}
	for _, s := range slots {
		if s.role.Primary {
			proven := b.boot(n, s, made, nil)
			proofs = append(proofs, proven...)
			byHost[s.host.Name] = append(byHost[s.host.Name], proven...)
		}
	}
	if len(barrier) > 0 && n == 1 {
		b.add(Step{ID: "barrier", Kind: StepBarrier, Phase: PhasePrimary, Group: n, Needs: slices.Clone(proofs), Role: b.in.Desired.PrimaryRole,
			Reason: "the other roles start when the first container of " + b.in.Desired.PrimaryRole + " is healthy"})
	}
	proven := b.bootOthers(n, slots, made, barrier, proofs, byHost)
	if len(proven) == 0 {
		proven = previous
	}
	proven = gateIf(b, fmt.Sprintf("proven/%d", n), PhaseOthers, n, append(slices.Clone(proven), barrier...))
	done := gateIf(b, fmt.Sprintf("done/%d", n), PhaseSwitch, n, b.switchAll(n, slots, b.tryAll(n, slots, proven)))
	done = b.bootHooks(release.HookPostBoot, PhaseSwitch, n, slots, done)
	if wait := b.in.Desired.Rollout.Wait; wait > 0 && !last {
		return []string{b.add(Step{ID: fmt.Sprintf("wait/%d", n), Kind: StepWait, Phase: PhaseSwitch, Group: n, Needs: done, Wait: wait, Reason: "rollout.wait"})}
	}
	if len(done) == 0 {
		return previous
	}
	return done
}

// busyOn gives the slots of some hosts in which something happens, in the order of roles, then of the hosts.
func (b *builder) busyOn(hosts []string) []*slot {
	byRole := map[string][]*slot{}
	for _, host := range hosts {
		for _, s := range b.on[host] {
			if s.busy() {
				byRole[s.role.Name] = append(byRole[s.role.Name], s)
			}
		}
	}
	var slots []*slot
	for _, role := range b.in.Desired.Roles {
		slots = append(slots, byRole[role.Name]...)
	}
	return slots
}

// createAll makes every role's container of the group and starts none.
func (b *builder) createAll(n int, slots []*slot, previous []string) []string {
	var made []string
	for _, s := range slots {
		needs := previous
		at := s.host.Name + "/" + s.role.Name
		if s.rename != nil {
			needs = []string{b.add(Step{ID: "rename/" + at, Kind: StepRename, Phase: PhaseCreate, Group: n, Host: s.host.Name, Role: s.role.Name, Needs: needs,
				Container: s.rename.ID, Name: s.rename.Name, NewName: state.ReplacedName(s.rename.Name, s.rename.ID), Reason: "another container takes its name"})}
		}
		if s.create {
			spec := s.spec
			made = append(made, b.add(Step{ID: "create/" + at, Kind: StepCreate, Phase: PhaseCreate, Group: n, Host: s.host.Name, Role: s.role.Name, Needs: needs,
				Container: s.name, Name: s.name, Spec: &spec, Reason: s.items[0].Reason}))
		}
	}
	if len(made) == 0 {
		return previous
	}
	return gateIf(b, fmt.Sprintf("created/%d", n), PhaseCreate, n, made)
}

// boot starts and proves one slot's container; it gives the steps that prove it.
func (b *builder) boot(n int, s *slot, needs, barrier []string) []string {
	phase := PhaseOthers
	if s.role.Primary {
		phase = PhasePrimary
	}
	step := Step{Phase: phase, Group: n, Host: s.host.Name, Role: s.role.Name, Container: s.name, Name: s.name}
	at := s.host.Name + "/" + s.role.Name
	if s.wanted != nil {
		step.Container = s.wanted.ID
	}
	needs = append(slices.Clone(needs), barrier...)
	if s.role.Singleton && s.boots() {
		for _, old := range s.stop {
			needs = append(needs, b.add(b.stopStep(n, phase, s, old, needs)))
		}
		for _, other := range b.elsewhere(s) {
			if !b.known.scope.has(other.host, s.role.Name) {
				continue // that is a problem of the plan, and no step of it
			}
			needs = append(needs, b.stopElsewhere(phase, s, other, needs))
		}
	}
	if s.connect {
		step.ID, step.Kind, step.Needs, step.NewName, step.Reason = "connect/"+at, StepConnect, needs, b.in.Desired.Network, "its network was detached"
		needs = []string{b.add(step)}
	}
	if s.update != nil {
		step.ID, step.Kind, step.Needs, step.Options, step.Reason = "update/"+at, StepUpdate, needs, s.update, "it was changed on the host"
		step.Previous = previousOptions(s.wanted.Live.Options, s.update)
		needs = []string{b.add(step)}
		step.Options, step.Previous = nil, nil
	}
	if s.boots() {
		step.ID, step.Kind, step.Needs, step.Reason = "start/"+at, StepStart, needs, s.items[0].Reason
		needs = []string{b.add(step)}
	}
	if s.prove {
		step.ID, step.Kind, step.Needs, step.Reason = "prove/"+at, StepProve, needs, "it must be healthy before it serves"
		return []string{b.add(step)}
	}
	if s.connect || s.update != nil {
		return needs
	}
	return nil
}

// previousOptions are the live values of the options that an update sets.
func previousOptions(live, update map[string][]string) map[string][]string {
	previous := map[string][]string{}
	for name := range update {
		previous[name] = live[name] // nil: the engine's default
	}
	return previous
}

// bootOthers boots the other roles behind the barrier, in the order of depends_on. proofs are the primary role's, byHost the
// same by their host.
func (b *builder) bootOthers(n int, slots []*slot, made, barrier, proofs []string, byHost map[string][]string) []string {
	byRole := map[string][]string{b.in.Desired.PrimaryRole: proofs}
	all := slices.Clone(proofs)
	for _, role := range b.rolesInOrder() {
		mine := slices.DeleteFunc(slices.Clone(slots), func(s *slot) bool { return s.role.Primary || s.role.Name != role })
		if len(mine) == 0 {
			continue
		}
		before := b.dependencies(n, role, byRole)
		for _, s := range mine {
			needs := append(slices.Clone(made), before...)
			if !b.in.Desired.Rollout.ParallelRoles {
				needs = append(needs, byHost[s.host.Name]...)
			}
			proven := b.boot(n, s, needs, barrier)
			byHost[s.host.Name] = append(byHost[s.host.Name], proven...)
			byRole[role] = append(byRole[role], proven...)
			all = append(all, proven...)
		}
	}
	return all
}

// dependencies gathers the proofs of the roles that a role depends on, in one gate for all its hosts.
func (b *builder) dependencies(n int, name string, byRole map[string][]string) []string {
	role, _ := b.in.Desired.Role(name)
	var proofs []string
	for _, dependency := range role.DependsOn {
		proofs = append(proofs, byRole[dependency]...)
	}
	return gateIf(b, fmt.Sprintf("before/%d/%s", n, name), PhaseOthers, n, proofs)
}

// rolesInOrder sorts roles so that dependencies come first; the loader refuses cycles.
func (b *builder) rolesInOrder() []string {
	var order []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		if role, ok := b.in.Desired.Role(name); ok {
			for _, dependency := range role.DependsOn {
				visit(dependency)
			}
			order = append(order, name)
		}
	}
	for _, role := range b.in.Desired.Roles {
		visit(role.Name)
	}
	return order
}

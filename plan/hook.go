package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// hooksAt are the hooks of a moment that this plan has.
func (b *builder) hooksAt(moment string) []release.Hook {
	if b.in.Options.Prune {
		return nil
	}
	return b.in.Desired.Hooks.At(moment, b.hookKind())
}

// hookKind is what hooks call this kind of plan.
func (b *builder) hookKind() string {
	held := b.in.Held != nil && b.in.Held.Version == b.in.Desired.Version
	switch {
	case b.in.Options.Back && (b.kind == KindRelease || b.kind == KindConfig):
		return string(KindRollback)
	case b.kind != KindRelease || !held:
		return string(b.kind)
	case slices.ContainsFunc(b.slots, func(s *slot) bool { return s.ahead != nil && s.ahead.Version != b.in.Desired.Version && s.boots() }):
		return string(KindRollback) // back to what is held, from a partial release of another
	}
	return string(KindConfig) // from other settings of the same, that a part has
}

// hookStep is a hook on the machine that kamald runs on.
func hookStep(h release.Hook, phase Phase, group int, needs []string) Step {
	id := "hook/" + h.At + "/" + h.Name
	if group > 0 {
		id += fmt.Sprintf("/%d", group)
	}
	return Step{ID: id, Kind: StepHook, Phase: phase, Group: group, Needs: slices.Clone(needs), Name: h.Name, Hook: &h, Reason: "hook at " + h.At}
}

// localHooks chains the hooks of a moment on this machine, each after the one before, and gives what comes after them has to wait for.
func (b *builder) localHooks(moment string, phase Phase, group int, needs []string) []string {
	for _, h := range b.hooksAt(moment) {
		if h.Role == "" {
			needs = []string{b.add(hookStep(h, phase, group, needs))}
		}
	}
	return needs
}

// preDeploy puts hooks before everything else that the plan does; a plan with nothing to do runs none.
func (b *builder) preDeploy() {
	if len(b.steps) == 0 {
		return
	}
	planned := b.steps
	b.steps = nil
	last := b.localHooks(release.HookPreDeploy, PhasePrepare, 0, nil)
	for i, s := range planned {
		if len(s.Needs) == 0 {
			planned[i].Needs = slices.Clone(last)
		}
	}
	b.steps = append(b.steps, planned...)
}

// postDeploy runs hooks when the release is recorded: what fails then undoes nothing.
func (b *builder) postDeploy(after []string) {
	if len(b.steps) == 0 {
		return
	}
	if b.hookKind() == string(KindRollback) {
		after = b.localHooks(release.HookRollback, PhaseFinish, 0, after)
	}
	after = b.containerHooks(release.HookPostDeploy, PhaseFinish, after)
	b.localHooks(release.HookPostDeploy, PhaseFinish, 0, after)
}

// bootHooks runs hooks around the boot of one group.
func (b *builder) bootHooks(moment string, phase Phase, group int, slots []*slot, needs []string) []string {
	if !slices.ContainsFunc(slots, (*slot).boots) {
		return needs
	}
	return b.localHooks(moment, phase, group, needs)
}

// containerHooks runs the hooks of a moment that run in a container, once a release.
func (b *builder) containerHooks(moment string, phase Phase, needs []string) []string {
	if !slices.ContainsFunc(b.slots, (*slot).boots) {
		return needs
	}
	for _, h := range b.hooksAt(moment) {
		if h.Role == "" {
			continue
		}
		if number := b.ranFor(h); number > 0 {
			b.leaveOut("hook %s does not run: partial release %d has run it for %s", h.Name, number, b.in.Desired.Version)
			continue
		}
		if s := b.hookSlot(h); s != nil {
			spec := hookSpec(b.in, s, h)
			needs = []string{b.add(Step{ID: "hook/" + h.At + "/" + h.Name, Kind: StepHook, Phase: phase, Host: s.host.Name, Role: h.Role, Needs: slices.Clone(needs),
				Name: h.Name, Hook: &h, Spec: &spec, Grace: s.role.Stop.Grace, Reason: "hook at " + h.At})}
		}
	}
	return needs
}

// leaveOut says why a hook does not run.
func (b *builder) leaveOut(format string, args ...any) {
	b.plan.LeftOutHooks = append(b.plan.LeftOutHooks, fmt.Sprintf(format, args...))
}

// ranFor is the partial release of this version, newer than what is held, that has run a hook; 0 for none.
func (b *builder) ranFor(h release.Hook) int {
	for _, r := range b.in.Records {
		newer := b.in.Held == nil || r.Number > b.in.Held.Number
		if newer && r.Outcome == state.OutcomePartial && r.Version == b.in.Desired.Version &&
			slices.ContainsFunc(r.Hooks, func(run state.HookRun) bool { return run.Name == h.Name && run.ExitCode == 0 }) {
			return r.Number
		}
	}
	return 0
}

// hookSlot is where a hook's container runs: on the first host of its role that can be reached and has the image, or where a run that
// was interrupted has left one.
func (b *builder) hookSlot(h release.Hook) *slot {
	var first *slot
	for _, s := range b.slots {
		if s.role.Name != h.Role || !b.imageOn(s.host) {
			continue
		}
		if slices.ContainsFunc(s.host.Containers, func(c state.Container) bool { return b.unfinished(c, h) }) {
			return s
		}
		if first == nil {
			first = s
		}
	}
	if first != nil {
		return first
	}
	_, known := b.in.Desired.Role(h.Role)
	switch {
	case !known:
		b.leaveOut("hook %s does not run: the release has no role %s", h.Name, h.Role)
	case slices.ContainsFunc(b.rest, func(s *slot) bool { return s.role.Name == h.Role }):
		b.problem("", h.Role, fmt.Sprintf("hook %s runs in a container of %s, which is not in scope", h.Name, h.Role),
			"let the plan have a host of that role, or leave the hook out with --skip-hooks")
	default:
		b.problem("", h.Role, fmt.Sprintf("hook %s runs in a container of %s, and no host of that role can be reached", h.Name, h.Role),
			"bring one back, or leave the hook out with --skip-hooks")
	}
	return nil
}

// imageOn tells whether a host has the wanted image by the time that a hook runs.
func (b *builder) imageOn(host state.Host) bool {
	_, there := host.Image(b.in.Desired.Image())
	return there || b.imaged[host.Name]
}

// isHook tells whether a container runs a hook of the app.
func isHook(c state.Container, app state.App) bool {
	return c.Hook != "" && c.Service == app.Service && c.Destination == app.Destination
}

// unfinished tells whether a container is a hook's of a run of which nobody has seen the end.
func (b *builder) unfinished(c state.Container, h release.Hook) bool {
	return isHook(c, b.app) && c.Hook == h.Name && (c.Running() || b.in.Held == nil || c.Release > b.in.Held.Number)
}

// hookSpec is what a hook's container is made from: the role's, with another command, that ends and is not started again. It takes no
// port of the host, and nobody asks it how it is.
func hookSpec(in Input, s *slot, h release.Hook) state.Spec {
	spec := compile(in, s.host, s.on, s.role)
	spec.Cmd, spec.Restart, spec.Options = slices.Clone(h.Run), "no", maps.Clone(spec.Options)
	delete(spec.Env, "KAMAL_CONTAINER_NAME")
	delete(spec.Labels, state.LabelRole)
	for name := range spec.Options {
		if slices.Contains(ofServing, name) || strings.HasPrefix(name, "health-") {
			delete(spec.Options, name)
		}
	}
	return normal(spec)
}

// ofServing are options that only one container can have, or that are about being reached.
var ofServing = []string{"publish", "publish-all", "expose", "hostname", "network-alias", "ip", "ip6", "mac-address", "link", "no-healthcheck", "cidfile", "name"}

// pruneHooks plans the removal of what hooks have left: after a release that succeeds, nobody needs a failed one's output any more.
func (b *builder) pruneHooks(host state.Host) {
	for _, c := range newestFirst(host.Containers, func(c *state.Container) bool { return isHook(*c, b.app) }) {
		if c.Running() || c.Status == state.StatusRemoving {
			continue
		}
		reason := "it has run the hook " + c.Hook
		step := Step{ID: "remove/" + host.Name + "/" + c.ShortID(), Kind: StepRemove, Phase: PhaseFinish, Host: host.Name, Container: c.ID, Name: c.Name, Reason: reason}
		if b.early[step.ID] {
			continue
		}
		b.afterwards(step)
		b.plan.Items = append(b.plan.Items, Item{Action: Remove, Cause: Leftover, Resource: ResourceContainer, Host: host.Name, Name: c.Name,
			Reason: reason, Class: DriftDisk, Risk: Safe})
	}
}

// hookMoments say when a hook runs, for a person: on this machine, and in a container.
var hookMoments = map[string][2]string{
	release.HookPreDeploy:  {"before anything is changed", ""},
	release.HookPreBoot:    {"before the containers of each group are made", "before the first container is made"},
	release.HookPostBoot:   {"when each group serves", "when everything serves"},
	release.HookPostDeploy: {"when it is recorded", "when it is recorded"},
	release.HookRollback:   {"when the rollback is recorded", ""},
}

// hookLines say which hooks run and when, in the order of the plan.
func (p Plan) hookLines() (lines []string) {
	for _, s := range p.Steps {
		if s.Kind != StepHook || s.Hook == nil || s.Group > 1 {
			continue
		}
		moment := hookMoments[s.Hook.At]
		command := strings.Join(s.Hook.Command(), " ")
		line := fmt.Sprintf("hook %s: %s, on this machine, %s", s.Name, command, moment[0])
		if s.Hook.Role != "" {
			line = fmt.Sprintf("hook %s: %s, once, in a container of %s on %s, %s; it is never undone", s.Name, command, s.Hook.Role, s.Host, moment[1])
		}
		lines = append(lines, Printable(line))
	}
	return append(lines, printables(p.LeftOutHooks)...)
}

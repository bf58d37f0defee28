package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

// localHook runs a step's hook on this machine.
func (r *run) localHook(ctx context.Context, s plan.Step) error {
	about := r.about(s.ID)
	if s.Group > 0 && s.Group <= len(r.plan.Groups) {
		about.Hosts = r.plan.Groups[s.Group-1]
	}
	if s.Phase == plan.PhaseFinish {
		about.Runtime = max(r.c.now().Sub(r.record.Started), 1)
	}
	return r.c.hook(ctx, r.desired, *s.Hook, about)
}

// about is what hooks of the run are told.
func (r *run) about(step string) HookAbout {
	about := HookAbout{Kind: string(r.plan.Kind), Locked: true, step: step, Roles: r.plan.Filter.Roles}
	for _, on := range r.desired.Hosts {
		if r.plan.Filter.Wants(r.desired, on.Name) {
			about.Hosts = append(about.Hosts, on.Name)
		}
	}
	return about
}

// failureHooks tell of a release that failed and was taken back, or left halfway where the file says so. One of theirs that fails is
// only warned of: the release's own failure is the news.
func (r *run) failureHooks(ctx context.Context, failure error) {
	about := r.about("")
	about.Runtime, about.Reason = max(r.c.now().Sub(r.record.Started), 1), firstLine(Brief(failure))
	_ = r.c.RunHooks(ctx, r.desired, release.HookFailure, about) // it is said
}

// hooksStay names hooks that ran in containers of a release that failed: nothing takes back what they did.
func (r *run) hooksStay() (left []string) {
	for _, ran := range r.record.Hooks {
		if ran.ExitCode == 0 {
			left = append(left, fmt.Sprintf("%s: hook %s has run for %s, and what it did is not undone", ran.Host, ran.Name, r.record.Version))
		}
	}
	return left
}

// DriftHooks tell of what was found on the servers that is not as the held release says; what says it in a line.
func (c *Controller) DriftHooks(ctx context.Context, desired release.Release, what string) error {
	about := HookAbout{Reason: what}
	for _, on := range desired.Hosts {
		about.Hosts = append(about.Hosts, on.Name)
	}
	return c.RunHooks(ctx, desired, release.HookDrift, about)
}

// PreConnect has the hooks of that moment run before the first server is reached, once.
func (c *Controller) PreConnect(desired release.Release) {
	if len(desired.Hooks.At(release.HookPreConnect, "")) == 0 {
		return
	}
	about := HookAbout{}
	for _, on := range desired.Hosts {
		about.Hosts = append(about.Hosts, on.Name)
	}
	c.fleet.before = newFirst(func(ctx context.Context) error { return c.RunHooks(ctx, desired, release.HookPreConnect, about) })
}

// BeforeConnecting runs what PreConnect has said at once, for what is done before any server is reached.
func (c *Controller) BeforeConnecting(ctx context.Context) error { return c.fleet.before.done(ctx) }

// hooksMoved names hooks of a saved plan that today's file has otherwise: what runs here is what the file here says.
func hooksMoved(p plan.Plan, current release.Release) (moves []plan.Move) {
	for _, s := range p.Steps {
		if s.Kind != plan.StepHook || s.Hook == nil || s.Group > 1 {
			continue
		}
		i := slices.IndexFunc(current.Hooks.List, func(h release.Hook) bool { return h.Name == s.Hook.Name && h.At == s.Hook.At })
		switch {
		case i < 0:
			moves = append(moves, plan.Move{What: fmt.Sprintf("the plan runs the %s, which is not in the file here", hookTitle(*s.Hook))})
		case !current.Hooks.List[i].Same(*s.Hook):
			moves = append(moves, plan.Move{What: fmt.Sprintf("the %s is another in the file here", hookTitle(*s.Hook))})
		}
	}
	return moves
}

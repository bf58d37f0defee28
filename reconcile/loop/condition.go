package loop

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// news is how people are told of a kind of conditions: as what, how long it must have held by then, and how long it must be gone to be
// over. What comes and goes within that is told once.
type news struct {
	kind        string
	after, over time.Duration
}

var told = map[string]news{
	ConditionMovedByHand:   {"drifted", 0, time.Minute},
	ConditionFailed:        {"failed", time.Minute, 10 * time.Minute}, // of a release it is told at once, by itself
	ConditionQuarantined:   {"failed", 0, 0},
	ConditionStoreBroken:   {"failed", time.Minute, 10 * time.Minute},
	ConditionSourceBroken:  {"failed", 5 * time.Minute, time.Minute},
	ConditionNotConverging: {"not-converging", 0, 10 * time.Minute},
	ConditionFlapping:      {"not-converging", 0, 10 * time.Minute},
	ConditionOverBudget:    {"not-converging", 0, 10 * time.Minute},
	ConditionApproval:      {"waiting", 0, 0},
	ConditionWaiting:       {"waiting", 10 * time.Minute, time.Minute},
	ConditionHeld:          {"held", 0, 0},
	ConditionUnreachable:   {"unreachable", time.Minute, time.Minute},
	ConditionDependency:    {"failed", time.Minute, 10 * time.Minute},
	ConditionLowDisk:       {"failed", time.Minute, 10 * time.Minute},
}

// settleConditions gives the conditions that hold now, with the time since when, and tells of those that began and are over. Those that were
// told of and are gone are among them for a while, marked so.
func (k *keeper) settleConditions(now []state.Condition, f facts) []state.Condition {
	k.mu.Lock()
	old := k.memory.Conditions
	k.mu.Unlock()
	began, over := map[string][]state.Condition{}, map[string][]state.Condition{}
	for i, c := range now {
		if at := slices.IndexFunc(old, same(c)); at >= 0 {
			now[i].Since, now[i].Told = old[at].Since, old[at].Told
		} else if c.Since.IsZero() {
			now[i].Since = f.now
		}
		now[i].Gone = time.Time{}
		n, tells := k.news(c)
		if tells && !now[i].Told && f.now.Sub(now[i].Since) >= n.after {
			now[i].Told = true
			began[n.kind] = append(began[n.kind], now[i])
		}
	}
	for _, c := range old {
		if !c.Told || slices.ContainsFunc(now, same(c)) {
			continue
		}
		if c.Gone.IsZero() {
			c.Gone = f.now
		}
		if n := told[c.Kind]; f.now.Sub(c.Gone) >= n.over {
			over[n.kind] = append(over[n.kind], c)
		} else {
			now = append(now, c)
		}
	}
	k.tellConditions(began, over, f)
	slices.SortStableFunc(now, func(a, b state.Condition) int { return strings.Compare(a.Kind+a.Host+a.Role, b.Kind+b.Host+b.Role) })
	return now
}

// news is how people are told of a condition, if they are.
func (k *keeper) news(c state.Condition) (n news, tells bool) {
	n, tells = told[c.Kind]
	if c.Kind == ConditionWaiting && c.Host == "" {
		n.after = k.set.ImageWait
	}
	return n, tells
}

// telling is when the next of the conditions is worth telling, if it holds until then, or worth telling that it is over; zero: none is.
func (k *keeper) telling(conditions []state.Condition) (at time.Time) {
	for _, c := range conditions {
		n, tells := k.news(c)
		switch {
		case tells && !c.Told && c.Gone.IsZero():
			at = earlier(at, c.Since.Add(n.after))
		case c.Told && !c.Gone.IsZero():
			at = earlier(at, c.Gone.Add(n.over))
		}
	}
	return at
}

// tellConditions tells once of each kind, whatever number of conditions it is.
func (k *keeper) tellConditions(began, over map[string][]state.Condition, f facts) {
	if fresh := k.freshFindings(f); len(fresh) > 0 {
		k.announce(Transition{Kind: "drifted", Summary: summary(fresh), Findings: fresh, Reasons: began["drifted"]})
		k.driftHooks(summary(fresh))
		delete(began, "drifted")
	}
	for _, kind := range kinds(began, over) {
		switch {
		case len(began[kind]) > 0:
			k.announce(Transition{Kind: kind, Summary: began[kind][0].Reason, Reasons: began[kind], Findings: f.findings})
		default:
			k.announce(Transition{Kind: kind, Summary: "over: " + over[kind][0].Reason, Reasons: over[kind], Over: true})
		}
	}
}

// freshFindings are those that nobody was told of, or that had been away for so long that they are news again.
func (k *keeper) freshFindings(f facts) (fresh []state.Finding) {
	for _, finding := range f.findings {
		if seen, known := k.toldOf[finding.ID]; !known || f.now.Sub(seen) >= staysTold {
			fresh = append(fresh, finding)
		}
		k.toldOf[finding.ID] = f.now
	}
	for id, seen := range k.toldOf {
		if f.now.Sub(seen) >= staysTold {
			delete(k.toldOf, id)
		}
	}
	return fresh
}

// staysTold is how long a finding must have been away to be told of again.
const staysTold = 10 * time.Minute

// present leaves out the conditions that are gone.
func present(all []state.Condition) []state.Condition {
	return slices.DeleteFunc(slices.Clone(all), func(c state.Condition) bool { return !c.Gone.IsZero() })
}

func same(c state.Condition) func(state.Condition) bool {
	return func(o state.Condition) bool { return o.Kind == c.Kind && o.Host == c.Host && o.Role == c.Role }
}

func kinds(maps ...map[string][]state.Condition) (list []string) {
	for _, m := range maps {
		for kind := range m {
			if !slices.Contains(list, kind) {
				list = append(list, kind)
			}
		}
	}
	slices.Sort(list)
	return list
}

func (k *keeper) announce(t Transition) {
	t.App, t.At = k.app, k.l.o.Now()
	if k.l.o.Notify != nil {
		k.l.o.Notify(t)
	}
}

// driftHooks runs the hooks at drift beside the worker, which goes on; those of the next drift come after them.
func (k *keeper) driftHooks(what string) {
	k.mu.Lock()
	hard := k.hard
	k.mu.Unlock()
	proposal, session := k.want.proposal, k.session
	if hard == nil || session == nil || proposal == nil || len(proposal.Release.Hooks.At(release.HookDrift, "")) == 0 {
		return
	}
	k.beside.Go(func() {
		_ = k.surviving(func() error { // it is said, and the next drift runs them again
			select {
			case k.hooking <- struct{}{}:
				defer func() { <-k.hooking }()
			case <-hard.Done():
				return nil
			}
			return session.DriftHooks(hard, proposal.Release, what)
		})
	})
}

func (k *keeper) tellHealed(f facts, d decision) {
	var places []string
	for _, at := range f.repairs.Places() {
		if !slices.Contains(d.except, at) {
			places = append(places, strings.TrimSuffix(at, "/"))
		}
	}
	k.announce(Transition{Kind: "healed", Summary: "healed: " + strings.Join(places, ", "), Findings: f.findings, Version: f.held.Version, Release: f.held.Number})
}

// tellReleased tells how a release or a rollback ended: verb and version are what was asked for, where nothing was begun that would say so.
func (k *keeper) tellReleased(verb, version string, report reconcile.Report, err error) {
	kind := cmp.Or(string(report.Kind), verb)
	if version = cmp.Or(report.Version, version); version != "" {
		kind += " of " + version
	}
	switch {
	case err != nil:
		k.announce(Transition{Kind: "failed", Summary: fmt.Sprintf("%s failed: %s", kind, firstLine(reconcile.Brief(err))), Version: version, Release: report.Release})
	case report.Release > 0:
		k.announce(Transition{Kind: "released", Summary: fmt.Sprintf("%s is release %d", kind, report.Release), Version: version, Release: report.Release})
	}
}

// history notes which findings came, and which went.
func (k *keeper) history(findings []state.Finding) {
	now := k.l.o.Now()
	var events []state.Event
	k.mu.Lock()
	old, healed := k.memory.Findings, k.memory.Heals
	k.mu.Unlock()
	note := func(f state.Finding, outcome string) {
		events = append(events, state.Event{At: now, Kind: EventDrift, Host: f.Host, Role: f.Role, Step: f.ID, Outcome: outcome, Message: f.Name + ": " + f.Reason, Who: "kamald"})
	}
	for _, f := range findings {
		if !slices.ContainsFunc(old, func(o state.Finding) bool { return o.ID == f.ID }) {
			note(f, DriftFound)
		}
	}
	for _, o := range old {
		if slices.ContainsFunc(findings, func(f state.Finding) bool { return f.ID == o.ID }) {
			continue
		}
		outcome := DriftGone
		if slices.ContainsFunc(healed, func(h state.Heal) bool {
			return h.Host == o.Host && h.Role == o.Role && h.At.After(o.Since) && h.Outcome == state.EventDone
		}) || k.mended(o) {
			outcome = DriftHealed
		}
		note(o, outcome)
	}
	if len(events) > 0 {
		_ = k.l.o.Store.Append(k.app, events...) // a store that cannot be written is a condition of its own
	}
}

// mended tells whether the newest repair was of the finding's place.
func (k *keeper) mended(f state.Finding) bool {
	return strings.Contains(k.tries.fixed, "/"+f.Host+"/"+f.Role)
}

// isStore tells whether an error is the store's.
func isStore(err error) bool { return strings.Contains(err.Error(), "the store ") }

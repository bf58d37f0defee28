package loop

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// told is which conditions people are told of, as what, and how long they must have held by then: what passes by itself is no news.
var told = map[string]struct {
	kind  string
	after time.Duration
}{
	ConditionDrifted:       {"drifted", 0},
	ConditionMovedByHand:   {"drifted", 0},
	ConditionFailed:        {"failed", time.Minute}, // of a release it is told at once, by itself
	ConditionQuarantined:   {"failed", 0},
	ConditionStoreBroken:   {"failed", time.Minute},
	ConditionSourceBroken:  {"failed", 5 * time.Minute},
	ConditionNotConverging: {"not-converging", 0},
	ConditionFlapping:      {"not-converging", 0},
	ConditionOverBudget:    {"not-converging", 0},
	ConditionApproval:      {"waiting", 0},
	ConditionWaiting:       {"waiting", 10 * time.Minute},
	ConditionHeld:          {"held", 0},
	ConditionUnreachable:   {"unreachable", time.Minute},
	ConditionLowDisk:       {"failed", time.Minute},
}

// settleConditions gives the conditions that hold now, with the time since when, and tells of those that began and ended.
func (k *keeper) settleConditions(now []state.Condition, f facts) []state.Condition {
	k.mu.Lock()
	old := k.memory.Conditions
	k.mu.Unlock()
	began, ended := map[string][]state.Condition{}, map[string][]state.Condition{}
	for i, c := range now {
		if at := slices.IndexFunc(old, same(c)); at >= 0 {
			now[i].Since, now[i].Told = old[at].Since, old[at].Told
		} else if c.Since.IsZero() {
			now[i].Since = f.now
		}
		news, tells := told[c.Kind]
		if c.Kind == ConditionWaiting && c.Host == "" {
			news.after = k.set.ImageWait
		}
		if tells && !now[i].Told && f.now.Sub(now[i].Since) >= news.after {
			now[i].Told = true
			began[news.kind] = append(began[news.kind], now[i])
		}
	}
	for _, c := range old {
		if c.Told && !slices.ContainsFunc(now, same(c)) {
			ended[told[c.Kind].kind] = append(ended[told[c.Kind].kind], c)
		}
	}
	for _, kind := range kinds(began, ended) {
		if len(began[kind]) > 0 {
			k.announce(Transition{Kind: kind, Summary: began[kind][0].Reason, Reasons: began[kind], Findings: f.findings})
		} else if len(ended[kind]) > 0 && kind != "drifted" { // that something was healed, or went away, is told by itself
			k.announce(Transition{Kind: kind, Summary: "over: " + ended[kind][0].Reason, Reasons: ended[kind], Over: true})
		}
	}
	slices.SortStableFunc(now, func(a, b state.Condition) int { return strings.Compare(a.Kind+a.Host+a.Role, b.Kind+b.Host+b.Role) })
	return now
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

func (k *keeper) tellHealed(f facts, d decision, now time.Time) {
	var places []string
	for _, at := range f.repairs.Places() {
		if !slices.Contains(d.except, at) {
			places = append(places, strings.TrimSuffix(at, "/"))
		}
	}
	k.announce(Transition{Kind: "healed", Summary: "healed: " + strings.Join(places, ", "), Findings: f.findings, Version: f.held.Version, Release: f.held.Number, At: now})
}

func (k *keeper) tellReleased(report reconcile.Report, err error, now time.Time) {
	switch {
	case err != nil:
		k.announce(Transition{Kind: "failed", Summary: fmt.Sprintf("%s of %s failed: %s", report.Kind, report.Version, firstLine(reconcile.Brief(err))), Version: report.Version, Release: report.Release, At: now})
	case report.Release > 0:
		k.announce(Transition{Kind: "released", Summary: fmt.Sprintf("%s of %s is release %d", report.Kind, report.Version, report.Release), Version: report.Version, Release: report.Release, At: now})
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
		events = append(events, state.Event{At: now, Kind: "drift", Host: f.Host, Role: f.Role, Step: f.ID, Outcome: outcome, Message: f.Name + ": " + f.Reason, Who: "kamald"})
	}
	for _, f := range findings {
		if !slices.ContainsFunc(old, func(o state.Finding) bool { return o.ID == f.ID }) {
			note(f, "found")
		}
	}
	for _, o := range old {
		if slices.ContainsFunc(findings, func(f state.Finding) bool { return f.ID == o.ID }) {
			continue
		}
		outcome := "gone"
		if slices.ContainsFunc(healed, func(h state.Heal) bool {
			return h.Host == o.Host && h.Role == o.Role && h.At.After(o.Since) && h.Outcome == state.EventDone
		}) || k.mended(o) {
			outcome = "healed"
		}
		note(o, outcome)
	}
	if len(events) > 0 {
		_ = k.l.o.Store.Append(k.app, events...) // a store that cannot be written is a condition of its own
		_ = k.l.o.Store.Trim(k.app, keepEvents, keepPlans)
	}
}

// mended tells whether the newest repair was of the finding's place.
func (k *keeper) mended(f state.Finding) bool {
	return strings.Contains(k.tries.fixed, "/"+f.Host+"/"+f.Role)
}

// What the store keeps of an app's past.
const (
	keepEvents = 10_000
	keepPlans  = 500
)

// isStore tells whether an error is the store's.
func isStore(err error) bool { return strings.Contains(err.Error(), "the store ") }

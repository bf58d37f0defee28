package loop

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/plan/drift"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// round looks at the app, says what it found, and does what is to be done. It never fails as a whole: what went wrong is a condition,
// and the next round is sooner or later for it.
func (k *keeper) round(soft, hard context.Context) {
	k.mu.Lock()
	woken := k.heard.take()
	if k.renewed {
		k.renewed = false
		k.tries.reset()
	}
	k.mu.Unlock()
	began := k.l.o.Now()
	round := Round{At: began, Why: woken.why}
	var next time.Time
	err := k.surviving(func() (err error) { next, err = k.look(soft, hard, woken, &round); return })
	if soft.Err() != nil && err != nil {
		return // it was asked to end, which is no finding
	}
	ended := k.l.o.Now()
	if err != nil {
		k.tries.look.fail(ended, mostPause, state.Condition{})
		next = earlier(next, k.tries.look.after)
		k.wrong(err)
	} else {
		k.tries.look.reset()
	}
	round.Took, round.Next = ended.Sub(began), next
	if err != nil {
		round.Error = reconcile.Brief(err)
	}
	k.publish(func(s *Status) {
		round.Number = s.Round.Number + 1
		s.Round = round
	})
}

// look is the round itself. It gives when the next one is due.
func (k *keeper) look(soft, hard context.Context, woken waking, round *Round) (time.Time, error) {
	why, hosts := woken.why, woken.hosts
	between := why == wakeEvent || why == wakeAgain // the timer's rounds, and what is ordered or proposed
	if k.want.proposal == nil || !k.want.fresh || !between {
		if err := k.read(soft); err != nil {
			return time.Time{}, err
		}
	}
	desired, settings := k.wanted()
	if err := k.reach(hard, k.want.proposal.Release); err != nil {
		return time.Time{}, err
	}
	survey, err := k.survey(soft, why, hosts, settings.Interval)
	if err != nil {
		return time.Time{}, err
	}
	chosen := error(nil)
	if !between || k.want.version == "" {
		if chosen = k.choose(soft, k.snapshot); chosen == nil {
			desired, settings = k.wanted()
		}
	}
	if k.want.proposal.Release.Version == "" && desired.Version != "" { // a policy's: the same is for what it chose
		survey.Same = survey.Same && survey.Drift.Held != nil && survey.Drift.Held.Version == desired.Version
	}
	f := k.facts(desired, settings, survey)
	blind := k.blinded(f.seen, f.now)
	round.EventAt, round.Seen = k.detected(f, k.signOf(woken)), f.now
	d := k.decide(&f)
	d.soon(blind)
	if err := k.remember(desired); err != nil {
		return time.Time{}, err
	}
	if why == wakeTimer {
		_ = k.l.o.Store.Trim(k.app, k.l.o.Events, k.l.o.Plans) // a store that cannot be written is met below
	}
	k.spend(f, d)
	if err := k.save(); err != nil { // what cannot be noted before is not done
		k.unspend()
		return time.Time{}, err
	}
	return k.carryOut(hard, f, d), chosen
}

// survey looks at the hosts that something was heard of, and at those of the last repair; at all of them for whatever is no event. A host
// that does not answer holds up only what looks at it.
func (k *keeper) survey(soft context.Context, why string, hosts []string, interval time.Duration) (reconcile.Survey, error) {
	options := reconcile.Options{Only: hosts, Patience: patience, Probe: why == wakeTimer, Failing: k.failing}
	all := why != wakeEvent || len(hosts) == 0
	if k.tries.verifies && (why == wakeEvent || why == wakeAgain) {
		options.Only, all = append(options.Only, k.tries.where...), len(k.tries.where) == 0
	}
	if all || k.familiar.IsZero() {
		options.Only = nil
	}
	survey, err := k.session.Survey(soft, k.want.proposal.Release, options)
	if err != nil {
		k.mu.Lock()
		k.heard.all = true // what was heard is not lost with it
		k.mu.Unlock()
		return survey, err
	}
	if options.Probe || k.due.IsZero() {
		k.due = k.l.o.Now().Add(interval + k.l.o.Jitter(interval/10))
	}
	k.failing, k.snapshot = survey.Failing, survey.Drift.Snapshot
	return survey, nil
}

// facts gathers what is decided by.
func (k *keeper) facts(desired release.Release, settings release.Reconcile, survey reconcile.Survey) facts {
	now := k.l.o.Now()
	if k.familiar.IsZero() {
		k.familiar = now
		if k.strange {
			k.familiar = now.Add(settings.Interval)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f := facts{now: now, settings: settings, memory: k.memory, wanted: desired, held: survey.Drift.Held, same: survey.Same, runs: survey.Runs, left: survey.Left,
		repairs: survey.Repairs.Plan, drift: survey.Drift.Plan, seen: survey.Drift.Snapshot, strange: now.Before(k.familiar), strangeUntil: k.familiar,
		failed: failedOf(survey.Records, desired), deaths: k.heard.ends(), back: maps.Clone(k.heard.back), tries: &k.tries, foreign: k.heard.foreign}
	f.findings = k.known(drift.Of(survey.Drift.Plan, now))
	return f
}

// known gives findings the time at which they were first seen, and what the engine said of them.
func (k *keeper) known(findings []state.Finding) []state.Finding {
	for i, f := range findings {
		if at := slices.IndexFunc(k.memory.Findings, func(old state.Finding) bool { return old.ID == f.ID }); at >= 0 {
			findings[i].Since, findings[i].Event = k.memory.Findings[at].Since, k.memory.Findings[at].Event
		}
		if said := k.heard.said[f.Host+"/"+f.Role]; said != "" && findings[i].Event == "" {
			findings[i].Event = said
		}
	}
	return findings
}

// signOf is the first that others did before a look, or else during it: a look may have begun with the signal that ended a container.
func (k *keeper) signOf(woken waking) sign {
	if !woken.sign.at.IsZero() {
		return woken.sign
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	told := k.heard.first
	k.heard.first = sign{}
	return told
}

// detected is when what a look has newly found happened, by this machine's clock as far as its distance to the engine's is known; zero
// where nothing was found that was not known, or no engine told of anything.
func (k *keeper) detected(f facts, told sign) time.Time {
	fresh := slices.ContainsFunc(f.findings, func(found state.Finding) bool {
		return !slices.ContainsFunc(k.memory.Findings, func(old state.Finding) bool { return old.ID == found.ID })
	})
	if told.at.IsZero() || !fresh {
		return time.Time{}
	}
	at := told.at
	if host, ok := f.seen.Host(told.host); ok {
		at = at.Add(-host.Engine.Ahead)
	}
	if at.After(f.now) {
		return f.now
	}
	return at
}

// failedOf is the newest attempt at exactly this release, when it failed by its own fault.
func failedOf(records []state.Record, desired release.Release) *state.Record {
	for i, r := range records { // the newest first
		if r.Version != desired.Version || !reconcile.Records(r, desired) {
			continue
		}
		switch r.Outcome {
		case state.OutcomeSucceeded, state.OutcomePartial:
			return nil
		case state.OutcomeFailed:
			if r.OwnFault {
				return &records[i]
			}
		}
	}
	return nil
}

// decide has the rules decide, and makes it known.
func (k *keeper) decide(f *facts) decision {
	if repair := repairOf(f.repairs, nil); k.tries.verifies {
		k.tries.verifies = false
		if repair != "" && repair == k.tries.fixed && !f.foreign {
			k.tries.again++
		} else {
			k.tries.again = 0
		}
	}
	d := decide(*f)
	if d.midway {
		f.findings = k.memory.Findings
		d.conditions = append(d.conditions, k.lasting(d.conditions)...)
	}
	if k.want.broken != nil {
		d.conditions = append(d.conditions, state.Condition{Kind: ConditionSourceBroken, Reason: k.want.broken.Error(), Since: k.want.since,
			Next: "the last good one holds: mend " + k.want.proposal.From})
	}
	k.history(f.findings)
	k.conclude(*f, d)
	d.soon(k.telling(k.memory.Conditions))
	return d
}

// lasting are the conditions that go on to hold while somebody is in the middle of a change: they are neither over nor new after it.
func (k *keeper) lasting(now []state.Condition) []state.Condition {
	return slices.DeleteFunc(present(k.memory.Conditions), func(c state.Condition) bool {
		return c.Kind == ConditionWaiting || c.Kind == ConditionUnreachable || c.Kind == ConditionSourceBroken || c.Kind == ConditionStoreBroken || slices.ContainsFunc(now, same(c))
	})
}

// conclude publishes what a look has found.
func (k *keeper) conclude(f facts, d decision) {
	conditions := k.settleConditions(d.conditions, f)
	k.mu.Lock()
	k.memory.Findings, k.memory.Conditions, k.memory.Settled = f.findings, conditions, d.settled
	if !f.strange || f.same && len(f.findings) == 0 { // else it is as strange to the next daemon
		k.memory.Comparator, k.familiar = k.l.o.Comparator, f.now
	}
	if k.memory.Held != d.held { // what ended meanwhile made way for it
		k.memory.Held = d.held
		clear(k.heard.deaths)
	}
	k.memory.Approved = slices.DeleteFunc(slices.Clone(k.memory.Approved), func(word string) bool { return slices.Contains(d.stale, word) })
	k.memory.Heals = slices.DeleteFunc(slices.Clone(k.memory.Heals), func(h state.Heal) bool { // a clock may have been set back
		return h.At.Before(f.now.Add(-f.settings.Window)) || h.At.After(f.now)
	})
	k.memory.Pauses = slices.DeleteFunc(slices.Clone(k.memory.Pauses), func(p state.Pause) bool { return !p.Holds(f.now) })
	for at := range k.heard.said { // what was said is for what is there
		if !slices.ContainsFunc(f.findings, func(o state.Finding) bool { return o.Host+"/"+o.Role == at }) {
			delete(k.heard.said, at)
		}
	}
	for host, back := range k.heard.back {
		if f.now.Sub(back) > settling {
			delete(k.heard.back, host)
		}
	}
	k.mu.Unlock()
	k.publish(func(s *Status) {
		s.Mode, s.Held, s.Places = f.settings.Mode, heldOf(f.held), places(f)
		s.Findings, s.Conditions = f.findings, present(conditions)
		s.Pending, s.Approve = d.pending, d.approve
		if len(f.findings) > 0 && len(f.repairs.Steps) > 0 && d.do != doHeal {
			repairs := f.repairs
			s.Pending = &repairs
		}
	})
}

// save keeps what the next daemon has to know.
func (k *keeper) save() error {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	memory := k.memory
	k.mu.Unlock()
	if k.term != nil {
		return k.term.Keep(memory)
	}
	return k.l.o.Store.SaveWatch(memory)
}

// wrong makes a round that was not carried through a condition. Whoever waits for an order hears of it, when the status says so.
func (k *keeper) wrong(err error) {
	defer k.refuseFrom(err, false)
	kind := ConditionFailed
	if isStore(err) {
		kind = ConditionStoreBroken
	} else if k.want.proposal == nil || k.want.broken != nil {
		kind = ConditionSourceBroken
	}
	conditions := k.settleConditions(append(k.others(kind), state.Condition{Kind: kind, Reason: firstLine(reconcile.Brief(err))}), facts{now: k.l.o.Now()})
	k.mu.Lock()
	k.memory.Conditions = conditions
	k.mu.Unlock()
	k.publish(func(s *Status) { s.Conditions = present(conditions) })
}

// others are the conditions that hold, but those of one kind.
func (k *keeper) others(kind string) []state.Condition {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(present(k.memory.Conditions), func(c state.Condition) bool { return c.Kind == kind })
}

func heldOf(r *state.Record) *Held {
	if r == nil {
		return nil
	}
	return &Held{Number: r.Number, Version: r.Version, Kind: r.Kind, Who: r.Who, Where: r.Where, At: r.Ended, Hold: r.Hold}
}

// places are the roles on hosts as they were seen.
func places(f facts) []Place {
	var list []Place
	cordoned := plan.CordonedIn(f.seen, f.now)
	for _, role := range f.wanted.Roles {
		for _, name := range role.Places() {
			place := Place{Host: name, Role: role.Name, Cordoned: cordoned[name]}
			host, ok := f.seen.Host(name)
			switch {
			case !ok:
				place.Unreachable = "it was not looked at"
			case host.Unreachable != "":
				place.Unreachable = host.Unreachable
			default:
				if c, serves := plan.CurrentOf(f.wanted.App(), host, role.Name); serves {
					place.Version, place.Container, place.Status, place.Health = c.Version(), c.Name, string(c.Status), c.Health
				}
			}
			list = append(list, place)
		}
	}
	return append(list, besides(f, cordoned)...)
}

// besides are the accessories on hosts as they were seen.
func besides(f facts, cordoned map[string]string) []Place {
	var list []Place
	for _, a := range f.wanted.Accessories {
		for _, name := range a.Hosts {
			place := Place{Host: name, Role: state.AccessoryRole(a.Name), Cordoned: cordoned[name]}
			host, ok := f.seen.Host(name)
			switch {
			case !ok:
				place.Unreachable = "it was not looked at"
			case host.Unreachable != "":
				place.Unreachable = host.Unreachable
			default:
				if c, there := plan.AccessoryOn(a, host); there {
					place.Version, place.Container, place.Status, place.Health = c.Live.Image, c.Name, string(c.Status), c.Health
				}
			}
			list = append(list, place)
		}
	}
	return list
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

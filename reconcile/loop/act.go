package loop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// carryOut does what was decided, and what people have ordered before all else. It gives when the next round is due.
func (k *keeper) carryOut(hard context.Context, f facts, d decision) time.Time {
	next := earlier(d.again, k.due)
	ticket, ordered := Ticket{}, false
	if !k.rollingBack() {
		ticket, ordered = k.nextOrder()
	}
	if ordered || d.do != doHeal || k.rollingBack() {
		k.unspend()
	}
	switch {
	case ordered:
		k.order(hard, f, ticket)
		return k.l.o.Now()
	case k.rollingBack():
		return next
	}
	switch d.do {
	case doRelease:
		return earlier(next, k.rollOut(hard, f))
	case doHeal:
		return earlier(next, k.repair(hard, f, d))
	case doPrune:
		return earlier(next, k.prune(hard, f, d))
	}
	return next
}

// repair heals, and gives when to look again: at once where it did something.
func (k *keeper) repair(hard context.Context, f facts, d decision) time.Time {
	options := reconcile.Options{Except: d.except, Orphans: d.orphans, Patience: patience, Failing: k.failing, Guard: k.asDecided(f, d), Seen: &f.seen}
	if !d.orphans && len(d.hosts) < len(f.seen.Hosts) {
		options.Hosts, options.Only = d.hosts, d.hosts
	}
	k.forget()
	report, err := k.during(plan.KindHeal, f.held.Version, "kamald", func() (reconcile.Report, error) {
		return k.session.Heal(hard, f.wanted, *f.held, options)
	})
	now := k.l.o.Now()
	k.spent(report, err)
	switch locked := (*reconcile.LockedError)(nil); {
	case err == nil:
		k.storm = 0 // what was heard led to something
		k.tries.heal.reset()
		k.tries.fixed, k.tries.where, k.tries.verifies = repairOf(f.repairs, nil), options.Only, true
		if d.orphans {
			k.approvedAway()
		}
		if report.Kind != plan.KindNone {
			k.tellHealed(f, d)
		}
		return now
	case errors.As(err, &locked), errors.Is(err, reconcile.ErrSuperseded), errors.Is(err, errOtherwise):
		return now.Add(lockPause)
	}
	k.tries.heal.fail(now, mostPause, state.Condition{Kind: ConditionFailed, Reason: "healing failed: " + firstLine(reconcile.Brief(err)), Next: "it is tried again with growing pauses"})
	return now
}

// errOtherwise: what was decided on is not what is there any more. Nothing was begun, and it is decided anew.
var errOtherwise = errors.New("it is otherwise than it was a moment ago; nothing was changed")

// asDecided refuses a repair that would make more containers than were decided on, or touch what a person has paused since.
func (k *keeper) asDecided(f facts, d decision) func(reconcile.Planned) error {
	boots := f.repairs.Boots()
	return func(planned reconcile.Planned) error {
		for _, at := range planned.Plan.Boots() {
			if !slices.Contains(boots, at) || slices.Contains(d.except, at) {
				return errOtherwise
			}
		}
		return k.mayBegin(f)
	}
}

// mayBegin is why nothing is begun: another daemon leads by now, or there is a pause that was not there when it was decided.
func (k *keeper) mayBegin(f facts) error {
	if err := k.leads(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.memory.Pauses, func(p state.Pause) bool { return p.Holds(k.l.o.Now()) && !slices.Contains(f.memory.Pauses, p) }) {
		return errOtherwise
	}
	return nil
}

// asLeader refuses what a person has ordered once another daemon leads: that one has to be asked.
func (k *keeper) asLeader(reconcile.Planned) error { return k.leads() }

// forget begins to tell what others do from what is done now.
func (k *keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard.foreign = false
}

// spend takes a repair from the budget before it begins: whatever becomes of this process, the next one knows of it.
func (k *keeper) spend(f facts, d decision) {
	if d.do != doHeal {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, at := range f.repairs.Boots() {
		if host, role, _ := strings.Cut(at, "/"); !slices.Contains(d.except, at) {
			k.memory.Heals = append(slices.Clone(k.memory.Heals), state.Heal{At: f.now, Host: host, Role: role, Outcome: state.EventIntended})
		}
	}
}

// spent says how a repair ended: an attempt counts whether it succeeded or not, and one that was not begun does not.
func (k *keeper) spent(report reconcile.Report, err error) {
	if report.Outcome == "" || report.Kind == plan.KindNone {
		k.unspend()
		return
	}
	outcome := state.EventDone
	if err != nil {
		outcome = state.EventFailed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.Heals = slices.Clone(k.memory.Heals)
	for i, heal := range k.memory.Heals {
		if heal.Outcome == state.EventIntended {
			k.memory.Heals[i].Outcome = outcome
		}
	}
}

// unspend gives back what was taken for a repair that is not begun.
func (k *keeper) unspend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.Heals = slices.DeleteFunc(slices.Clone(k.memory.Heals), func(heal state.Heal) bool { return heal.Outcome == state.EventIntended })
}

// prune makes room on hosts whose disk is nearly full.
func (k *keeper) prune(hard context.Context, f facts, d decision) time.Time {
	_, err := k.during(plan.KindPrune, f.held.Version, "kamald", func() (reconcile.Report, error) {
		return k.session.Prune(hard, f.wanted, reconcile.Options{Hosts: d.hosts, Patience: patience, Guard: func(reconcile.Planned) error { return k.mayBegin(f) }})
	})
	k.tries.room.fail(k.l.o.Now(), mostPause, state.Condition{}) // not again at once when it did not help
	if err != nil {
		k.progress(reconcile.Progress{At: k.l.o.Now(), Kind: "warn", Message: "making room failed: " + reconcile.Brief(err)})
	}
	return k.tries.room.after
}

// rollOut releases what is wanted.
func (k *keeper) rollOut(hard context.Context, f facts) time.Time {
	options := reconcile.Options{Guard: k.guard(f), Patience: patience}
	report, err := k.during(plan.KindRelease, f.wanted.Version, "kamald", func() (reconcile.Report, error) {
		return k.session.Apply(hard, f.wanted, options)
	})
	return k.released(f, report, err)
}

// released draws the consequences of a release that ended, and gives when to look again.
func (k *keeper) released(f facts, report reconcile.Report, err error) time.Time {
	now := k.l.o.Now()
	var (
		awaited *reconcile.AwaitedError
		locked  *reconcile.LockedError
		waits   *approvalError
		held    *reconcile.HeldError
		moved   *reconcile.HandMovedError
	)
	switch {
	case err == nil:
		k.storm = 0
		k.tries.reset()
		if report.Kind == plan.KindNone {
			k.tries.idle = idle{digest: release.Digest(f.wanted), held: numberOf(f.held), until: k.due}
			return now // for what is to be healed
		}
		k.approvedAway()
		k.tellReleased(VerbRelease, f.wanted.Version, report, nil)
		return now
	case errors.As(err, &waits):
		k.tries.approval = waits
		k.tries.release.fail(now, mostPause, state.Condition{Kind: ConditionApproval, Reason: waits.summary, Next: "`kamald approve " + waits.word + "`"})
	case errors.As(err, &awaited):
		k.tries.release.fail(now, imagePause, state.Condition{Kind: ConditionWaiting, Reason: awaited.Why, Next: "build and push it"})
	case errors.As(err, &locked), errors.As(err, &held), errors.As(err, &moved), errors.Is(err, reconcile.ErrSuperseded), errors.Is(err, errOtherwise):
		return now.Add(lockPause)
	default:
		k.tries.release.fail(now, mostPause, state.Condition{Kind: ConditionFailed, Reason: fmt.Sprintf("release of %s: %s", f.wanted.Version, firstLine(reconcile.Brief(err))),
			Next: "it is tried again with growing pauses", Told: true})
		if k.tries.release.failed == 1 && !report.OwnFault { // the next ones are no news, and a quarantine tells of itself
			k.tellReleased(VerbRelease, f.wanted.Version, report, err)
		}
	}
	return now
}

// approvalError: the plan would take away so much that a person has to say yes.
type approvalError struct {
	word    string
	summary string
	plan    plan.Plan
}

func (e *approvalError) Error() string {
	return e.summary + "\n  next: `kamald approve " + e.word + "`"
}

// guard refuses a plan that takes more of what runs away than max_remove, until it is approved; and one that would go over what
// somebody else has released since it was decided.
func (k *keeper) guard(f facts) func(reconcile.Planned) error {
	return func(planned reconcile.Planned) error {
		if planned.Held != nil && planned.Held.Number > numberOf(f.held) {
			return reconcile.ErrSuperseded
		}
		if err := k.mayBegin(f); err != nil {
			return err
		}
		running, removed := removals(planned)
		if len(removed) == 0 || len(removed)*100 <= running*f.settings.MaxRemove {
			return nil
		}
		key := word("remove", planned.Plan.Desired+strings.Join(removed, " "))
		k.mu.Lock()
		defer k.mu.Unlock()
		if slices.Contains(k.memory.Approved, key) {
			return nil
		}
		return &approvalError{word: key, plan: planned.Plan, summary: fmt.Sprintf("it would remove %d of the %d containers that run (%s), more than the %d%% of max_remove",
			len(removed), running, strings.Join(removed, ", "), f.settings.MaxRemove)}
	}
}

// removals counts the app's containers that run, and names those that would end with nothing in their place.
func removals(planned reconcile.Planned) (running int, removed []string) {
	app := planned.Desired.App()
	runs := map[string]bool{}
	for _, host := range planned.Snapshot.Hosts {
		for _, c := range host.Containers {
			if c.Service == app.Service && c.Destination == app.Destination && c.Role != "" && c.Running() {
				running++
				runs[host.Name+"/"+c.Name] = true
			}
		}
	}
	for _, item := range planned.Plan.Items {
		if at := item.Host + "/" + item.Name; item.Action == plan.Remove && item.Cause == plan.Orphan && item.Deferred == "" && runs[at] {
			removed = append(removed, at)
		}
	}
	slices.Sort(removed)
	return running, removed
}

func numberOf(r *state.Record) int {
	if r == nil {
		return 0
	}
	return r.Number
}

// approvedAway forgets what was approved: it is done, or something else is.
func (k *keeper) approvedAway() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.Approved = nil
}

// order carries out what a person has ordered.
func (k *keeper) order(hard context.Context, f facts, ticket Ticket) {
	k.l.tellTicket(k.l.tickets.begin(ticket.ID))
	order := ticket.Order
	desired, err := k.ordered(f, order)
	if err != nil {
		k.l.tellTicket(k.l.tickets.end(ticket.ID, nil, err))
		return
	}
	var report reconcile.Report
	err = k.surviving(func() (err error) {
		report, err = k.during(plan.KindRelease, desired.Version, order.By.String(), func() (reconcile.Report, error) {
			return k.session.Waiting(orderPatience).As(order.By.Who).Apply(hard, desired, reconcile.Options{Hold: true, Patience: patience, Guard: k.asLeader})
		})
		return err
	})
	k.tries.reset()
	k.orderEnded(ticket, report, err)
}

// orderPatience is how long an order waits for another's lock.
const orderPatience = 10 * time.Minute

// ordered is the release of an order; the error is why it is refused.
func (k *keeper) ordered(f facts, order Order) (release.Release, error) {
	desired := k.want.proposal.Release
	if order.Release != nil {
		desired = *order.Release
		desired.Hooks = k.want.proposal.Release.Hooks // commands are the source's, whoever sends a release
	}
	if order.Version != "" {
		desired.Version = order.Version
	}
	if order.SkipHooks {
		desired.Hooks = release.Hooks{}
	}
	records, err := k.l.o.Store.Releases(k.app)
	if err != nil {
		return desired, err
	}
	failed := failedOf(records, desired)
	var d decision
	switch {
	case desired.App() != k.app:
		return desired, fmt.Errorf("the release is of %s, and the order for %s", desired.App(), k.app)
	case desired.Version == "":
		return desired, errors.New("no version is given, and the source names none")
	case failed != nil && !order.Retry:
		return desired, fmt.Errorf("release %d of %s failed by its own fault: %s\n  next: mend that, then `kamald release %s --retry`", failed.Number, desired.Version, firstLine(failed.Reason), desired.Version)
	case d.paused(f, "", ""):
		return desired, fmt.Errorf("nothing is released while it is %s\n  next: `kamald unpause`", d.conditions[0].Reason)
	case d.frozen(f):
		return desired, fmt.Errorf("nothing is released in the %s\n  next: wait, or run `kamald apply` yourself", d.conditions[0].Reason)
	}
	return desired, nil
}

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
	next := earlier(d.again, f.now.Add(f.settings.Interval+k.l.o.Jitter(f.settings.Interval/10)))
	if k.rollingBack() {
		return next
	}
	if ticket, ok := k.nextOrder(); ok {
		k.order(hard, f, ticket)
		return k.l.o.Now()
	}
	if d.midway {
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
	options := reconcile.Options{Except: d.except, Orphans: d.orphans}
	if !d.orphans && len(d.hosts) < len(f.seen.Hosts) {
		options.Hosts, options.Only = d.hosts, d.hosts
	}
	k.forget()
	done := k.begin(plan.KindHeal, f.held.Version, "kamald")
	report, err := k.session.Heal(hard, f.wanted, *f.held, options)
	done()
	k.ended(report, err)
	now := k.l.o.Now()
	k.noteHeals(f, d, report, err, now)
	switch locked := (*reconcile.LockedError)(nil); {
	case err == nil:
		k.tries.heal.reset()
		k.tries.fixed, k.tries.verifies = repairOf(f.repairs, nil), true
		if d.orphans {
			k.approvedAway()
		}
		if report.Kind != plan.KindNone {
			k.tellHealed(f, d, now)
		}
		return now
	case errors.As(err, &locked), errors.Is(err, reconcile.ErrSuperseded):
		return now.Add(lockPause)
	}
	k.tries.heal.fail(now, mostPause, state.Condition{Kind: ConditionFailed, Reason: "healing failed: " + firstLine(reconcile.Brief(err)), Next: "it is tried again with growing pauses"})
	return now
}

// forget begins to tell what others do from what is done now.
func (k *keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard.foreign = false
}

// noteHeals spends the budget: an attempt counts whether it succeeded or not.
func (k *keeper) noteHeals(f facts, d decision, report reconcile.Report, err error, now time.Time) {
	if err != nil && len(report.Plan.Steps) == 0 || err == nil && report.Kind == plan.KindNone {
		return // nothing was begun
	}
	outcome := state.EventDone
	if err != nil {
		outcome = state.EventFailed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, at := range f.repairs.Boots() {
		if slices.Contains(d.except, at) {
			continue
		}
		host, role, _ := strings.Cut(at, "/")
		k.memory.Heals = append(k.memory.Heals, state.Heal{At: now, Host: host, Role: role, Outcome: outcome})
	}
}

// prune makes room on hosts whose disk is nearly full.
func (k *keeper) prune(hard context.Context, f facts, d decision) time.Time {
	done := k.begin(plan.KindPrune, f.wanted.Version, "kamald")
	report, err := k.session.Apply(hard, f.wanted, reconcile.Options{Prune: true, Hosts: d.hosts, SkipUnreachable: true})
	done()
	k.ended(report, err)
	k.tries.room.fail(k.l.o.Now(), mostPause, state.Condition{}) // not again at once when it did not help
	if err != nil {
		k.progress(reconcile.Progress{At: k.l.o.Now(), Kind: "warn", Message: "making room failed: " + reconcile.Brief(err)})
	}
	return k.tries.room.after
}

// rollOut releases what is wanted.
func (k *keeper) rollOut(hard context.Context, f facts) time.Time {
	options := reconcile.Options{Guard: k.guard(f)}
	done := k.begin(plan.KindRelease, f.wanted.Version, "kamald")
	report, err := k.session.Apply(hard, f.wanted, options)
	done()
	k.ended(report, err)
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
		k.tries.reset()
		k.approvedAway()
		k.tellReleased(report, nil, now)
		return now
	case errors.As(err, &waits):
		k.tries.approval = waits
		k.tries.release.fail(now, mostPause, state.Condition{Kind: ConditionApproval, Reason: waits.summary, Next: "`kamald approve " + waits.word + "`"})
	case errors.As(err, &awaited):
		k.tries.release.fail(now, imagePause, state.Condition{Kind: ConditionWaiting, Reason: awaited.Why, Next: "build and push it"})
	case errors.As(err, &locked), errors.As(err, &held), errors.As(err, &moved), errors.Is(err, reconcile.ErrSuperseded):
		return now.Add(lockPause)
	default:
		k.tries.release.fail(now, mostPause, state.Condition{Kind: ConditionFailed, Reason: fmt.Sprintf("release of %s: %s", f.wanted.Version, firstLine(reconcile.Brief(err))),
			Next: "it is tried again with growing pauses"})
		if k.tries.release.failed == 1 { // the next ones are no news
			k.tellReleased(report, err, now)
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

// guard refuses a plan that takes more of what runs away than max_remove, until it is approved.
func (k *keeper) guard(f facts) func(reconcile.Planned) error {
	return func(planned reconcile.Planned) error {
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
	done := k.begin(plan.KindRelease, desired.Version, order.By.String())
	report, err := k.session.Waiting(orderPatience).As(order.By.Who).Apply(hard, desired, reconcile.Options{Hold: true})
	done()
	k.ended(report, err)
	k.tries.reset()
	k.tellReleased(report, err, k.l.o.Now())
	var shown *reconcile.Report
	if report.Kind != "" {
		shown = &report
	}
	k.l.tellTicket(k.l.tickets.end(ticket.ID, shown, err))
}

// orderPatience is how long an order waits for another's lock.
const orderPatience = 10 * time.Minute

// ordered is the release of an order; the error is why it is refused.
func (k *keeper) ordered(f facts, order Order) (release.Release, error) {
	desired := k.want.proposal.Release
	if order.Release != nil {
		desired = *order.Release
	}
	if order.Version != "" {
		desired.Version = order.Version
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

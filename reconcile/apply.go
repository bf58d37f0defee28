package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// ErrProblems: the plan has problems, so nothing was begun.
var ErrProblems = errors.New("the plan cannot be carried out")

// Apply makes the desired release true: it looks, plans, locks, looks again, acts, and reads the outcome back. An empty plan
// takes no lock and writes nothing to any server; it only takes a lock away that a run which is gone has left. The report is
// there also when the error is not nil, unless nothing was begun.
func (c *Controller) Apply(ctx context.Context, desired release.Release, options Options) (_ Report, err error) {
	defer c.survive(&err)
	began := c.now()
	first, err := c.Plan(ctx, desired, options)
	if err != nil {
		return Report{}, err
	}
	for _, warning := range first.Plan.Warnings {
		c.report(Progress{Kind: "warn", Message: warning})
	}
	c.sayChoice(first.Plan.VersionPolicy)
	if n := countSteps(first.Plan); n > 0 {
		c.report(Progress{Kind: "planned", Message: fmt.Sprintf("steps planned: %d", n)})
	}
	if err := first.refused(); err != nil {
		return Report{}, err
	}
	if err := problems(first.Plan); err != nil {
		return Report{Kind: first.Plan.Kind, Version: first.Desired.Version, Skipped: first.Plan.Unreachable, Plan: first.Plan}, err
	}
	if err := first.guarded(options); err != nil {
		return Report{}, err
	}
	report := c.done(Report{Outcome: state.OutcomeSucceeded, Kind: first.Plan.Kind}, first, first.Snapshot, began)
	if first.Plan.Empty() {
		err = c.sweep(ctx, first)
	} else {
		report, err = c.applyLocked(ctx, first, options)
	}
	if err == nil && options.given() && (report.Kind == plan.KindNone || report.Kind == plan.KindHeal) {
		err = c.holdOn(ctx, desired) // it runs already: nothing was recorded that says so
	}
	report.Took = c.now().Sub(began)
	return report, err
}

// applyLocked takes the locks and acts on what it sees then.
func (c *Controller) applyLocked(ctx context.Context, first Planned, options Options) (report Report, err error) {
	locks, err := c.lock(ctx, wide(first.Desired, first.Snapshot), lockable(first), first.Snapshot, string(first.Plan.Kind))
	if err != nil {
		return Report{}, byHand(first.Plan, err)
	}
	defer func() { err = errors.Join(err, locks.release(ctx)) }()
	planned, err := c.again(ctx, first, locks, options)
	if err != nil {
		return Report{}, err
	}
	if err := planned.refused(); err != nil {
		return Report{}, err
	}
	if err := problems(planned.Plan); err != nil {
		return Report{Kind: planned.Plan.Kind, Version: planned.Desired.Version, Skipped: planned.Plan.Unreachable, Plan: planned.Plan}, err
	}
	if err := planned.guarded(options); err != nil {
		return Report{}, err
	}
	if planned.Plan.Empty() {
		return c.done(Report{Outcome: state.OutcomeSucceeded, Kind: planned.Plan.Kind}, planned, planned.Snapshot, c.now()), nil
	}
	if err := locks.seal(ctx, planned.Snapshot); err != nil {
		return Report{}, err
	}
	report, err = c.carryOut(ctx, planned, locks, options)
	if err == nil {
		err = c.settled(ctx, planned, locks, options)
	}
	return report, err
}

// again looks once more under the lock, and plans again when the world moved between the two looks.
func (c *Controller) again(ctx context.Context, first Planned, locks *Locks, options Options) (Planned, error) {
	began := c.now()
	snapshot, keys, err := c.observeAgain(ctx, options.Patience, first.Desired, first.Snapshot, locks.among(options.Only)...)
	if err != nil {
		return Planned{}, err
	}
	locks.confirm(&snapshot, began)
	if options.Pin == nil && first.Plan.Pin.Value() != "" {
		options.Pin = &first.Plan.Pin // what was planned is what is done, whatever the tag does meanwhile
	}
	options.choice = first.Plan.VersionPolicy
	planned, err := c.planFrom(ctx, first.Desired, snapshot, keys, options)
	if err == nil {
		err = c.chosenStill(ctx, first, planned)
	}
	if err == nil && options.RollbackOf != nil && planned.Held != nil && planned.Held.Number > options.heldThen {
		return Planned{}, errMoved
	}
	return planned, err
}

// carryOut walks the plan, undoes it when it fails, and reads the outcome back.
func (c *Controller) carryOut(ctx context.Context, planned Planned, locks *Locks, options Options) (Report, error) {
	r, err := c.newRun(planned, locks, options)
	if err != nil {
		return Report{}, err
	}
	defer r.cargo.close()
	if err := r.noted(ctx); err != nil {
		return Report{}, err
	}
	r.heed(planned)
	if c.Planned != nil {
		c.Planned(planned.Plan)
	}
	outcomes := walk(locks.run, planned.Plan.Kind, planned.Plan.Steps, pullTurns(planned), r.do)
	failure := failureOf(ctx, locks, outcomes, planned.Plan.Steps)
	report := Report{Outcome: state.OutcomeSucceeded, Kind: planned.Plan.Kind, Release: r.record.Number}
	after := context.WithoutCancel(ctx)
	if failure != nil {
		locks.hurry()
		report.Outcome = state.OutcomeFailed
		cancelled := IsCancelled(failure)
		if ctx.Err() != nil || cancelled {
			report.Outcome = state.OutcomeCancelled
		}
		// Who interrupts a release did not ask to look at how it failed: halting is for failures, and of releases. The old one of an
		// accessory that was made anew has stopped by then: it always comes back.
		halts := planned.Desired.Rollout.Halt && planned.Plan.Kind != plan.KindAccessory
		if !lateOnly(outcomes) && (!halts || ctx.Err() != nil) || cancelled {
			report.Undone = true
			report.Left = r.undo(after, outcomes)
		}
	}
	looks := c.now()
	snapshot, _, looked := c.observeAgain(after, options.Patience, planned.Desired, planned.Snapshot, locks.among(options.Only)...)
	locks.confirm(&snapshot, looks)
	if report.Outcome == state.OutcomeFailed && !lateOnly(outcomes) {
		r.failureHooks(after, failure)
	}
	r.audit.close(failure)
	r.beside.Wait()
	report = c.done(report, planned, snapshot, r.record.Started)
	r.sayWhatStays(&report, failure)
	if failure != nil && !lateOnly(outcomes) {
		report.Left = append(report.Left, r.hooksStay()...)
	}
	if failure != nil && !report.Undone {
		report.Left = append(report.Left, r.running(snapshot)...)
	}
	r.note(&report, outcomes, failure)
	report.Carried = r.cargo.carried(planned.Desired.Hosts)
	report.OwnFault = ownFault(report.Outcome, failure)
	var ended error
	if failure == nil {
		ended = endedSince(&report)
	}
	r.recordFailure(after, report, outcomes, failure)
	r.tidyHooks(after)
	return report, errors.Join(failure, ended, looked, r.keep(planned, report, snapshot, failure, outcomes))
}

// noted writes down what is going to be done: there is no mutation without a record before it.
func (r *run) noted(ctx context.Context) error {
	kept := planRecord(r.plan, r.record)
	if err := r.c.Store.SavePlan(r.desired.App(), kept); err != nil {
		return err
	}
	if isRelease(r.plan.Kind) {
		if err := r.c.Store.SaveRelease(r.record); err != nil {
			return err
		}
	}
	return r.intend(ctx, kept.Nonce)
}

// heed listens for who asks the run to end, on the first host that it has locked: all that is left to do may be on hosts that left.
func (r *run) heed(planned Planned) {
	if order := lockOrder(planned.Desired, lockable(planned)); len(order) > 0 {
		r.locks.done.Go(func() { // what breaks there takes nothing but the chance to cancel
			_ = r.c.safely(func() error { r.locks.heed(order[0].Name); return nil })
		})
	}
}

func (c *Controller) newRun(planned Planned, locks *Locks, options Options) (*run, error) {
	body, err := packRelease(recordedAs(planned))
	if err != nil {
		return nil, err
	}
	r := &run{c: c, locks: locks, plan: planned.Plan, desired: planned.Desired, hosts: hostsOf(wide(planned.Desired, planned.Snapshot)), paths: layoutOf(planned.Desired),
		seen: planned.Snapshot, ids: map[string]string{}, inUse: map[string]bool{}, restarts: options.restart, retain: options.Retain, registry: c.credentials(planned.Desired)}
	r.record = state.Record{Schema: state.RecordSchema, Number: locks.Fence, Fence: locks.Fence, App: planned.Desired.App(),
		Version: planned.Desired.Version, Image: planned.Desired.Image(), Digest: planned.Plan.Pin.Digest, ImageID: planned.Plan.Pin.ID,
		Release: body, Kind: string(planned.Plan.Kind), Who: c.Owner.Who, Where: c.Owner.Where(), Started: c.now(), Outcome: state.OutcomeRunning, Lock: locks.nonce}
	r.record.Plan = cmp.Or(options.nonce, fmt.Sprintf("%d-%d", r.record.Number, r.record.Started.UnixNano()))
	if options.RollbackOf != nil {
		r.record.From = options.RollbackOf.Number
	}
	r.record.Hold = options.given()
	if slices.ContainsFunc(planned.Plan.Steps, func(s plan.Step) bool { return s.Kind == plan.StepImage }) {
		if _, err := r.registry.get(); err != nil {
			return nil, err
		}
		r.cargo = newCargo(c, planned.Plan.Pin.ID)
	}
	return r, nil
}

func planRecord(p plan.Plan, record state.Record) state.PlanRecord {
	data, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("reconcile: a plan always encodes: %v", err))
	}
	return state.PlanRecord{Nonce: record.Plan, At: record.Started, Release: record.Number, Plan: data}
}

// failureOf joins the errors of steps that began and failed, in the plan's order. A run that did not carry out every step has
// failed too, whatever ended it.
func failureOf(ctx context.Context, locks *Locks, outcomes map[string]outcome, steps []plan.Step) error {
	var errs []error
	seen := map[string]bool{}
	for _, s := range steps {
		o := outcomes[s.ID]
		if o.err == nil || o.skipped || IsCancelled(o.err) || errors.Is(o.err, errSkipped) || errors.Is(o.err, errAbandoned) || seen[o.err.Error()] {
			continue
		}
		seen[o.err.Error()] = true
		errs = append(errs, o.err)
	}
	cancelled := locks.cancelledBy()
	switch lost := context.Cause(locks.run); {
	case cancelled != nil && !finished(outcomes):
		return errors.Join(append([]error{cancelled}, errs...)...)
	case len(errs) > 0 || finished(outcomes):
		return errors.Join(errs...)
	case errors.Is(lost, ErrLeaseLost):
		return lost
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return errors.New("not every step was carried out")
}

// finished tells whether every step was carried out.
func finished(outcomes map[string]outcome) bool {
	for _, o := range outcomes {
		if o.err != nil {
			return false
		}
	}
	return true
}

// lateOnly tells whether everything up to the switch succeeded: then the release serves, and is not taken back because a tag or
// a removal failed.
func lateOnly(outcomes map[string]outcome) bool {
	for _, o := range outcomes {
		if o.err != nil && o.step.Phase < plan.PhaseFinish {
			return false
		}
	}
	return true
}

// intend notes in the store what is about to be done, before any of it is.
func (r *run) intend(ctx context.Context, nonce string) error {
	r.notes = &journal{c: r.c, app: r.record.App, nonce: nonce, release: r.record.Number}
	r.audit = newAuditFiles(ctx, r)
	var deeds []deed
	for _, s := range r.plan.Steps {
		if d, ok := stepDeed(s); ok {
			deeds = append(deeds, d)
		}
	}
	return r.notes.intend(deeds...)
}

// isRelease tells whether carrying out a plan is a release.
func isRelease(kind plan.Kind) bool {
	return kind != plan.KindHeal && kind != plan.KindPrune && kind != plan.KindAccessory
}

// keep writes what happened into the store.
func (r *run) keep(planned Planned, report Report, snapshot state.Snapshot, failure error, outcomes map[string]outcome) error {
	record := r.record
	record.Ended, record.Outcome = r.c.now(), report.Outcome
	if failure == nil || !report.Undone && written(outcomes) {
		record.Outcome = recorded(planned.Plan) // as the servers have it, also where something after it has failed
	}
	if failure != nil {
		record.Reason, record.OwnFault = Brief(failure), report.OwnFault
	}
	var errs []error
	if isRelease(planned.Plan.Kind) {
		errs = append(errs, r.c.Store.SaveRelease(record))
	}
	for _, s := range planned.Plan.Steps {
		if d, ok := stepDeed(s); ok {
			err := outcomes[s.ID].err
			if r.inUse[s.ID] {
				err = fmt.Errorf("%w: %w", errSkipped, errInUse)
			}
			r.notes.end(d, err)
		}
	}
	ending := r.notes.event(deed{kind: string(planned.Plan.Kind), message: fmt.Sprintf("%s of %s %s", planned.Plan.Kind, record.App, record.Version)},
		string(report.Outcome), failure)
	errs = append(errs, r.notes.write(ending), r.c.Store.SaveSnapshot(snapshot))
	return errors.Join(errs...)
}

// written tells whether a host has the record of the release: then it is held.
func written(outcomes map[string]outcome) bool {
	for _, o := range outcomes {
		if o.step.Kind == plan.StepRecord && o.err == nil {
			return true
		}
	}
	return false
}

// problems turns a plan's problems into one error.
func problems(p plan.Plan) error {
	var errs []error
	for _, problem := range p.Problems {
		where := strings.Trim(problem.Host+"/"+problem.Role, "/")
		if where != "" {
			where += ": "
		}
		errs = append(errs, fmt.Errorf("%s%s\n  next: %s", where, problem.Summary, problem.Next))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w; nothing was changed:\n%w", ErrProblems, errors.Join(errs...))
}

// reachable gives the hosts that were observed: the plan touches no others.
func reachable(planned Planned) []release.Host {
	var hosts []release.Host
	for _, on := range planned.Desired.Hosts {
		if host, ok := planned.Snapshot.Host(on.Name); ok && host.Unreachable == "" {
			hosts = append(hosts, on)
		}
	}
	return hosts
}

// countSteps counts what does something.
func countSteps(p plan.Plan) int {
	n := 0
	for _, s := range p.Steps {
		if s.Kind != plan.StepGate && s.Kind != plan.StepBarrier {
			n++
		}
	}
	return n
}

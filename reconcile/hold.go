package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// HeldError: a person holds a release, and what was proposed is another.
type HeldError struct {
	Held   state.Record
	Wanted string   // the version that was proposed
	Behind []string // hosts that have missed what is held, and run another version
}

func (e *HeldError) Error() string {
	text := fmt.Sprintf("%s; version %s as the file has it was not applied\n"+
		"  next: `kamald resume` lifts the hold, or `kamald release %s` releases that version and holds it",
		heldText(e.Held), e.Wanted, e.Wanted)
	if len(e.Behind) > 0 {
		again := "kamald release " + e.Held.Version
		if e.Held.Kind == string(plan.KindRollback) {
			again = "kamald rollback --version " + e.Held.Version // with the configuration that it went back to
		}
		text += fmt.Sprintf("\n  not there yet: %s; `%s` brings what is held to every host", strings.Join(e.Behind, ", "), again)
	}
	return text
}

// HandMovedError: another than kamald has moved a version, and no record says so.
type HandMovedError struct{ Moves []plan.HandMove }

func (e *HandMovedError) Error() string {
	text := "somebody moved a version without kamald, so nothing was changed:"
	for _, m := range e.Moves {
		text += "\n  " + m.String()
	}
	return text + "\n  next: `kamald adopt` takes what runs now as the release that is held, or `kamald release VERSION` goes to that version"
}

// heldText says who holds what, and since when.
func heldText(held state.Record) string {
	by, since := held.Who+"@"+held.Where, held.Ended
	if held.HoldBy != "" {
		by, since = held.HoldBy, held.HoldAt
	}
	return fmt.Sprintf("release %d (%s of version %s) is held by %s since %s", held.Number, held.Kind, held.Version, by, since.UTC().Format(time.RFC3339))
}

// given tells whether a person named the release: that goes through a hold, and sets one.
func (o Options) given() bool { return o.Hold || o.RollbackOf != nil }

// waits defers a plan that must not be carried out: what a file proposes while a person holds another release, and anything
// while a version was moved by hand. Repairs of what is held do not wait, nor
// does it where a host has missed it, and neither does making room: that moves no version.
func (p Planned) waits(options Options) Planned {
	if options.given() || options.measures {
		return p
	}
	switch kind := p.Plan.Kind; {
	case len(p.Plan.Moved) > 0:
		p.Plan = p.Plan.Wait("a version was moved by hand, until `kamald adopt` or `kamald release VERSION`")
	case p.Held != nil && p.Held.Hold && !(p.same && kind == plan.KindConfig) && kind != plan.KindNone && kind != plan.KindHeal && kind != plan.KindPrune && kind != plan.KindAccessory:
		p.Plan = p.Plan.Wait(heldText(*p.Held) + ", until `kamald resume` or a newer `kamald release VERSION`")
	}
	return p
}

// refused is why a plan that waits is not applied.
func (p Planned) refused() error {
	switch {
	case p.Plan.Waits == "":
		return nil
	case len(p.Plan.Moved) > 0:
		return &HandMovedError{Moves: p.Plan.Moved}
	case p.Plan.Awaited != "":
		return &AwaitedError{What: p.Plan.Awaited, Why: p.Plan.Waits}
	}
	return &HeldError{Held: *p.Held, Wanted: p.Desired.Version, Behind: p.behind()}
}

// behind are the hosts on which a role serves with another version than the held one.
func (p Planned) behind() (list []string) {
	app := p.Desired.App()
	for _, on := range p.Desired.Hosts {
		host, ok := p.Snapshot.Host(on.Name)
		if !ok || host.Unreachable != "" {
			continue
		}
		for _, role := range p.Desired.Roles {
			c, serves := plan.CurrentOf(app, host, role.Name)
			if serves && c.Version() != p.Held.Version && slices.Contains(role.Hosts, on.Name) {
				list = append(list, fmt.Sprintf("%s runs %s of version %s", on.Name, role.Name, c.Version()))
			}
		}
	}
	return list
}

// Resumed is how a hold was lifted.
type Resumed struct {
	Lifted  bool           `json:"lifted"`            // false: nothing was held
	Release *state.Record  `json:"release,omitempty"` // the held one
	Skipped []plan.Skipped `json:"skipped,omitempty"` // hosts that could not be reached: what the others say counts
}

// Resume lifts the hold of the newest release, so that what is proposed is applied again.
func (c *Controller) Resume(ctx context.Context, desired release.Release) (Resumed, error) {
	return c.setHold(ctx, desired, false)
}

// holdOn sets the hold on the release that runs. Where a part of the servers runs another version than the held one, that part's
// own record has the hold: the held release is not what was given.
func (c *Controller) holdOn(ctx context.Context, desired release.Release) error {
	known, _, err := c.Store.Snapshot(desired.App())
	if err != nil {
		return err
	}
	switch held := newestRecord(known); {
	case held == nil:
		return fmt.Errorf("version %s runs already, and no record says so: nothing was changed, and nothing holds it\n  next: `kamald adopt` takes what runs as the release that is held", desired.Version)
	case held.Version != desired.Version:
		return nil
	}
	_, err = c.setHold(ctx, desired, true)
	return err
}

// setHold rewrites the newest record, under the lock, on every host that has it. A run that was killed in the middle is finished
// by the next: copies that differ are written again.
func (c *Controller) setHold(ctx context.Context, desired release.Release, hold bool) (Resumed, error) {
	desired, err := c.uncordoned(desired)
	if err != nil {
		return Resumed{}, err
	}
	seen, _, err := observe(ctx, c.fleet, 0, desired, state.Snapshot{}, c.now()) // nothing is known: every record is read
	if err != nil {
		return Resumed{}, err
	}
	result := Resumed{Skipped: skipped(seen)}
	held := newestRecord(seen)
	if held == nil {
		return result, errors.New("no release is recorded on the servers, so there is nothing to hold or to resume")
	}
	result.Release = held
	if held.Hold == hold && sameEverywhere(seen, *held) {
		return result, nil
	}
	reason := map[bool]string{true: "hold", false: "resume"}[hold]
	locks, err := c.lock(ctx, desired, reached(desired, seen), seen, reason)
	if err != nil {
		return result, err
	}
	lifted, err := c.rewrite(ctx, desired, locks, seen, hold, reason)
	if err = errors.Join(err, locks.release(ctx)); err != nil {
		return result, err
	}
	result.Lifted, result.Release = true, lifted
	return result, nil
}

// rewrite looks again under the lock, and writes.
func (c *Controller) rewrite(ctx context.Context, desired release.Release, locks *Locks, before state.Snapshot, hold bool, reason string) (*state.Record, error) {
	began := c.now()
	seen, _, err := observe(ctx, c.fleet, 0, desired, state.Snapshot{}, began, unreachable(before)...)
	if err != nil {
		return nil, err
	}
	locks.confirm(&seen, began)
	held := newestRecord(seen)
	if held == nil {
		return nil, errors.New("the release records are gone since the look before")
	}
	next := *held
	next.Revision++
	next.Hold, next.HoldBy, next.HoldAt = hold, c.Owner.Who+"@"+c.Owner.Where(), c.now()
	message := fmt.Sprintf("%s release %d (version %s)", reason, next.Number, next.Version)
	if err := c.writeRecords(ctx, desired, locks, seen, next, reason, message, func(h state.Host) bool { return h.Record != nil && h.Record.Number == next.Number }); err != nil {
		return nil, err
	}
	return &next, nil
}

// writeRecords puts a record on hosts: first the mark in the fence's file, so that nobody trusts an older copy, then the record.
// The store gets it when some host has it.
func (c *Controller) writeRecords(ctx context.Context, desired release.Release, locks *Locks, seen state.Snapshot, record state.Record, kind, message string, which func(state.Host) bool) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	deeds := make([]deed, len(desired.Hosts))
	marks := make([]fenceMark, len(desired.Hosts))
	var begun []deed
	for i, on := range desired.Hosts {
		if host, ok := seen.Host(on.Name); ok && host.Unreachable == "" && which(host) {
			deeds[i] = deed{kind: kind, host: on.Name, step: kind, message: message}
			marks[i] = fenceMark{number: max(host.Fence, record.Fence), version: host.FenceVersion, record: record.Number, revision: record.Revision}
			begun = append(begun, deeds[i])
		}
	}
	notes := c.journal(desired.App())
	if err := notes.intend(begun...); err != nil {
		return err
	}
	data = append(data, '\n')
	errs := make([]error, len(desired.Hosts))
	written := make([]bool, len(desired.Hosts))
	c.everyHost(desired, func(i int, on release.Host) {
		if deeds[i].host == "" {
			return
		}
		errs[i] = c.writeRecordOn(ctx, desired, on, locks, marks[i], record.Number, data, message)
		written[i] = errs[i] == nil
		notes.end(deeds[i], errs[i])
	})
	for _, ok := range written {
		if ok {
			errs = append(errs, c.Store.SaveRelease(record))
			break
		}
	}
	return errors.Join(append(errs, notes.write())...)
}

func (c *Controller) writeRecordOn(ctx context.Context, desired release.Release, on release.Host, locks *Locks, mark fenceMark, n int, data []byte, message string) error {
	conn, err := locks.connection(ctx, on)
	if err != nil {
		return err
	}
	paths := layoutOf(desired)
	if err := conn.Files.Write(ctx, paths.fence(), mark.text(), 0o600); err != nil {
		return named(on.Name, "write the fence", err)
	}
	if err := conn.Files.Write(ctx, paths.record(n), data, 0o600); err != nil {
		return named(on.Name, "write the release record", err)
	}
	c.auditOn(ctx, conn, desired, "", message)
	return nil
}

func skipped(seen state.Snapshot) []plan.Skipped {
	var list []plan.Skipped
	for _, host := range unreachable(seen) {
		list = append(list, plan.Skipped{Host: host.Name, Reason: host.Unreachable})
	}
	return list
}

// reached gives the hosts that were observed.
func reached(desired release.Release, seen state.Snapshot) []release.Host {
	return reachable(Planned{Desired: desired, Snapshot: seen})
}

// sameEverywhere tells whether every copy of a record is of the same revision.
func sameEverywhere(seen state.Snapshot, held state.Record) bool {
	for _, host := range seen.Hosts {
		if host.Record != nil && host.Record.Number == held.Number && host.Record.Revision != held.Revision {
			return false
		}
	}
	return true
}

// adoptRecord keeps a record that the servers have and the store lacks, or knows less of, and says whose it is when it is newer
// than what was seen last. What the store calls failed or running and the servers have as succeeded is ours: the run ended
// before the store was written, or its end was not heard of.
func (c *Controller) adoptRecord(known, seen state.Snapshot) error {
	before, now := newestRecord(known), newestRecord(seen)
	if now == nil {
		return nil
	}
	records, err := c.Store.Releases(seen.App)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(records, func(r state.Record) bool { return r.Number == now.Number }); i >= 0 && records[i].Revision >= now.Revision {
		if records[i].Outcome == state.OutcomeSucceeded {
			return nil
		}
		return c.Store.SaveRelease(*now)
	}
	if before != nil && (now.Number < before.Number || now.Number == before.Number && now.Revision <= before.Revision) {
		return c.Store.SaveRelease(*now) // no news, and still not in the store
	}
	text := fmt.Sprintf("release %d (%s of version %s) was released by %s from %s at %s", now.Number, now.Kind, now.Version, now.Who, now.Where, now.Ended.UTC().Format(time.RFC3339))
	if now.Revision > 0 && !now.HoldAt.IsZero() {
		text += fmt.Sprintf("; its hold was %s by %s at %s", map[bool]string{true: "set", false: "lifted"}[now.Hold], now.HoldBy, now.HoldAt.UTC().Format(time.RFC3339))
	}
	c.report(Progress{Kind: "news", Message: text})
	return c.Store.SaveRelease(*now)
}

package loop

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// settling is how long an engine is given to bring its own containers back, before anybody else does.
const settling = 10 * time.Second

// facts are all that a decision depends on.
type facts struct {
	now          time.Time
	settings     release.Reconcile
	memory       state.Watch
	wanted       release.Release
	held         *state.Record
	same         bool            // what is wanted is held
	runs         bool            // something of the app runs
	left         map[string]bool // hosts whose deploy lock is of a process that is gone
	repairs      plan.Plan
	drift        plan.Plan
	seen         state.Snapshot
	findings     []state.Finding
	failed       *state.Record // the last attempt at exactly what is wanted, when it failed by its own fault
	strange      bool          // until strangeUntil: this store, or this comparison, sees the servers for the first time
	strangeUntil time.Time
	deaths       map[string][]time.Time // host/role → when containers there ended
	back         map[string]time.Time
	tries        *tries
	foreign      bool
}

// The deeds of a decision.
const (
	doNothing = ""
	doHeal    = "heal"
	doRelease = "release"
	doPrune   = "prune"
)

// decision is what is done now, and what keeps the rest from being done.
type decision struct {
	do         string
	except     []string // of healing: places that are left
	hosts      []string // of healing and pruning: where
	conditions []state.Condition
	pending    *plan.Plan
	approve    string
	orphans    bool     // of healing: what no release asks for is taken away, too
	midway     bool     // somebody is in the middle of a change: what is seen now says nothing
	settled    string   // what the memory is to say of what is settled
	held       int      // and of the newest release that was seen to be held
	stale      []string // and what it is not to say any more of what was approved
	again      time.Time
}

func (d *decision) because(kind, host, role, next, reason string, args ...any) {
	d.conditions = append(d.conditions, state.Condition{Kind: kind, Host: host, Role: role, Next: next, Reason: fmt.Sprintf(reason, args...)})
}

// soon has the app looked at again at a time.
func (d *decision) soon(at time.Time) {
	if !at.IsZero() && (d.again.IsZero() || at.Before(d.again)) {
		d.again = at
	}
}

// decide says what is to be done. It changes nothing.
func decide(f facts) decision {
	d := decision{settled: f.memory.Settled, held: f.memory.Held}
	for _, host := range f.drift.Unreachable {
		d.because(ConditionUnreachable, host.Host, "", "", "%s", host.Reason)
	}
	lock, where := busy(f.seen, f.left)
	if lock != nil {
		d.because(ConditionWaiting, where, "", lockNext(*lock), "the deploy lock is held by %s", lock.By())
		d.soon(f.now.Add(lockPause))
	}
	if lock != nil && lock.Holder() != state.HeldManually { // what is seen now is the middle of somebody's work
		d.midway = true
		return d
	}
	if behind(f) {
		d.because(ConditionReportOnly, "", "", "", "release %d is held, and no host that can be reached has its record: nothing is touched until one can", f.memory.Held)
		d.midway = true
		return d
	}
	d.settle(f)
	if len(f.findings) > 0 {
		d.because(ConditionDrifted, "", "", "", "%s", summary(f.findings))
	}
	if len(f.drift.Moved) > 0 {
		d.because(ConditionMovedByHand, f.drift.Moved[0].Host, f.drift.Moved[0].Role, "`kamald adopt` takes what runs as the held release, `kamald release VERSION` goes to that version", "%s", f.drift.Moved[0])
		return d
	}
	if f.held == nil && f.runs {
		d.because(ConditionReportOnly, "", "", "`kamald adopt` takes what runs as released", "the app runs, and no release of it is recorded: nothing is touched until one is")
		return d
	}
	if lock != nil {
		return d
	}
	if f.strange && (f.runs || f.held != nil) { // where nothing is, nothing can be made worse
		if !f.same || len(f.repairs.Steps) > 0 {
			d.because(ConditionReportOnly, "", "", "", "this kamald sees these servers for the first time: it only reports until %s", f.strangeUntil.UTC().Format(time.RFC3339))
			d.soon(f.strangeUntil)
		}
		return d
	}
	if d.rollout(f) {
		return d
	}
	d.heal(f)
	if d.do == doNothing {
		d.room(f)
	}
	return d
}

// settle finds out which proposal has been dealt with.
func (d *decision) settle(f facts) {
	digest := release.Digest(f.wanted)
	advanced := f.held != nil && f.memory.Held > 0 && f.held.Number > f.memory.Held
	changed := f.memory.Wanted == nil || f.memory.Wanted.Digest != digest
	if d.held = 0; f.held != nil {
		d.held = f.held.Number
	}
	switch {
	case f.same:
		d.settled = digest
	case f.held == nil:
		d.settled = ""
	case f.held.Hold: // the hold keeps it; once that is lifted it is to be released
		d.settled = ""
	case advanced && !changed, f.strange && f.memory.Comparator == "": // another writer has released since it was proposed, or before this store was
		d.settled = digest
	}
	d.expire(f, digest, changed, advanced)
	if !f.same && slices.Contains(f.memory.Approved, word("proposal", digest)) && !slices.Contains(d.stale, word("proposal", digest)) {
		d.settled = ""
	}
}

// expire finds what was approved and is not what would be done now: a person has said yes to that thing, beside what was held then.
func (d *decision) expire(f facts, digest string, changed, advanced bool) {
	for _, approved := range f.memory.Approved {
		kind, _, _ := strings.Cut(approved, "-")
		switch {
		case kind == "orphans" && f.held != nil && approved != word("orphans", strings.Join(orphans(f), " ")),
			kind == "proposal" && (f.same || advanced || approved != word("proposal", digest)),
			kind == "remove" && (f.same || advanced || changed):
			d.stale = append(d.stale, approved)
		}
	}
}

// behind tells whether what is held may be newer than what can be seen of it now: then what differs is nobody's to put right.
func behind(f facts) bool {
	return f.memory.Held > 0 && (f.held == nil || f.held.Number < f.memory.Held) && slices.ContainsFunc(f.seen.Hosts, func(host state.Host) bool {
		_, wanted := f.wanted.Host(host.Name)
		return wanted && host.Unreachable != ""
	})
}

// rollout decides about what is wanted and not held. It tells whether nothing else is to be decided.
func (d *decision) rollout(f facts) bool {
	if f.same || f.wanted.Version == "" {
		return false
	}
	version := f.wanted.Version
	switch digest := release.Digest(f.wanted); {
	case f.held != nil && f.held.Hold:
		d.because(ConditionHeld, "", "", "`kamald resume` lifts the hold", "release %d of %s is held by %s; %s waits", f.held.Number, f.held.Version, holder(*f.held), version)
	case f.settings.Mode != release.ModeRelease:
		return false
	case f.held != nil && d.settled == digest:
		d.approve = word("proposal", digest)
		d.because(ConditionApproval, "", "", "`kamald approve`, or change what is proposed", "release %d of %s by %s@%s is held, and %s was proposed before that or before this daemon knew the app: it is not released by itself",
			f.held.Number, f.held.Version, f.held.Who, f.held.Where, version)
	case f.failed != nil:
		d.because(ConditionQuarantined, "", "", fmt.Sprintf("propose another, or `kamald release %s --retry`", version), "release %d of %s failed by its own fault: %s", f.failed.Number, version, firstLine(f.failed.Reason))
	case d.paused(f, "", ""):
	case d.frozen(f):
	default:
		return d.attempt(f)
	}
	return false
}

// attempt releases what is wanted, unless it has just failed or leaves nothing to do. What keeps it from succeeding is known from the attempt
// before.
func (d *decision) attempt(f facts) bool {
	if f.tries.idle.covers(f) {
		return false
	}
	try := f.tries.release
	if try.failed > 0 {
		d.conditions = append(d.conditions, try.because)
	}
	if waits := f.tries.approval; waits != nil {
		d.approve, d.pending = waits.word, &waits.plan
	}
	if !try.due(f.now) {
		d.soon(try.after)
		return false
	}
	d.do = doRelease
	return true
}

// paused tells whether a person has paused a place; "" of both: any part of the app.
func (d *decision) paused(f facts, host, role string) bool {
	for _, p := range f.memory.Pauses {
		if !p.Holds(f.now) || host+role != "" && !p.Covers(host, role) {
			continue
		}
		d.soon(p.Until)
		c := state.Condition{Kind: ConditionPaused, Host: p.Host, Role: p.Role, Next: "`kamald unpause` ends it", Reason: pauseText(p)}
		if !slices.ContainsFunc(d.conditions, func(o state.Condition) bool { return o.Kind == c.Kind && o.Host == c.Host && o.Role == c.Role }) {
			d.conditions = append(d.conditions, c)
		}
		return true
	}
	return false
}

func (d *decision) frozen(f facts) bool {
	freeze, until, ok := f.settings.Frozen(f.now)
	if ok {
		d.because(ConditionFrozen, "", "", "", "freeze %q until %s: nothing but healing", freeze.Name, until.UTC().Format(time.RFC3339))
		d.soon(until)
	}
	return ok
}

// room decides about hosts whose disk is nearly full.
func (d *decision) room(f facts) {
	for _, host := range f.seen.Hosts {
		if f.settings.MinFree == 0 || host.Unreachable != "" || host.DiskBytes <= 0 || host.FreeBytes < 0 || host.FreeBytes*100 >= host.DiskBytes*int64(f.settings.MinFree) {
			continue
		}
		d.because(ConditionLowDisk, host.Name, "", "make room there; `kamald prune` takes what kamald keeps for nothing", "%d%% of its disk is free, less than the %d%% of min_free", host.FreeBytes*100/host.DiskBytes, f.settings.MinFree)
		if f.settings.Mode != release.ModeReport && f.held != nil && !d.paused(f, host.Name, "") && f.tries.room.due(f.now) {
			d.hosts = append(d.hosts, host.Name)
		}
	}
	if len(d.hosts) > 0 {
		d.do = doPrune
	}
}

// busy finds the lock of somebody who works on the app now. One of kamald's whose lease has passed, or that is left of a process which is
// gone, is nobody's.
func busy(seen state.Snapshot, left map[string]bool) (*state.Lock, string) {
	for _, host := range seen.Hosts {
		if lock := host.Lock; lock != nil && !left[host.Name] && (lock.Lease == 0 || host.Engine.Clock.IsZero() || host.Engine.Clock.Before(lock.Renewed.Add(lock.Lease))) {
			return lock, host.Name
		}
	}
	return nil, ""
}

func lockNext(lock state.Lock) string {
	if lock.Lease > 0 {
		return ""
	}
	return "when nobody is deploying: `kamald lock release`"
}

func holder(held state.Record) string {
	return cmp.Or(held.HoldBy, held.Who+"@"+held.Where)
}

func pauseText(p state.Pause) string {
	text := "paused by " + p.Who
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	if !p.Until.IsZero() {
		text += ", until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// repairOf names a repair by its steps: two looks at the same thing give the same.
func repairOf(p plan.Plan, except []string) string {
	var steps []string
	for _, s := range p.Steps {
		if s.Kind != plan.StepGate && !slices.Contains(except, s.Host+"/"+s.Role) {
			steps = append(steps, string(s.Kind)+"/"+s.Host+"/"+s.Role)
		}
	}
	slices.Sort(steps)
	return strings.Join(slices.Compact(steps), " ")
}

func summary(findings []state.Finding) string {
	first := findings[0]
	text := fmt.Sprintf("%s: %s %s", first.Host, first.Name, first.Reason)
	if more := len(findings) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

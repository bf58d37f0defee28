package loop

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

var lawEpoch = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// chance draws true about once in n times.
func chance(t *rapid.T, n int, what string) bool { return rapid.IntRange(0, n-1).Draw(t, what) == 0 }

// drawRelease draws an app of two roles; a person's settings are any.
func drawRelease(t *rapid.T) release.Release {
	r := release.Release{Service: "shop", Version: rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "wanted")}
	for i, role := range []string{"web", "workers"} {
		var hosts []string
		for n := range rapid.IntRange(1, 6).Draw(t, "hosts of "+role) {
			name := fmt.Sprintf("%c%d", 'a'+i, n)
			hosts = append(hosts, name)
			r.Hosts = append(r.Hosts, release.Host{Name: name})
		}
		r.Roles = append(r.Roles, release.Role{Name: role, Primary: i == 0, Hosts: hosts})
	}
	r.Reconcile = release.Reconcile{Mode: rapid.SampledFrom([]string{release.ModeReport, release.ModeHeal, release.ModeRelease}).Draw(t, "mode"), Interval: 5 * time.Minute,
		Budget: rapid.IntRange(1, 100).Draw(t, "budget"), Window: 10 * time.Minute, Flap: rapid.IntRange(2, 6).Draw(t, "flap"), MaxRemove: 30, MinFree: 10}
	if chance(t, 6, "freeze") {
		r.Reconcile.Freezes = []release.Freeze{{Name: "noon", From: "11:00", To: "14:00", Zone: "UTC"}}
	}
	return r
}

// drawBroken draws what is to be repaired.
func drawBroken(t *rapid.T, f *facts) {
	f.repairs, f.findings = plan.Plan{}, nil
	for _, role := range f.wanted.Roles {
		for _, host := range role.Hosts {
			class, kinds := plan.DriftMissing, []plan.StepKind(nil)
			switch rapid.IntRange(0, 6).Draw(t, host+"/"+role.Name) {
			case 0:
				kinds = []plan.StepKind{plan.StepCreate, plan.StepStart}
			case 1:
				class, kinds = plan.DriftRestarting, []plan.StepKind{plan.StepCreate, plan.StepStart}
			case 2:
				class, kinds = plan.DriftUnhealthy, []plan.StepKind{plan.StepCreate, plan.StepStart}
			case 3:
				class, kinds = plan.DriftSpec, []plan.StepKind{plan.StepUpdate}
			default:
				continue
			}
			for _, kind := range kinds {
				f.repairs.Steps = append(f.repairs.Steps, plan.Step{Kind: kind, Host: host, Role: role.Name})
			}
			f.repairs.Items = append(f.repairs.Items, plan.Item{Host: host, Role: role.Name, Class: class})
			f.findings = append(f.findings, state.Finding{ID: host, Host: host, Role: role.Name, Class: string(class), Since: f.now.Add(-time.Duration(rapid.IntRange(0, 30).Draw(t, "seen for")) * time.Second)})
			if chance(t, 9, "problem") {
				f.repairs.Problems = append(f.repairs.Problems, plan.Problem{Host: host, Role: role.Name, Summary: "its secrets file lacks TOKEN"})
			}
		}
	}
	if chance(t, 6, "orphan") {
		f.repairs.Items = append(f.repairs.Items, plan.Item{Host: "a0", Role: "old", Name: "shop-old-v1", Cause: plan.Orphan})
	}
}

// drawFacts draws all that a decision depends on.
func drawFacts(t *rapid.T) facts {
	f := facts{now: lawEpoch, wanted: drawRelease(t), deaths: map[string][]time.Time{}, back: map[string]time.Time{}}
	f.settings = f.wanted.Reconcile
	tries := newTries(func(time.Duration) time.Duration { return 0 })
	f.tries = &tries
	digest := release.Digest(f.wanted)
	f.memory = state.Watch{Comparator: "test", Held: rapid.IntRange(0, 5).Draw(t, "held then"), Settled: rapid.SampledFrom([]string{"", digest, "another"}).Draw(t, "settled"),
		Wanted: &state.Wanted{Digest: rapid.SampledFrom([]string{digest, "another"}).Draw(t, "wanted then")}}
	if f.same = rapid.Bool().Draw(t, "same"); f.same || !chance(t, 6, "nothing held") {
		f.held = &state.Record{Number: rapid.IntRange(1, 6).Draw(t, "held"), Version: "v1", Hold: chance(t, 5, "hold")}
	}
	f.runs = !chance(t, 5, "nothing runs")
	for _, on := range f.wanted.Hosts {
		host := state.Host{Name: on.Name, DiskBytes: 100, FreeBytes: rapid.Int64Range(1, 99).Draw(t, "free")}
		if chance(t, 12, "unreachable") {
			host.Unreachable = "no route"
			f.drift.Unreachable = append(f.drift.Unreachable, plan.Skipped{Host: on.Name, Reason: "no route"})
		}
		f.seen.Hosts = append(f.seen.Hosts, host)
	}
	if chance(t, 8, "lock") {
		f.seen.Hosts[0].Lock = &state.Lock{Owner: "ada", Message: rapid.SampledFrom([]string{state.AutomaticLock, "by hand"}).Draw(t, "message")}
	}
	if chance(t, 10, "moved") {
		f.drift.Moved = []plan.HandMove{{Host: "a0", From: "v1", To: "v2"}}
	}
	if f.strange = chance(t, 8, "strange"); f.strange {
		f.strangeUntil = f.now.Add(time.Minute)
	}
	if chance(t, 5, "quarantined") {
		f.failed = &state.Record{Number: 9, Version: f.wanted.Version, Reason: "it ended: exit code 1"}
	}
	for range rapid.IntRange(0, 2).Draw(t, "pauses") {
		f.memory.Pauses = append(f.memory.Pauses, state.Pause{Host: rapid.SampledFrom([]string{"", "a0", "b0"}).Draw(t, "host"), Role: rapid.SampledFrom([]string{"", "web"}).Draw(t, "role"),
			Who: "ada", Until: f.now.Add(time.Duration(rapid.IntRange(-5, 60).Draw(t, "until")) * time.Minute)})
	}
	if chance(t, 4, "approved") {
		f.memory.Approved = []string{word("proposal", digest), word("orphans", "a0/shop-old-v1")}
	}
	drawBroken(t, &f)
	for _, on := range f.wanted.Hosts {
		if chance(t, 4, "came back") {
			f.back[on.Name] = f.now.Add(-time.Duration(rapid.IntRange(0, 10).Draw(t, "back for")) * time.Second)
		}
	}
	for _, at := range f.repairs.Places() {
		for range rapid.IntRange(0, 3).Draw(t, "deaths") {
			f.deaths[at] = append(f.deaths[at], f.now.Add(-time.Duration(rapid.IntRange(1, 1200).Draw(t, "died"))*time.Second))
		}
		if host, role, _ := strings.Cut(at, "/"); chance(t, 4, "healed") {
			f.memory.Heals = append(f.memory.Heals, state.Heal{At: f.now.Add(-time.Duration(rapid.IntRange(1, 1200).Draw(t, "healed")) * time.Second), Host: host, Role: role})
		}
	}
	if chance(t, 3, "healing fails") {
		tries.heal.fail(f.now.Add(-time.Duration(rapid.IntRange(0, 1).Draw(t, "ago"))*time.Second), mostPause, state.Condition{Kind: ConditionFailed, Reason: "no space left"})
	}
	if chance(t, 5, "releasing fails") {
		tries.release.fail(f.now.Add(-time.Duration(rapid.IntRange(0, 2).Draw(t, "ago"))*time.Second), mostPause, state.Condition{Kind: ConditionFailed, Reason: "no route"})
	}
	if chance(t, 5, "nothing to release") {
		tries.idle = idle{digest: rapid.SampledFrom([]string{digest, "another"}).Draw(t, "idle for"), held: rapid.IntRange(0, 6).Draw(t, "idle beside"), until: f.now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "idle until")) * time.Minute)}
	}
	if chance(t, 8, "changes nothing") {
		tries.again, tries.fixed = 2, repairOf(f.repairs, nil)
	}
	return f
}

// repaired are the places that a decision has repaired.
func repaired(f facts, d decision) (places []string) {
	if d.do != doHeal {
		return nil
	}
	for _, at := range f.repairs.Places() {
		if host, _, _ := strings.Cut(at, "/"); !slices.Contains(d.except, at) && (d.orphans || slices.Contains(d.hosts, host)) {
			places = append(places, at)
		}
	}
	return places
}

// has tells whether a decision says why, of a place or of the app.
func (d decision) has(kind, host, role string) bool {
	return slices.ContainsFunc(d.conditions, func(c state.Condition) bool {
		return c.Kind == kind && (c.Host == "" || c.Host == host) && (c.Role == "" || c.Role == role)
	})
}

func TestADecisionKeepsItsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		d := decide(f)
		judgeStill(t, f, d)
		judgeRelease(t, f, d)
		judgeRepairs(t, f, d)
		if !d.again.IsZero() && d.again.Before(f.now) {
			t.Errorf("it looks again %s ago", f.now.Sub(d.again))
		}
		for _, c := range d.conditions {
			if c.Reason == "" {
				t.Errorf("%s has no reason", c.Kind)
			}
		}
		if again := decide(f); !reflect.DeepEqual(d, again) {
			t.Errorf("it decides otherwise the second time: %+v\n%+v", d, again)
		}
	})
}

// judgeStill: there are times at which nothing is done at all.
func judgeStill(t *rapid.T, f facts, d decision) {
	if d.do == doNothing {
		return
	}
	switch {
	case f.settings.Mode == release.ModeReport:
		t.Errorf("in report it does %s", d.do)
	case f.seen.Hosts[0].Lock != nil:
		t.Errorf("with another's lock it does %s", d.do)
	case len(f.drift.Moved) > 0:
		t.Errorf("moved by hand, and it does %s", d.do)
	case f.strange:
		t.Errorf("seen for the first time, and it does %s", d.do)
	case f.held == nil && f.runs:
		t.Errorf("nothing is recorded, and it does %s", d.do)
	case behind(f):
		t.Errorf("what is held cannot be seen, and it does %s", d.do)
	}
}

// judgeRelease: what keeps a release from being made, and that it is said.
func judgeRelease(t *rapid.T, f facts, d decision) {
	_, _, frozen := f.settings.Frozen(f.now)
	paused := slices.ContainsFunc(f.memory.Pauses, func(p state.Pause) bool { return p.Holds(f.now) })
	digest := release.Digest(f.wanted)
	advanced := f.held != nil && f.memory.Held > 0 && f.held.Number > f.memory.Held
	approved := slices.Contains(f.memory.Approved, word("proposal", digest)) && !advanced
	settled := f.held != nil && !f.held.Hold && !approved && (f.memory.Settled == digest || advanced && f.memory.Wanted.Digest == digest)
	held := f.held != nil && f.held.Hold
	idle := f.tries.idle.digest == digest && f.tries.idle.held == numberOf(f.held) && (f.tries.idle.until.After(f.now) || len(f.repairs.Steps) > 0)
	if idle && d.do == doRelease {
		t.Error("it releases what has left nothing to do a moment ago")
	}
	if d.do == doRelease && (f.settings.Mode != release.ModeRelease || f.same || frozen || paused || settled || held || f.failed != nil || !f.tries.release.due(f.now)) {
		t.Errorf("it releases: mode %s, same %v, frozen %v, paused %v, settled %v, held %v, failed %v", f.settings.Mode, f.same, frozen, paused, settled, held, f.failed)
	}
	if d.do == doRelease || f.settings.Mode != release.ModeRelease || f.same || idle || len(d.conditions) > 0 {
		return
	}
	t.Error("it does not release what is wanted, and says nothing")
}

// judgeRepairs: what keeps a place from being repaired, and that it is said.
func judgeRepairs(t *rapid.T, f facts, d decision) {
	done, boots := repaired(f, d), f.repairs.Boots()
	if len(done) > 0 && (!f.tries.heal.due(f.now) || f.tries.again > 1) {
		t.Error("it repairs before its time, or what does not converge")
	}
	if d.orphans && !slices.Contains(f.memory.Approved, word("orphans", "a0/shop-old-v1")) {
		t.Error("it takes away what nobody has approved")
	}
	if d.orphans && slices.ContainsFunc(f.memory.Pauses, func(p state.Pause) bool { return p.Holds(f.now) && p.Covers("a0", "") }) {
		t.Error("it takes away what somebody has paused")
	}
	window := f.now.Add(-f.settings.Window)
	for _, role := range f.wanted.Roles {
		sick := 0
		for _, host := range role.Hosts {
			at := host + "/" + role.Name
			is := slices.Contains(done, at)
			paused := slices.ContainsFunc(f.memory.Pauses, func(p state.Pause) bool { return p.Holds(f.now) && p.Covers(host, role.Name) })
			flaps := slices.Contains(boots, at) && max(after(f.deaths[at], window), heals(f.memory, at, window)) >= f.settings.Flap
			if is && slices.Contains(boots, at) && early(f, host, role.Name) {
				t.Errorf("%s is made again before its engine had the time to bring it back", at)
			}
			if is && (paused || flaps) {
				t.Errorf("%s is repaired: paused %v, flapping %v", at, paused, flaps)
			}
			if unwell(f, host, role.Name) {
				sick++
			}
			if d.do == doHeal && slices.Contains(f.repairs.Places(), at) && !is && !says(f, d, host, role.Name) {
				t.Errorf("%s is left, and nothing says why", at)
			}
		}
		for _, host := range role.Hosts {
			if len(role.Hosts) > 1 && sick*2 > len(role.Hosts) && unwell(f, host, role.Name) && slices.Contains(done, host+"/"+role.Name) {
				t.Errorf("%d of %d of %s are unhealthy, and %s is replaced", sick, len(role.Hosts), role.Name, host)
			}
		}
	}
}

// early tells whether a host came back, or a container began to end again and again, a moment ago.
func early(f facts, host, role string) bool {
	return f.now.Sub(f.back[host]) < 5*time.Second || slices.ContainsFunc(f.findings, func(o state.Finding) bool {
		return o.Host == host && o.Role == role && o.Class == string(plan.DriftRestarting) && f.now.Sub(o.Since) < 10*time.Second
	})
}

// says tells whether it is known why a place is left, or when it is looked at again because its engine has its time first.
func says(f facts, d decision, host, role string) bool {
	for _, kind := range []string{ConditionWaiting, ConditionPaused, ConditionFlapping, ConditionOverBudget, ConditionDependency} {
		if d.has(kind, host, role) {
			return true
		}
	}
	return f.now.Before(settled(f, host, role)) && !d.again.IsZero()
}

func TestARepairMakesNoContainerThatWasNotDecidedOn(t *testing.T) {
	of := func(places ...string) (p plan.Plan) {
		for _, at := range places {
			host, role, _ := strings.Cut(at, "/")
			p.Steps = append(p.Steps, plan.Step{Kind: plan.StepCreate, Host: host, Role: role})
		}
		return p
	}
	k := &keeper{l: New(Options{})}
	guard := k.asDecided(facts{repairs: of("a0/web", "a1/web")}, decision{except: []string{"a1/web"}})
	if err := guard(reconcile.Planned{Plan: of("a0/web")}); err != nil {
		t.Errorf("what was decided on is refused: %v", err)
	}
	for _, other := range []string{"a1/web", "a2/web"} {
		if guard(reconcile.Planned{Plan: of("a0/web", other)}) == nil {
			t.Errorf("%s was not decided on, and is made", other)
		}
	}
}

// TestNoWindowHealsMoreThanTheBudget plays many decisions one after another and wants it of every window.
func TestNoWindowHealsMoreThanTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := facts{now: lawEpoch, wanted: drawRelease(t), held: &state.Record{Number: 1, Version: "v1"}, same: true, runs: true}
		f.settings = f.wanted.Reconcile
		f.settings.Mode, f.settings.Freezes = release.ModeHeal, nil
		tries := newTries(func(time.Duration) time.Duration { return 0 })
		f.tries, f.memory = &tries, state.Watch{Comparator: "test", Held: 1}
		var past []state.Heal
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			f.now = f.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "later")) * time.Second)
			drawBroken(t, &f)
			d := decide(f)
			for _, at := range repaired(f, d) {
				if host, role, _ := strings.Cut(at, "/"); slices.Contains(f.repairs.Boots(), at) {
					past = append(past, state.Heal{At: f.now, Host: host, Role: role})
				}
			}
			f.memory.Heals = slices.Clone(past)
			for _, role := range f.wanted.Roles {
				hosts := map[string]bool{}
				for _, heal := range past {
					if heal.Role == role.Name && heal.At.After(f.now.Add(-f.settings.Window)) {
						hosts[heal.Host] = true
					}
				}
				if allowed := max((len(role.Hosts)*f.settings.Budget+99)/100, 1); len(hosts) > allowed {
					t.Fatalf("%d containers of %s were healed within a window; %d of %d may be", len(hosts), role.Name, allowed, len(role.Hosts))
				}
			}
		}
	})
}

package plan

import (
	"slices"

	"github.com/kamald/kamald/state"
)

// records writes the release record on every host that took part; drift that is healed is no release, but a host that lacks the
// held record is given it.
func (b *builder) records(needs []string) []string {
	unrecorded := b.unrecorded() && !b.in.Options.Heal
	if !b.willRecord() {
		if b.kind == KindHeal {
			b.keepHeld(needs)
		}
		return nil
	}
	told := unrecorded && !slices.ContainsFunc(b.slots, (*slot).busy)
	var records []string
	gate := gateIf(b, "tagged", PhaseFinish, 0, needs)
	for _, on := range b.in.Desired.Hosts {
		if host, ok := b.hosts[on.Name]; ok && b.takesPart(on.Name) {
			if told {
				b.hostItem(host, Update, ResourceRecord, Leftover, DriftRecord, "release record", "what runs was never recorded: the run ended before")
			}
			records = append(records, b.add(Step{ID: "record/" + host.Name, Kind: StepRecord, Phase: PhaseFinish, Host: host.Name, Needs: gate, Reason: "the release has succeeded"}))
		}
	}
	return records
}

// willRecord tells whether the plan ends with a release record.
func (b *builder) willRecord() bool {
	unrecorded := b.unrecorded() && !b.in.Options.Heal
	return len(b.slots)+len(b.besides) > 0 && (unrecorded || b.kind != KindHeal && len(b.steps) > 0)
}

// unrecorded tells whether everything is there as wanted, made by kamald, and no record says so: the run ended between the last
// tag and the record, or before.
func (b *builder) unrecorded() bool {
	if !b.in.Options.Filter.Whole() {
		return false // a part says nothing of the whole
	}
	if held := b.in.Held; held != nil && held.Version == b.in.Desired.Version {
		newer := slices.ContainsFunc(b.slots, func(s *slot) bool { return s.wanted != nil && s.wanted.Release > held.Number && !b.asHeld(s) })
		if !b.in.reconfigured || !newer {
			return false
		}
	}
	return len(b.slots) > 0 && !slices.ContainsFunc(b.slots, func(s *slot) bool {
		return s.wanted == nil || s.wanted.Asked == nil || s.wanted.Release == 0
	})
}

// asHeld tells whether a slot's container is as the held release asks for it: then it was recorded, whoever made it since.
func (b *builder) asHeld(s *slot) bool {
	if b.in.HeldRelease == nil || s.wanted.Asked == nil {
		return false
	}
	in := b.in
	in.Desired = *b.in.HeldRelease
	role, there := in.Desired.Role(s.role.Name)
	on, placed := in.Desired.Host(s.host.Name)
	return there && placed && len(diff(*s.wanted.Asked, compile(in, s.host, on, role))) == 0
}

// keepHeld plans the held record where it should lie and does not: its writing failed there, the host was away, or somebody
// removed it.
func (b *builder) keepHeld(needs []string) {
	held, kept := b.in.Held, b.in.HeldRelease
	if held == nil || kept == nil || b.in.HeldDigest == "" {
		return
	}
	part := make(map[string]bool, len(kept.Hosts))
	for _, on := range kept.Hosts {
		part[on.Name] = true
	}
	for _, on := range b.in.Desired.Hosts {
		host, ok := b.hosts[on.Name]
		if !ok || !part[on.Name] || !b.takesPart(on.Name) || !lacks(host.Record, *held) {
			continue
		}
		reason := "the host lacks the record of the release that is held"
		if host.Record != nil && host.Record.Number == held.Number {
			reason = "the host has an older copy of it"
		}
		b.hostItem(host, Create, ResourceRecord, Leftover, DriftRecord, "release record", reason)
		b.add(Step{ID: "keep/" + host.Name, Kind: StepKeep, Phase: PhaseFinish, Host: host.Name, Needs: needs, Reason: reason})
	}
}

func lacks(record *state.Record, held state.Record) bool {
	return record == nil || record.Number < held.Number || record.Number == held.Number && record.Revision < held.Revision
}

// tookPart tells whether a host was in the held release, which says the same as the desired one: what it lacks was taken away. One
// that was skipped then has no record of it.
func (in Input) tookPart(host state.Host) bool {
	same := in.HeldDigest != "" && !in.reconfigured
	return same && in.Held != nil && host.Record != nil && host.Record.Number == in.Held.Number
}

// takesPart tells whether a host has anything of the release in scope that is to run.
func (b *builder) takesPart(host string) bool {
	return b.awake(host) || slices.ContainsFunc(b.besides, func(s *beside) bool { return s.host.Name == host })
}

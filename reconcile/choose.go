package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// choice is the release that a rollback goes to.
type choice struct {
	target state.Record
	held   state.Record // what the servers hold before
	origin int          // the release whose content the target has: itself, or what it was a rollback to
	why    string       // when nobody named it and it is not simply the one before
}

// String says where it goes, for a person.
func (c choice) String() string {
	text := fmt.Sprintf("going back to release %d (version %s", c.target.Number, c.target.Version)
	if c.origin != c.target.Number {
		text += fmt.Sprintf(", itself a rollback to release %d", c.origin)
	}
	text += ")"
	if c.target.Number == c.held.Number {
		text = fmt.Sprintf("staying on release %d (version %s)", c.target.Number, c.target.Version)
	}
	if c.why != "" {
		text += ": " + c.why
	}
	return text
}

// choose finds the release that is meant among those that succeeded; a miss lists what is there. Without a number or a version
// it is one step back from what the servers run. Where they run a part of a newer release that did not succeed, that is what is
// held; else it is the release before that, where a rollback counts as the release it went back to: each further rollback goes
// further back. half says what the servers run a part of, "" when they do not.
func choose(records []state.Record, back Back, half string) (choice, error) {
	succeeded := successful(records)
	if len(succeeded) == 0 {
		return choice{}, errors.New("no release is known to have succeeded, so there is none to go back to")
	}
	if back.named() {
		return chooseNamed(records, succeeded, back)
	}
	held := succeeded[0]
	before := slices.IndexFunc(succeeded, func(r state.Record) bool { return r.Number < originOf(records, held) })
	switch {
	case half != "":
		why := fmt.Sprintf("%s, and release %d was what the servers ran before", half, held.Number)
		if before >= 0 {
			why += fmt.Sprintf("; to go further back: `kamald rollback %d`", succeeded[before].Number)
		}
		return choice{target: held, held: held, origin: originOf(records, held), why: why}, nil
	case before < 0:
		return choice{}, missing(fmt.Sprintf("release before release %d, which the servers hold,", originOf(records, held)), succeeded)
	}
	chosen := choice{target: succeeded[before], held: held, origin: originOf(records, succeeded[before])}
	if tried := records[0]; tried.Number > held.Number {
		chosen.why = fmt.Sprintf("release %d (version %s) %s, and the servers held release %d (version %s)", tried.Number, tried.Version, ended(tried.Outcome), held.Number, held.Version)
	}
	return chosen, nil
}

func successful(records []state.Record) []state.Record {
	var list []state.Record
	for _, r := range records {
		if r.Outcome == state.OutcomeSucceeded {
			list = append(list, r)
		}
	}
	return list
}

func chooseNamed(records, succeeded []state.Record, back Back) (choice, error) {
	what, match := "release of version "+back.Version, func(r state.Record) bool { return r.Version == back.Version }
	if back.Number > 0 {
		what, match = fmt.Sprintf("release %d", back.Number), func(r state.Record) bool { return r.Number == back.Number }
	}
	if i := slices.IndexFunc(succeeded, match); i >= 0 {
		return choice{target: succeeded[i], held: succeeded[0], origin: originOf(records, succeeded[i])}, nil
	}
	if i := slices.IndexFunc(records, match); i >= 0 {
		what = fmt.Sprintf("%s (release %d %s)", what, records[i].Number, ended(records[i].Outcome))
	}
	return choice{}, missing(what, succeeded)
}

// missing lists what is there instead.
func missing(what string, succeeded []state.Record) error {
	var there []string
	for _, r := range succeeded {
		there = append(there, fmt.Sprintf("%d (version %s)", r.Number, r.Version))
	}
	return fmt.Errorf("there is no %s among those that succeeded: %s", what, strings.Join(there, ", "))
}

// originOf follows rollbacks to the release that they went back to.
func originOf(records []state.Record, r state.Record) int {
	for r.From > 0 && r.From < r.Number {
		i := slices.IndexFunc(records, func(other state.Record) bool { return other.Number == r.From })
		if i < 0 {
			return r.From
		}
		r = records[i]
	}
	return r.Number
}

// half says which release the servers may run a part of: one that this rollback has cancelled, one whose run died and left its
// lock, or one that did not succeed and has containers running; also one that was limited to some servers on purpose, and what
// came by hand, for who rolls back then wants that undone and nothing else. "" when they run what is held, as a repair does.
func (c *Controller) half(ctx context.Context, current release.Release, records []state.Record, other *otherRun) (string, error) {
	succeeded := successful(records)
	if len(succeeded) == 0 {
		return "", nil
	}
	repairs := other != nil && plan.Kind(other.lock.Reason) == plan.KindHeal // what is held
	if other != nil && other.releases() && !repairs && !slices.ContainsFunc(succeeded, func(r state.Record) bool { return r.Lock == other.nonce }) {
		if other.asked {
			return fmt.Sprintf("release %d of %s was cancelled", other.lock.Fence, orUnknown(other.lock.Owner)), nil
		}
		return fmt.Sprintf("release %d of %s did not end", other.lock.Fence, orUnknown(other.lock.Owner)), nil
	}
	snapshot, _, err := c.look(ctx, current, false)
	if err != nil {
		return "", err
	}
	return cmp.Or(partOf(snapshot, records, succeeded[0]), broughtByHand(snapshot, records, succeeded[0], current)), nil
}

// broughtByHand finds a container that another than kamald has made since the held release: no record says what it is.
func broughtByHand(snapshot state.Snapshot, records []state.Record, held state.Record, current release.Release) string {
	kept, err := decodeRelease(held, current)
	if err != nil {
		return ""
	}
	for _, move := range plan.MovedByHand(kept, snapshot, records) {
		if move.Role != "" {
			return fmt.Sprintf("version %s came without kamald and %s runs it", move.To, move.Host)
		}
	}
	return ""
}

// partOf finds a container that runs and is of a newer release than the held one, which did not succeed on all of them. Of a
// release that died on another machine there may be no record: then its version tells it from what healing has made.
func partOf(snapshot state.Snapshot, records []state.Record, held state.Record) string {
	of := map[int]state.Record{}
	for _, r := range records {
		of[r.Number] = r
	}
	for _, host := range snapshot.Hosts {
		for _, c := range host.Containers {
			if c.Service != snapshot.App.Service || c.Destination != snapshot.App.Destination || !c.Running() || c.Release <= held.Number {
				continue
			}
			tried, known := of[c.Release]
			switch {
			case known && tried.Outcome == state.OutcomePartial:
				return fmt.Sprintf("release %d (version %s) %s and %s runs it", tried.Number, tried.Version, ended(tried.Outcome), host.Name)
			case known && tried.Outcome != state.OutcomeSucceeded:
				return fmt.Sprintf("release %d (version %s) %s and %s runs a part of it", tried.Number, tried.Version, ended(tried.Outcome), host.Name)
			case !known && c.Version() != held.Version:
				return fmt.Sprintf("release %d (version %s) did not end and %s runs a part of it", c.Release, c.Version(), host.Name)
			}
		}
	}
	return ""
}

// ended is an outcome in a sentence.
func ended(o state.Outcome) string {
	switch o {
	case state.OutcomeSucceeded:
		return "succeeded"
	case state.OutcomePartial:
		return "reached only a part of the servers"
	case state.OutcomeFailed:
		return "failed"
	case state.OutcomeCancelled:
		return "was cancelled"
	}
	return "did not end"
}

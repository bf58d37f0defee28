package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// numbered gives the numbers of release records among the names in their directory, sorted.
func numbered(names []string) []int {
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimSuffix(name, ".json")); err == nil && strings.HasSuffix(name, ".json") {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// oldRecords is what a run knows of records that it may remove; found out once, for a fleet has many hosts.
type oldRecords struct {
	once    sync.Once
	known   []state.Record
	numbers []int
	removes map[string][]plan.Step // by host: the containers that go
}

func (r *run) knowRecords() {
	if r.plan.Partial {
		return
	}
	known, err := r.c.Store.Releases(r.record.App)
	if err != nil {
		return // nothing is known to be old
	}
	for _, other := range known {
		if other.Number == r.record.Number {
			other.Outcome = state.OutcomeSucceeded // this very release: it is being recorded
		}
		other.Release = nil // large, and not asked for
		r.old.known = append(r.old.known, other)
		r.old.numbers = append(r.old.numbers, other.Number)
	}
	r.old.removes = map[string][]plan.Step{}
	for _, s := range r.plan.Steps {
		if s.Kind == plan.StepRemove {
			r.old.removes[s.Host] = append(r.old.removes[s.Host], s)
		}
	}
}

// tidyRecords removes, beside what else is done, the release records of a host that nothing needs once this release is recorded
// there. What cannot be removed now is removed after the next release, or by a prune.
func (r *run) tidyRecords(ctx context.Context, conn *Connection, on string) {
	r.old.once.Do(r.knowRecords)
	host, _ := r.seen.Host(on)
	host = plan.Without(host, r.old.removes[on])
	if len(plan.OldRecords(r.old.numbers, r.old.known, host, r.record.App, r.retained())) == 0 {
		return // and nothing is asked
	}
	r.beside.Go(func() {
		_ = r.c.safely(func() error { r.removeOld(ctx, conn, on, host); return nil })
	})
}

func (r *run) removeOld(ctx context.Context, conn *Connection, on string, host state.Host) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lease/6)
	defer cancel()
	names, err := conn.Files.List(ctx, r.paths.records())
	for _, n := range plan.OldRecords(numbered(names), r.old.known, host, r.record.App, r.retained()) {
		if err == nil && r.locks.lostOn(on) == nil {
			err = conn.Files.Remove(ctx, r.paths.record(n))
		}
	}
	if err != nil {
		r.c.report(Progress{Kind: "warn", Host: on, Message: fmt.Sprintf("release records beyond what is kept stay there until the next release: %v", err)})
	}
}

// retained is how many older versions are kept for rollback.
func (r *run) retained() int {
	if r.retain > 0 {
		return r.retain
	}
	return r.desired.RetainContainers
}

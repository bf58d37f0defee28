package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// History gives the app's release records, newest first: the store's, and those on the servers that it lacks, which it then
// keeps.
func (c *Controller) History(ctx context.Context, desired release.Release) ([]state.Record, error) {
	records, _, err := c.history(ctx, desired, &sync.Map{})
	return records, err
}

// history gives the hosts whose records could not be read, too. All hosts are asked at once, but for those that are known to be
// out of reach (name → error).
func (c *Controller) history(ctx context.Context, desired release.Release, gone *sync.Map) (all []state.Record, unread []string, err error) {
	app := desired.App()
	records, err := c.Store.Releases(app)
	if err != nil {
		return nil, nil, err
	}
	known := map[int]bool{}
	for _, r := range records {
		known[r.Number] = r.Outcome == state.OutcomeSucceeded // of others the servers may know better: the run was killed
	}
	found, failed := make([][]state.Record, len(desired.Hosts)), make([]error, len(desired.Hosts))
	var asking branches
	for i, on := range desired.Hosts {
		if err, ok := gone.Load(on.Name); ok {
			failed[i] = err.(error)
			continue
		}
		asking.Go(func() { found[i], failed[i] = c.recordsOn(ctx, desired, on, known) })
	}
	asking.Wait()
	for i, on := range desired.Hosts {
		if failed[i] != nil {
			c.report(Progress{Kind: "warn", Host: on.Name, Message: fmt.Sprintf("its release records cannot be read: %s", why(failed[i], on.Name))})
			unread = append(unread, on.Name)
		}
	}
	for _, record := range newer(records, slices.Concat(found...)) {
		records = slices.DeleteFunc(records, func(r state.Record) bool { return r.Number == record.Number })
		records = append(records, record)
		if err := c.Store.SaveRelease(record); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(records, func(a, b state.Record) int { return cmp.Compare(b.Number, a.Number) })
	return records, unread, ctx.Err()
}

// records gives the releases that the store knows. Where a container is of one that it does not, it has been lost, or another
// one was used: then the servers are asked first, for what is kept of the past is decided by what became of it.
func (c *Controller) records(ctx context.Context, desired release.Release, seen state.Snapshot, stored bool) ([]state.Record, error) {
	records, err := c.Store.Releases(desired.App())
	if err != nil || stored || !unknownRelease(records, seen) {
		return records, err
	}
	desired.Hosts = reached(desired, seen)
	records, _, err = c.history(ctx, desired, &sync.Map{})
	return records, err
}

// unknownRelease tells whether a container of the app was made by a release that is none of the records', and is of a version
// that none of them says to have succeeded: of one that has, nothing more is asked, and healing makes those without a record.
func unknownRelease(records []state.Record, seen state.Snapshot) bool {
	known, succeeded := map[int]bool{}, map[string]bool{}
	for _, r := range records {
		known[r.Number] = true
		succeeded[r.Version] = succeeded[r.Version] || r.Outcome == state.OutcomeSucceeded
	}
	for _, host := range seen.Hosts {
		for _, c := range host.Containers {
			if c.Release > 0 && !known[c.Release] && !succeeded[c.Version()] && c.Service == seen.App.Service && c.Destination == seen.App.Destination {
				return true
			}
		}
	}
	return false
}

// newer gives of the records found on hosts one of each number, where it says more than the known one: that the release
// succeeded, on any host, or how it ended where that is not known here.
func newer(known, found []state.Record) []state.Record {
	best := map[int]state.Record{}
	for _, r := range known {
		best[r.Number] = r
	}
	better := map[int]bool{}
	for _, r := range found {
		old, there := best[r.Number]
		if !there || old.Outcome == state.OutcomeRunning || r.Outcome == state.OutcomeSucceeded && old.Outcome != state.OutcomeSucceeded {
			best[r.Number], better[r.Number] = r, true
		}
	}
	var list []state.Record
	for n := range better {
		list = append(list, best[n])
	}
	return list
}

func (c *Controller) recordsOn(ctx context.Context, desired release.Release, on release.Host, known map[int]bool) ([]state.Record, error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	paths := layoutOf(desired)
	names, err := conn.Files.List(ctx, paths.records())
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimSuffix(name, ".json")); err == nil && !known[n] {
			numbers = append(numbers, n)
		}
	}
	read := make([]*state.Record, len(numbers)) // nil: it went meanwhile
	group, grouped := crewWithin(ctx)
	for i, n := range numbers {
		group.Go(func() error {
			record, err := readRecord(grouped, conn.Files, paths, n)
			if err == nil {
				read[i] = &record
			}
			return unless(err, fs.ErrNotExist)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []state.Record
	for _, record := range read {
		if record != nil {
			found = append(found, *record)
		}
	}
	return found, nil
}

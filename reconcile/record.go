package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// readRecord reads a release record of a host. fs.ErrNotExist when there is none of that number.
func readRecord(ctx context.Context, f Files, paths layout, n int) (state.Record, error) {
	data, err := f.Read(ctx, paths.record(n))
	if err != nil {
		return state.Record{}, err
	}
	return parseRecord(data, paths, n)
}

func parseRecord(data []byte, paths layout, n int) (state.Record, error) {
	var record state.Record
	if err := json.Unmarshal(data, &record); err != nil {
		return state.Record{}, fmt.Errorf("%s is not a release record: %w", paths.record(n), err)
	}
	if record.Schema > state.RecordSchema {
		return state.Record{}, fmt.Errorf("%s was written by a newer kamald (schema %d, this one knows %d): use that one", paths.record(n), record.Schema, state.RecordSchema)
	}
	return record, nil
}

// writeRecord puts the release record on a host.
func (r *run) writeRecord(ctx context.Context, conn *Connection) error {
	record, data, err := r.succeeded()
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, r.paths.record(record.Number), data, 0o600)
}

// keepHeld writes the held record, as other hosts have it, on a host that lacks it; first the mark, as where a hold is set, so
// that whoever knows the older copy reads it again.
func (r *run) keepHeld(ctx context.Context, conn *Connection, host string) error {
	held := newestRecord(r.seen)
	if held == nil {
		return &MovedError{What: "no host has the record of the release that is held any more"}
	}
	data, err := json.Marshal(held)
	if err != nil {
		return err
	}
	if held.Revision > 0 {
		mark := r.locks.marks[host]
		mark.record, mark.revision = held.Number, held.Revision
		if err := conn.Files.Write(ctx, r.paths.fence(), mark.text(), 0o600); err != nil {
			return err
		}
	}
	return conn.Files.Write(ctx, r.paths.record(held.Number), append(data, '\n'), 0o600)
}

// succeeded is the record of a release that has succeeded on every host that took part, and its text: the same on each.
func (r *run) succeeded() (state.Record, []byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.text != nil {
		return r.last, r.text, nil
	}
	r.last = r.record
	r.last.Ended, r.last.Outcome = r.c.now(), recorded(r.plan)
	data, err := json.Marshal(r.last)
	if err != nil {
		return state.Record{}, nil, err
	}
	r.text = append(data, '\n')
	return r.last, r.text, nil
}

// recordFailure leaves word of a release that did not succeed on the servers, best effort, so that its history can be read from
// any machine. Once a host may keep it as succeeded, that is the last word.
func (r *run) recordFailure(ctx context.Context, report Report, outcomes map[string]outcome, failure error) {
	if failure == nil || !isRelease(r.plan.Kind) {
		return
	}
	for _, o := range outcomes {
		if o.step.Kind == plan.StepRecord && o.begun() {
			return
		}
	}
	record := r.record
	record.Ended, record.Outcome, record.Reason, record.OwnFault = r.c.now(), report.Outcome, Brief(failure), report.OwnFault
	data, err := json.MarshalIndent(record, "", " ")
	if err != nil {
		return
	}
	data = append(data, '\n')
	ctx, cancel := context.WithTimeout(ctx, lease/6)
	defer cancel()
	var all branches
	for _, h := range r.locks.all() {
		all.Go(func() {
			conn, err := r.connection(ctx, h.host)
			if err == nil {
				_ = conn.Files.Write(ctx, r.paths.record(record.Number), data, 0o600)
			}
		})
	}
	all.Wait()
}

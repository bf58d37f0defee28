package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/kamald/kamald/state"
)

// readRecord reads a release record of a host. fs.ErrNotExist when there is none of that number.
func readRecord(ctx context.Context, f Files, paths layout, n int) (state.Record, error) {
	data, err := f.Read(ctx, paths.record(n))
	if err != nil {
		return state.Record{}, err
	}
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
	record := r.record
	record.Ended, record.Outcome = r.c.now(), state.OutcomeSucceeded // on every host that took part
	data, err := json.MarshalIndent(record, "", " ")
	if err != nil {
		return err
	}
	return conn.Files.Write(ctx, r.paths.record(record.Number), append(data, '\n'), 0o600)
}

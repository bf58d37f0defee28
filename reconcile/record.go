package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

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

// writeRecord puts the release record on a host, and a line into its audit file.
func (r *run) writeRecord(ctx context.Context, conn *Connection) error {
	record := r.record
	record.Ended, record.Outcome = r.c.now(), state.OutcomeSucceeded // on every host that took part
	data, err := json.MarshalIndent(record, "", " ")
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return conn.Files.Write(ctx, r.paths.record(record.Number), append(data, '\n'), 0o600) })
	group.Go(func() error {
		// Best effort: a full disk must not forbid what frees it.
		_ = conn.Files.Append(ctx, r.paths.audit(), []byte(auditLine(record, fmt.Sprintf("Released version %s (release %d)", record.Version, record.Number))))
		return nil
	})
	return group.Wait()
}

// auditLine is Kamal's form (kamal-facts: B-90).
func auditLine(record state.Record, message string) string {
	line := fmt.Sprintf("[%s] [%s] ", record.Ended.UTC().Format(time.RFC3339), record.Who)
	if record.App.Destination != "" {
		line += "[" + record.App.Destination + "] "
	}
	return line + message + "\n"
}

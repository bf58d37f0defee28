package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// AuditNotEnded is the outcome of what was begun and has no other: it is under way, or its run died.
const AuditNotEnded = "not ended"

// AuditEntry is one thing that was done to a server, or how a plan ended.
type AuditEntry struct {
	state.Event           // At is when it was about to begin
	Ended       time.Time `json:"ended,omitzero"`
}

// AuditFilter says which entries are wanted.
type AuditFilter struct {
	Hosts   []string // names and globs, also of hosts that left the file; empty: all
	Release int      // 0: all
	Since   time.Time
	Limit   int // the newest so many; 0: all
}

func (f AuditFilter) wants(e AuditEntry) bool {
	return f.names(e.Host) && (f.Release == 0 || e.Release == f.Release) && !e.At.Before(f.Since)
}

func (f AuditFilter) names(host string) bool {
	return len(f.Hosts) == 0 || slices.ContainsFunc(f.Hosts, func(pattern string) bool {
		matches, err := path.Match(pattern, host)
		return matches && err == nil
	})
}

// choose orders by time and keeps what is wanted, the newest last.
func (f AuditFilter) choose(entries []AuditEntry) []AuditEntry {
	chosen := slices.DeleteFunc(entries, func(e AuditEntry) bool { return !f.wants(e) })
	slices.SortStableFunc(chosen, func(a, b AuditEntry) int { return a.At.Compare(b.At) })
	if f.Limit > 0 && len(chosen) > f.Limit {
		chosen = chosen[len(chosen)-f.Limit:]
	}
	return chosen
}

// Audit gives what the store here knows was done to an app's servers, the newest last.
func (c *Controller) Audit(app state.App, filter AuditFilter) ([]AuditEntry, error) {
	events, err := c.Store.Events(app, 0)
	if err != nil {
		return nil, err
	}
	return filter.choose(AuditOf(events)), nil
}

// AuditOf makes entries of events, which come newest first: what was intended and how it ended is one. The newest is the last.
func AuditOf(events []state.Event) []AuditEntry {
	var entries []AuditEntry
	begun := map[string]int{} // where the intention is
	for _, e := range slices.Backward(events) {
		key := strings.Join([]string{e.Nonce, e.Host, e.Step}, "\x00")
		i, was := begun[key]
		switch {
		case e.Outcome == state.EventIntended:
			begun[key] = len(entries)
			e.Outcome = AuditNotEnded
			entries = append(entries, AuditEntry{Event: e})
		case was && e.Step != "":
			entries[i].Outcome, entries[i].Error, entries[i].Ended = e.Outcome, e.Error, e.At
			delete(begun, key)
		default:
			entries = append(entries, AuditEntry{Event: e, Ended: e.At})
		}
	}
	return entries
}

// AuditFiles reads the audit files on the servers, Kamal's lines and other machines' included, merged by time, the newest last.
// Hosts whose file cannot be read are given with the reason.
func (c *Controller) AuditFiles(ctx context.Context, desired release.Release, filter AuditFilter) ([]AuditEntry, []plan.Skipped, error) {
	found := make([][]AuditEntry, len(desired.Hosts))
	failed := make([]error, len(desired.Hosts))
	var asking branches
	for i, on := range desired.Hosts {
		if filter.names(on.Name) {
			asking.Go(func() { found[i], failed[i] = c.auditFileOn(ctx, desired, on) })
		}
	}
	asking.Wait()
	var skipped []plan.Skipped
	for i, on := range desired.Hosts {
		if failed[i] != nil {
			skipped = append(skipped, plan.Skipped{Host: on.Name, Reason: why(failed[i], on.Name)})
		}
	}
	return filter.choose(slices.Concat(found...)), skipped, ctx.Err()
}

func (c *Controller) auditFileOn(ctx context.Context, desired release.Release, on release.Host) ([]AuditEntry, error) {
	conn, err := c.fleet.Connection(ctx, on)
	if err != nil {
		return nil, err
	}
	data, err := conn.Files.Read(ctx, layoutOf(desired).audit())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.EFBIG):
		return nil, fmt.Errorf("%s is larger than 4 MiB: read it there, or move it away and a new one begins: %w", layoutOf(desired).audit(), err)
	case err != nil:
		return nil, err
	}
	var entries []AuditEntry
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			entry := parseAuditLine(line, desired.App())
			if entry.At.IsZero() && len(entries) > 0 {
				entry.At = entries[len(entries)-1].At // it stands where it stood
			}
			entry.Host, entry.Release = on.Name, 0
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// parseAuditLine reads "[time] [performer] [destination] [role] message"; what is not of the form is a message without a time.
func parseAuditLine(line string, app state.App) AuditEntry {
	var entry AuditEntry
	entry.Kind = "line"
	rest := line
	var parts []string
	for strings.HasPrefix(rest, "[") {
		part, after, ok := strings.Cut(rest[1:], "] ")
		if !ok {
			break
		}
		parts, rest = append(parts, part), after
	}
	if len(parts) > 0 {
		entry.At, _ = time.Parse(time.RFC3339, parts[0])
	}
	if len(parts) < 2 || entry.At.IsZero() {
		entry.Message = line
		return entry
	}
	entry.Who, parts = parts[1], parts[2:]
	if app.Destination != "" && len(parts) > 0 && parts[0] == app.Destination {
		parts = parts[1:]
	}
	entry.Role, entry.Message = strings.Join(parts, " "), rest
	return entry
}

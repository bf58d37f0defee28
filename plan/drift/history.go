package drift

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// EventKind is the kind of the events that say what was found, and what became of it. Their step is the finding's ID.
const EventKind = "drift"

// The outcomes of such an event.
const (
	EventFound  = "found"
	EventHealed = "healed"
	EventGone   = "gone" // it is as it was released again, and kamald did not do it
)

// Past is one thing that happened to a finding.
type Past struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	ID      string    `json:"id"` // the finding's
	Class   string    `json:"class"`
	Host    string    `json:"host,omitempty"`
	Role    string    `json:"role,omitempty"`
	Message string    `json:"message"`
}

// HistoryFilter says which are wanted.
type HistoryFilter struct {
	Hosts, Roles []string // names and globs, also of what left the file; empty: all
	Limit        int      // the newest so many; 0: all
}

// History gives what the events say of findings, the newest first, as the events come.
func History(events []state.Event, filter HistoryFilter) []Past {
	found := []Past{}
	for _, e := range events {
		if filter.Limit > 0 && len(found) == filter.Limit {
			break
		}
		if e.Kind != EventKind || !named(filter.Hosts, e.Host) || !named(filter.Roles, e.Role) {
			continue
		}
		class, _, _ := strings.Cut(e.Step, "/")
		found = append(found, Past{At: e.At, Outcome: e.Outcome, ID: e.Step, Class: class, Host: e.Host, Role: e.Role, Message: e.Message})
	}
	return found
}

func named(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		matches, err := path.Match(pattern, name)
		return matches && err == nil
	})
}

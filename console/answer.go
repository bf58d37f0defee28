package console

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// App is an app's status with its name in paths.
type App struct {
	Name string `json:"name"`
	loop.Status
}

// The answers of the API.
type (
	// AppsAnswer has the apps that the principal sees, sorted by their names.
	AppsAnswer struct {
		Schema int   `json:"schema"`
		Apps   []App `json:"apps"`
	}
	// AppAnswer has one app, as it is after what was asked for.
	AppAnswer struct {
		Schema int `json:"schema"`
		App    App `json:"app"`
	}
	// HistoryAnswer has releases, the newest first, without the whole release of each.
	HistoryAnswer struct {
		Schema   int       `json:"schema"`
		Releases []Release `json:"releases"`
	}
	// PlansAnswer has plans, the newest first.
	PlansAnswer struct {
		Schema int                `json:"schema"`
		Plans  []state.PlanRecord `json:"plans"`
	}
	// EventsAnswer has what was done to servers, the newest first.
	EventsAnswer struct {
		Schema int           `json:"schema"`
		Events []state.Event `json:"events"`
	}
	// DriftAnswer has the drift that is there now, and what became of earlier drift, the newest first.
	DriftAnswer struct {
		Schema   int             `json:"schema"`
		Findings []state.Finding `json:"findings"`
		Events   []state.Event   `json:"events"`
	}
	// LogsAnswer has a container's last lines, the newest last.
	LogsAnswer struct {
		Schema    int      `json:"schema"`
		Host      string   `json:"host"`
		Container string   `json:"container"`
		Lines     []string `json:"lines"`
	}
	// TicketAnswer has an order, without the whole release that it may have come with.
	TicketAnswer struct {
		Schema int         `json:"schema"`
		Ticket loop.Ticket `json:"ticket"`
	}
	// VersionAnswer has the daemon's version.
	VersionAnswer struct {
		Schema  int    `json:"schema"`
		Version string `json:"version"`
	}
	// HealthAnswer says that the daemon lives, or is ready.
	HealthAnswer struct {
		Schema int  `json:"schema"`
		OK     bool `json:"ok"`
	}
	// NoticeEvent is the data of one event of the stream.
	NoticeEvent struct {
		Schema int    `json:"schema"`
		Name   string `json:"name"` // the app's, in paths
		loop.Notice
	}
)

// Release is a release record without the whole release.
type Release struct {
	state.Record
	Release *struct{} `json:"release,omitempty"` // hides the record's own
}

// The bodies that the API takes.
type (
	// ReleaseBody asks for a release of what the source has.
	ReleaseBody struct {
		Version string `json:"version,omitempty"` // "": the source's
		Retry   bool   `json:"retry,omitempty"`   // also when it is quarantined
		// SkipHooks leaves hooks out, here and below.
		SkipHooks bool `json:"skip_hooks,omitempty"`
	}
	// ApplyBody asks for a whole release, whatever the source has.
	ApplyBody struct {
		Release release.Release `json:"release"`
		Retry   bool            `json:"retry,omitempty"`

		SkipHooks bool `json:"skip_hooks,omitempty"`
	}
	// RollbackBody asks to go back; empty: to the release before.
	RollbackBody struct {
		Version string `json:"version,omitempty"`
		Number  int    `json:"number,omitempty"`

		SkipHooks bool `json:"skip_hooks,omitempty"`
	}
	// ApproveBody gives back the word of the status.
	ApproveBody struct {
		Word string `json:"word"`
	}
	// PauseBody says what is paused, why, and for how long.
	PauseBody struct {
		Host   string    `json:"host,omitempty"` // "": every host
		Role   string    `json:"role,omitempty"` // "": every role
		Reason string    `json:"reason"`
		Until  time.Time `json:"until,omitzero"` // zero: until it is ended
	}
	// UnpauseBody names the part whose pauses end.
	UnpauseBody struct {
		Host string `json:"host,omitempty"`
		Role string `json:"role,omitempty"`
	}
	// EmptyBody is {}.
	EmptyBody struct{}
)

// appOf names a status, and leaves no list out that has nothing in it.
func appOf(status loop.Status) App {
	status.Conditions, status.Findings, status.Places = orEmpty(status.Conditions), orEmpty(status.Findings), orEmpty(status.Places)
	if status.Wanted != nil {
		wanted := *status.Wanted
		wanted.Release = nil
		status.Wanted = &wanted
	}
	return App{Name: NameOf(status.App), Status: status}
}

// ticketOf leaves out the release that an order came with.
func ticketOf(ticket loop.Ticket) loop.Ticket {
	ticket.Order.Release = nil
	return ticket
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func answer(w http.ResponseWriter, status int, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who went away needs no answer
	return nil
}

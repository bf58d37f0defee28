package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// appHead is what the pages of an app have in common.
type appHead struct {
	App loop.Status
	glance
	Tab string
	May map[string]bool // actions, by their verbs
}

func (s *Server) head(c *call, tab string) (appHead, error) {
	status, err := s.opts.Daemon.Status(c.app)
	if err != nil {
		return appHead{}, refused(err)
	}
	head := appHead{App: status, glance: glanceAt(status), Tab: tab, May: map[string]bool{}}
	for _, a := range actions {
		head.May[a.verb] = c.by.May(a.need, c.app)
	}
	return head, nil
}

type appPage struct {
	appHead
	Row   appRow
	Roles []placeRow
	Plan  *plan.Shown
	Lines []progressLine
	Open  []loop.Ticket
	Did   string
}

type placeRow struct {
	loop.Place
	glance
	Other bool // its version is not the held one
}

// done says to a person what was just done; the word comes back in the address.
var done = map[string]string{
	"approve": "Approved. It goes on by itself.", "pause": "Paused.", "unpause": "The pause has ended.", "resume": "The hold is lifted.",
	"look": "It is being looked at.",
}

func (s *Server) showApp(c *call) error {
	head, err := s.head(c, "status")
	if err != nil {
		return err
	}
	status := head.App
	body := appPage{appHead: head, Row: rowOf(status), Did: done[c.r.URL.Query().Get("did")]}
	for _, p := range status.Places {
		body.Roles = append(body.Roles, placeRow{p, placeGlance(p), status.Held != nil && p.Other(status.Held.Version)})
	}
	if status.Pending != nil {
		shown := status.Pending.Shown()
		body.Plan = &shown
	}
	if status.Doing != nil {
		body.Lines = progressLines(status.Doing.Lines)
	}
	for _, ticket := range s.opts.Daemon.Open() {
		if ticket.Order.App == c.app {
			body.Open = append(body.Open, ticket)
		}
	}
	return s.show(c, http.StatusOK, "app", shell{Title: NameOf(c.app), Live: NameOf(c.app), Busy: status.Doing != nil || len(body.Open) > 0, Body: body})
}

// progressLine is a line of what is under way.
type progressLine struct {
	reconcile.Progress
	Level   string
	Percent int // of bytes; 0 when it is not known
}

// progressLines leave out what a later line of the same step says again.
func progressLines(lines []reconcile.Progress) (list []progressLine) {
	for i, p := range lines {
		if p.Kind == "bytes" && slices.ContainsFunc(lines[i+1:], func(q reconcile.Progress) bool { return q.Step == p.Step && q.Host == p.Host && q.Kind != "warn" }) {
			continue
		}
		line := progressLine{Progress: p, Level: levelNote}
		switch p.Kind {
		case "done":
			line.Level = levelOK
		case "begin", "bytes", "lock":
			line.Level = levelBusy
		case "failed":
			line.Level = levelBad
		case "warn", "undone":
			line.Level = levelWarn
		}
		if p.Kind == "bytes" && p.Total > 0 {
			line.Percent = int(100 * min(p.Bytes, p.Total) / p.Total)
		}
		list = append(list, line)
	}
	return list
}

type ticketPage struct {
	appHead
	Ticket loop.Ticket
	State  glance
	Lines  []progressLine
}

func (s *Server) showTicket(c *call) error {
	head, err := s.head(c, "")
	if err != nil {
		return err
	}
	body := ticketPage{appHead: head, Ticket: ticketOf(c.ticket), State: ticketGlance(c.ticket)}
	if doing := head.App.Doing; doing != nil && !c.ticket.Begun.IsZero() && !c.ticket.Done() {
		body.Lines = progressLines(doing.Lines)
	}
	return s.show(c, http.StatusOK, "ticket", shell{Title: verbOf(c.ticket.Order) + " of " + NameOf(c.app), Live: NameOf(c.app), Busy: !c.ticket.Done(), Body: body})
}

func ticketGlance(t loop.Ticket) glance {
	switch {
	case t.Begun.IsZero() && !t.Done():
		return glance{levelNote, "Waits for its turn"}
	case !t.Done():
		return glance{levelBusy, "Under way"}
	case t.Error != "":
		return glance{levelBad, "Failed"}
	case t.Report != nil && t.Report.Outcome == state.OutcomePartial:
		return glance{levelWarn, "Done in part"}
	}
	return glance{levelOK, "Done"}
}

func verbOf(order loop.Order) string {
	if order.Verb == loop.VerbRollback {
		return "Rollback"
	}
	return "Release"
}

// historyPage, auditPage, driftPage and logsPage are an app's other pages.
type historyPage struct {
	appHead
	Releases []Release
}

func (s *Server) showHistory(c *call) error {
	head, err := s.head(c, "history")
	if err != nil {
		return err
	}
	releases, err := s.releases(c.app, listDefault*2)
	if err != nil {
		return err
	}
	return s.show(c, http.StatusOK, "history", shell{Title: "History of " + NameOf(c.app), Body: historyPage{head, releases}})
}

type auditPage struct {
	appHead
	Entries []reconcile.AuditEntry
	More    bool
}

const auditEntries = 200

func (s *Server) showAudit(c *call) error {
	head, err := s.head(c, "audit")
	if err != nil {
		return err
	}
	events, err := s.events(c.app, 2*auditEntries, func(e state.Event) bool { return true })
	if err != nil {
		return err
	}
	entries := reconcile.AuditOf(events)
	slices.Reverse(entries)
	body := auditPage{appHead: head, Entries: entries, More: len(events) == 2*auditEntries}
	return s.show(c, http.StatusOK, "audit", shell{Title: "Audit of " + NameOf(c.app), Body: body})
}

type driftPage struct {
	appHead
	Events []state.Event
}

func (s *Server) showDrift(c *call) error {
	head, err := s.head(c, "drift")
	if err != nil {
		return err
	}
	events, err := s.driftEvents(c.app, listDefault*2)
	if err != nil {
		return err
	}
	return s.show(c, http.StatusOK, "drift", shell{Title: "Drift of " + NameOf(c.app), Live: NameOf(c.app), Body: driftPage{head, events}})
}

type logsPage struct {
	appHead
	Places []loop.Place // that have a container
	Host   string
	Name   string
	Count  int
	Counts []int
	Lines  []string
	Why    string // there are none
}

func (s *Server) showLogs(c *call) error {
	head, err := s.head(c, "logs")
	if err != nil {
		return err
	}
	body := logsPage{appHead: head, Counts: []int{100, 300, 1000}}
	for _, p := range head.App.Places {
		if p.Container != "" {
			body.Places = append(body.Places, p)
		}
	}
	if body.Count, err = c.limit("lines", logDefault, logMost); err != nil {
		return err
	}
	query := c.r.URL.Query()
	body.Host, body.Name = query.Get("host"), query.Get("container")
	if host, name, ok := strings.Cut(query.Get("of"), "/"); ok { // of the form: one choice names both
		body.Host, body.Name = host, name
	}
	if body.Name == "" && len(body.Places) > 0 {
		body.Host, body.Name = body.Places[0].Host, body.Places[0].Container
	}
	if body.Name != "" {
		lines, err := s.logs(c, body.Host, body.Name, body.Count)
		if err != nil {
			body.Why = err.Error()
		}
		for _, line := range lines {
			body.Lines = append(body.Lines, clean(strings.TrimRight(line, "\r\n")))
		}
	}
	return s.show(c, http.StatusOK, "logs", shell{Title: "Logs of " + NameOf(c.app) + " (" + strconv.Itoa(len(body.Lines)) + " lines)", Body: body})
}

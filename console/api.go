package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// The limits of what is asked for at once.
const (
	listDefault = 50
	listMost    = 1000
	logDefault  = 100
	logMost     = 1000
	logTimeout  = 20 * time.Second
	waitMost    = time.Minute
)

var limited = parameter{"limit", "how many at most, the newest; 50 unless given, at most 1000"}

// apiRoutes are the API, and what tells that the daemon lives.
func apiRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	const app = "/v1/apps/{app}"
	return []route{
		{method: get, pattern: "/healthz", serve: (*Server).healthz, gives: HealthAnswer{}, says: "Whether the process lives. Needs no token."},
		{method: get, pattern: "/readyz", serve: (*Server).readyz, gives: HealthAnswer{}, says: "Whether every app has been looked at once and the store can be written. Needs no token."},
		{method: get, pattern: "/v1/version", need: RoleRead, serve: (*Server).getVersion, gives: VersionAnswer{}, says: "The daemon's version."},
		{method: get, pattern: "/v1/schema", need: RoleRead, serve: (*Server).getSchema, gives: map[string]any{}, says: "This document."},
		{method: get, pattern: "/v1/events", need: RoleRead, serve: (*Server).getEvents, gives: NoticeEvent{},
			asks: []parameter{{"app", "only of this app"}}, says: "What happens from now on, as server-sent events; each has a notice as its data."},
		{method: get, pattern: "/v1/apps", need: RoleRead, serve: (*Server).getApps, gives: AppsAnswer{}, says: "All apps that the token is for."},
		{method: get, pattern: app, need: RoleRead, about: aboutApp, serve: (*Server).getApp, gives: AppAnswer{}, says: "How an app is."},
		{method: get, pattern: app + "/history", need: RoleRead, about: aboutApp, serve: (*Server).getHistory, gives: HistoryAnswer{}, asks: []parameter{limited}, says: "Its releases."},
		{method: get, pattern: app + "/plans", need: RoleRead, about: aboutApp, serve: (*Server).getPlans, gives: PlansAnswer{}, asks: []parameter{limited}, says: "The plans that were carried out."},
		{method: get, pattern: app + "/events", need: RoleRead, about: aboutApp, serve: (*Server).getAudit, gives: EventsAnswer{}, asks: []parameter{limited}, says: "What was done to its servers, by whom."},
		{method: get, pattern: app + "/drift", need: RoleRead, about: aboutApp, serve: (*Server).getDrift, gives: DriftAnswer{}, asks: []parameter{limited}, says: "Drift, now and before."},
		{method: get, pattern: app + "/logs", need: RoleRead, about: aboutApp, serve: (*Server).getLogs, gives: LogsAnswer{},
			asks: []parameter{{"host", "the host's name"}, {"container", "the container's name"}, {"lines", "how many, the last; 100 unless given, at most 1000"}}, says: "The last lines of one of its containers."},
		{method: get, pattern: "/v1/tickets/{id}", need: RoleRead, about: aboutTicket, serve: (*Server).getTicket, gives: TicketAnswer{},
			asks: []parameter{{"wait", "wait so long for it to end, at most 1m"}}, says: "What became of an order."},
		{method: post, pattern: app + "/release", need: RoleOperate, about: aboutApp, serve: (*Server).postRelease, takes: ReleaseBody{}, gives: TicketAnswer{}, says: "Release what the source has, at a version."},
		{method: post, pattern: app + "/apply", need: RoleAdmin, about: aboutApp, serve: (*Server).postApply, takes: ApplyBody{}, gives: TicketAnswer{},
			says: "Release what the body says. It can name any server and mount any directory, so it needs the role admin."},
		{method: post, pattern: app + "/rollback", need: RoleOperate, about: aboutApp, serve: (*Server).postRollback, takes: RollbackBody{}, gives: TicketAnswer{}, says: "Go back to an earlier release, and hold it."},
		{method: post, pattern: app + "/approve", need: RoleAdmin, about: aboutApp, serve: (*Server).postApprove, takes: ApproveBody{}, gives: AppAnswer{}, says: "Let what waits go on."},
		{method: post, pattern: app + "/pause", need: RoleOperate, about: aboutApp, serve: (*Server).postPause, takes: PauseBody{}, gives: AppAnswer{}, says: "Keep the daemon from touching a part of it."},
		{method: post, pattern: app + "/unpause", need: RoleOperate, about: aboutApp, serve: (*Server).postUnpause, takes: UnpauseBody{}, gives: AppAnswer{}, says: "End the pauses of exactly that part."},
		{method: post, pattern: app + "/resume", need: RoleOperate, about: aboutApp, serve: (*Server).postResume, takes: EmptyBody{}, gives: AppAnswer{}, says: "Lift a hold: what the source proposes is released again."},
		{method: post, pattern: app + "/look", need: RoleOperate, about: aboutApp, serve: (*Server).postLook, takes: EmptyBody{}, gives: AppAnswer{}, says: "Look at its servers now."},
	}
}

func (s *Server) healthz(c *call) error {
	return answer(c.w, http.StatusOK, HealthAnswer{Schema, true})
}

// readyz says how many apps are still to be looked at, and not which: nobody has said who asks.
func (s *Server) readyz(c *call) error {
	unseen, statuses := 0, s.opts.Daemon.Statuses()
	for _, status := range statuses {
		if status.Round.Number == 0 {
			unseen++
		}
	}
	if unseen > 0 {
		return failure{status: http.StatusServiceUnavailable, retry: 5, next: "wait for the first look",
			text: fmt.Sprintf("%d of %d apps have not been looked at yet", unseen, len(statuses))}
	}
	if s.opts.Ready != nil {
		if err := s.opts.Ready(c.r.Context()); err != nil {
			s.opts.Log.Error().Err(err).Msg("the store cannot be written")
			return failure{status: http.StatusServiceUnavailable, retry: 5, text: "the store cannot be written", next: "see the daemon's log"}
		}
	}
	return answer(c.w, http.StatusOK, HealthAnswer{Schema, true})
}

func (s *Server) getVersion(c *call) error {
	return answer(c.w, http.StatusOK, VersionAnswer{Schema, s.opts.Version})
}

func (s *Server) getSchema(c *call) error {
	c.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = c.w.Write(s.document)
	return nil
}

func (s *Server) getApps(c *call) error {
	given := AppsAnswer{Schema, []App{}}
	for _, status := range s.seen(c.by) {
		given.Apps = append(given.Apps, appOf(status))
	}
	return answer(c.w, http.StatusOK, given)
}

// seen are the statuses that somebody sees.
func (s *Server) seen(by Principal) []loop.Status {
	return slices.DeleteFunc(s.opts.Daemon.Statuses(), func(status loop.Status) bool { return !by.Sees(status.App) })
}

func (s *Server) getApp(c *call) error { return s.giveApp(c) }

func (s *Server) giveApp(c *call) error {
	status, err := s.opts.Daemon.Status(c.app)
	if err != nil {
		return refused(err)
	}
	return answer(c.w, http.StatusOK, AppAnswer{Schema, appOf(status)})
}

// limit reads how many are wanted.
func (c *call) limit(name string, unless, most int) (int, error) {
	text := c.r.URL.Query().Get(name)
	if text == "" {
		return unless, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, bad(name+" is a number above 0", "")
	}
	return min(n, most), nil
}

func (s *Server) getHistory(c *call) error {
	limit, err := c.limit("limit", listDefault, listMost)
	if err != nil {
		return err
	}
	releases, err := s.releases(c.app, limit)
	if err != nil {
		return err
	}
	return answer(c.w, http.StatusOK, HistoryAnswer{Schema, releases})
}

// releases are an app's, the newest first, without the whole of each. An app that is not driven here has none to show.
func (s *Server) releases(app state.App, limit int) ([]Release, error) {
	if _, err := s.opts.Daemon.Status(app); err != nil {
		return nil, refused(err)
	}
	records, err := s.opts.History.Releases(app)
	if err != nil {
		return nil, broken(err)
	}
	slices.SortStableFunc(records, func(a, b state.Record) int { return b.Number - a.Number })
	list := []Release{}
	for _, record := range records[:min(limit, len(records))] {
		list = append(list, Release{Record: record})
	}
	return list, nil
}

func (s *Server) getPlans(c *call) error {
	limit, err := c.limit("limit", listDefault, listMost)
	if err != nil {
		return err
	}
	if _, err := s.opts.Daemon.Status(c.app); err != nil {
		return refused(err)
	}
	plans, err := s.opts.History.Plans(c.app, limit)
	if err != nil {
		return broken(err)
	}
	return answer(c.w, http.StatusOK, PlansAnswer{Schema, orEmpty(plans)})
}

func (s *Server) getAudit(c *call) error {
	limit, err := c.limit("limit", listDefault, listMost)
	if err != nil {
		return err
	}
	events, err := s.events(c.app, limit, func(state.Event) bool { return true })
	if err != nil {
		return err
	}
	return answer(c.w, http.StatusOK, EventsAnswer{Schema, events})
}

// events are those of an app's newest that are wanted.
func (s *Server) events(app state.App, limit int, wanted func(state.Event) bool) ([]state.Event, error) {
	if _, err := s.opts.Daemon.Status(app); err != nil {
		return nil, refused(err)
	}
	events, err := s.opts.History.Events(app, limit)
	if err != nil {
		return nil, broken(err)
	}
	list := []state.Event{}
	for _, event := range events {
		if wanted(event) {
			list = append(list, event)
		}
	}
	return list, nil
}

// ofDrift tells of an event whether drift came or went, or a repair ended.
func ofDrift(e state.Event) bool { return e.Kind == loop.EventDrift || e.Kind == string(plan.KindHeal) }

func (s *Server) getDrift(c *call) error {
	limit, err := c.limit("limit", listDefault, listMost)
	if err != nil {
		return err
	}
	status, err := s.opts.Daemon.Status(c.app)
	if err != nil {
		return refused(err)
	}
	events, err := s.driftEvents(c.app, limit)
	if err != nil {
		return err
	}
	return answer(c.w, http.StatusOK, DriftAnswer{Schema, orEmpty(status.Findings), events})
}

// driftEvents looks further back than the limit: between them are the steps of every release.
func (s *Server) driftEvents(app state.App, limit int) ([]state.Event, error) {
	events, err := s.events(app, 20*limit, ofDrift)
	return events[:min(limit, len(events))], err
}

func (s *Server) getLogs(c *call) error {
	lines, err := c.limit("lines", logDefault, logMost)
	if err != nil {
		return err
	}
	query := c.r.URL.Query()
	given := LogsAnswer{Schema: Schema, Host: query.Get("host"), Container: query.Get("container")}
	if given.Lines, err = s.logs(c, given.Host, given.Container, lines); err != nil {
		return err
	}
	return answer(c.w, http.StatusOK, given)
}

func (s *Server) logs(c *call, host, container string, lines int) ([]string, error) {
	if host == "" || container == "" {
		return nil, bad("whose logs: host and container are needed", "the app's places have both")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), logTimeout)
	defer cancel()
	list, err := s.opts.Daemon.Logs(ctx, c.app, host, container, lines)
	return orEmpty(list), refused(err)
}

func (s *Server) getTicket(c *call) error {
	wait, err := c.wait("wait", waitMost)
	if err != nil {
		return err
	}
	ticket := c.ticket
	if wait > 0 && !ticket.Done() {
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(wait + writeTimeout)) // where it can be set
		lasting, end := c.lasting()
		defer end()
		ctx, cancel := context.WithTimeout(lasting, wait)
		defer cancel()
		ended, err := s.opts.Daemon.Await(ctx, ticket.ID)
		switch {
		case err == nil:
			ticket = ended
		case ctx.Err() == nil:
			return refused(err)
		default:
			if newer, ok := s.opts.Daemon.Ticket(ticket.ID); ok {
				ticket = newer
			}
		}
	}
	return answer(c.w, http.StatusOK, TicketAnswer{Schema, ticketOf(ticket)})
}

// body reads what was sent, and nothing that is not known: a misspelt name must not be taken for nothing.
func (c *call) body(into any) error {
	decoder := json.NewDecoder(c.r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("something follows the object")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case errors.Is(err, io.EOF):
		return bad("the body is empty", "send {} for what needs nothing")
	}
	return bad("the body cannot be read: "+err.Error(), "GET /v1/schema has its form")
}

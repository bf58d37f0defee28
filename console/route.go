package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// about says whose a route's answer is: what the role is needed for.
type about int

const (
	aboutNone   about = iota // nothing of an app, or of all that the principal sees
	aboutApp                 // the app of the path
	aboutTicket              // the app of the ticket of the path
)

// route is one thing that can be asked. Nothing is answered that has no row in the table, and nobody is let in but by guarded.
type route struct {
	method  string
	pattern string
	need    Role // RoleNone: anybody
	about   about
	page    bool // for a browser: HTML, and forms instead of JSON
	serve   func(*Server, *call) error

	// Of the API, for its document.
	says  string
	asks  []parameter
	takes any // the body's type
	gives any // the answer's type
}

// parameter is one of a query.
type parameter struct{ name, says string }

// routes are all there are.
var routes = append(apiRoutes(), pageRoutes()...)

// call is one request, of somebody who may make it.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	via    Via
	by     Principal
	app    state.App   // where the route is about one
	ticket loop.Ticket // where it is about a ticket
	page   bool
}

// guarded lets in who may, and nobody else. It is the one place that authorises.
func (s *Server) guarded(via Via, to route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, via: via, page: to.page}
		err := s.admit(c, to)
		if err == nil {
			if r.Body != nil {
				r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(to))
			}
			err = s.serve(c, to)
		}
		if err != nil {
			s.fail(c, err)
		}
		if to.method == http.MethodPost {
			s.note(c, to, err)
		}
	})
}

// admit finds out who asks and whether they may.
func (s *Server) admit(c *call, to route) error {
	if to.need == RoleNone {
		if to.page {
			c.by, _ = s.principal(c.via, c.r) // a page for anybody says who is logged in
		}
		return nil
	}
	by, err := s.principal(c.via, c.r)
	if err != nil {
		return err
	}
	if by.Role == RoleNone {
		return errNobody
	}
	c.by = by
	switch to.about {
	case aboutApp:
		if c.app, err = AppOf(c.r.PathValue("app")); err != nil {
			return failure{status: http.StatusNotFound, err: err}
		}
		if !by.Sees(c.app) {
			return failure{status: http.StatusForbidden, next: "ask with a token for it",
				text: "the token " + by.Name + " is for other services than " + c.app.Service}
		}
	case aboutTicket:
		ticket, ok := s.opts.Daemon.Ticket(c.r.PathValue("id"))
		if !ok || !by.Sees(ticket.Order.App) { // whether another's exists is nobody's business
			return failure{status: http.StatusNotFound, text: "there is no such order", next: "orders are forgotten some time after they have ended: see the history"}
		}
		c.ticket, c.app = ticket, ticket.Order.App
	}
	if by.Role < to.need {
		return failure{status: http.StatusForbidden, next: "ask somebody who has it",
			text: "this needs the role " + to.need.String() + ", and " + by.Name + " has " + by.Role.String()}
	}
	return nil
}

func (s *Server) serve(c *call, to route) error {
	if to.method == http.MethodPost && !to.page && !isJSON(c.r.Header.Get("Content-Type")) {
		return failure{status: http.StatusUnsupportedMediaType, text: "the body is to be JSON", next: "send it with Content-Type: application/json"}
	}
	return to.serve(s, c)
}

// note logs what somebody asked to have done.
func (s *Server) note(c *call, to route, err error) {
	e := s.opts.Log.Info()
	if err != nil {
		e = s.opts.Log.Warn().Err(err)
	}
	if c.app.Service != "" {
		e = e.Str("app", NameOf(c.app))
	}
	e.Str("who", c.by.Name).Str("where", c.by.Where).Str("route", to.method+" "+to.pattern).Msg("asked")
}

// The limits of bodies. A whole release is the largest.
const (
	formBytes = 64 << 10
	jsonBytes = 4 << 20
)

func bodyLimit(to route) int64 {
	if to.page {
		return formBytes
	}
	return jsonBytes
}

// wait reads a time that a query gives, bounded.
func (c *call) wait(name string, most time.Duration) (time.Duration, error) {
	text := strings.TrimSpace(c.r.URL.Query().Get(name))
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, bad(name+" is a time such as 30s", "")
	}
	return min(d, most), nil
}

package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// glance is how an app, or a host of it, is in a word.
type glance struct{ Level, Word string }

// glanceAt is the heaviest of what an app is in.
func glanceAt(s loop.Status) glance {
	best := glance{levelOK, "As released"}
	if s.Round.Error != "" {
		best = glance{levelWarn, "Look failed"}
	}
	if s.Round.Number == 0 {
		best = glance{levelNote, "Not looked at yet"}
	}
	weight := []string{levelOK, levelNote, levelBusy, levelWarn, levelBad}
	for _, kind := range conditions {
		if slices.ContainsFunc(s.Conditions, func(c state.Condition) bool { return c.Kind == kind }) &&
			slices.Index(weight, levelOf(kind)) > slices.Index(weight, best.Level) {
			best = glance{levelOf(kind), labelOf(kind)}
		}
	}
	return best
}

// hostGlance is a host in an app's row.
type hostGlance struct {
	Name string
	glance
	Version string // where it is not the held one; several are joined
	Roles   []loop.Place
}

// hostsOf gives an app's hosts in the file's order.
func hostsOf(s loop.Status) (hosts []hostGlance) {
	held := ""
	if s.Held != nil {
		held = s.Held.Version
	}
	for _, p := range s.Places {
		i := slices.IndexFunc(hosts, func(h hostGlance) bool { return h.Name == p.Host })
		if i < 0 {
			i = len(hosts)
			hosts = append(hosts, hostGlance{Name: p.Host, glance: glance{levelOK, "healthy"}})
		}
		h := &hosts[i]
		h.Roles = append(h.Roles, p)
		h.worsen(placeGlance(p))
		if p.Other(held) && p.Version != "" && !strings.Contains(h.Version, p.Version) {
			h.Version = strings.TrimPrefix(h.Version+", "+p.Version, ", ")
		}
	}
	for i := range hosts {
		if hosts[i].Version != "" && s.Doing == nil {
			hosts[i].worsen(glance{levelWarn, "runs"})
		}
	}
	return hosts
}

func (h *hostGlance) worsen(g glance) {
	weight := []string{levelOK, levelNote, levelBusy, levelWarn, levelBad}
	if slices.Index(weight, g.Level) > slices.Index(weight, h.Level) {
		h.glance = g
	}
}

// placeGlance is one role on one host.
func placeGlance(p loop.Place) glance {
	switch {
	case p.Cordoned != "":
		return glance{levelNote, "cordoned"}
	case p.Unreachable != "":
		return glance{levelWarn, "unreachable"}
	case p.Container == "":
		return glance{levelBad, "missing"}
	case p.Status != "" && p.Status != "running":
		return glance{levelBad, p.Status}
	case p.Health == "unhealthy":
		return glance{levelBad, p.Health}
	case p.Health == "starting":
		return glance{levelBusy, p.Health}
	case p.Health == "" || p.Health == "none":
		return glance{levelOK, "running"}
	}
	return glance{levelOK, p.Health}
}

// appRow is an app on the overview.
type appRow struct {
	App loop.Status
	glance
	Hosts []hostGlance
	Kinds []string // other conditions
	Next  string   // the version that is wanted, where it is another
}

type overview struct {
	Rows    []appRow
	Counts  map[string]int // by level
	Total   int
	Query   string
	Open    []loop.Ticket // orders that have not ended
	Missing bool          // nothing fits the query
}

func (s *Server) showOverview(c *call) error {
	body := overview{Counts: map[string]int{}, Query: strings.TrimSpace(c.r.URL.Query().Get("q"))}
	busy := false
	for _, status := range s.seen(c.by) {
		row := rowOf(status)
		body.Total++
		body.Counts[row.Level]++
		busy = busy || status.Doing != nil
		if fits(row, body.Query) {
			body.Rows = append(body.Rows, row)
		}
	}
	for _, ticket := range s.opts.Daemon.Open() {
		if c.by.Sees(ticket.Order.App) {
			body.Open = append(body.Open, ticket)
		}
	}
	body.Missing = body.Total > 0 && len(body.Rows) == 0
	return s.show(c, http.StatusOK, "overview", shell{Title: "Services", Live: "*", Busy: busy || len(body.Open) > 0, Body: body})
}

func rowOf(status loop.Status) appRow {
	row := appRow{App: status, glance: glanceAt(status), Hosts: hostsOf(status)}
	for _, kind := range conditions {
		if labelOf(kind) != row.Word && slices.ContainsFunc(status.Conditions, func(c state.Condition) bool { return c.Kind == kind }) {
			row.Kinds = append(row.Kinds, kind)
		}
	}
	if status.Wanted != nil && status.Held != nil && status.Wanted.Version != status.Held.Version {
		row.Next = status.Wanted.Version
	}
	return row
}

// fits tells whether a row has every word of a query: in its name, a host, a version or a condition.
func fits(row appRow, query string) bool {
	text := NameOf(row.App.App) + " " + row.Word + " " + row.Next
	for _, h := range row.Hosts {
		text += " " + h.Name + " " + h.Version
	}
	for _, kind := range row.Kinds {
		text += " " + labelOf(kind)
	}
	if row.App.Held != nil {
		text += " " + row.App.Held.Version
	}
	text = strings.ToLower(text)
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

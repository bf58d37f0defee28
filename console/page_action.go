package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// action is what a page lets somebody do: a page that asks whether they mean it, and the form of it.
type action struct {
	verb string
	need Role
	// asks says what is to be known before it is done; what cannot be done is an error.
	asks func(*Server, *call, *confirmPage) error
	// acts does it, and gives where to look next.
	acts func(*Server, *call, url.Values) (string, error)
}

// actions are all that the dashboard can do. They go by the same ways as the API's.
var actions = []action{
	{"release", RoleOperate, askRelease, actRelease},
	{"rollback", RoleOperate, askRollback, actRollback},
	{"pause", RoleOperate, askPause, actPause},
	{"unpause", RoleOperate, askUnpause, actUnpause},
	{"resume", RoleOperate, askResume, actResume},
	{"look", RoleOperate, askLook, actLook},
	{"approve", RoleAdmin, askApprove, actApprove},
}

// confirmPage asks.
type confirmPage struct {
	appHead
	Verb   string
	Title  string
	Text   string // what will happen
	Button string
	Danger bool
	Hidden map[string]string

	Plan    *plan.Shown
	Release *Release // that a rollback goes to
	Hosts   []string // of a pause
	Roles   []string
	Times   []string
}

func (s *Server) confirm(c *call, a action) error {
	head, err := s.head(c, "")
	if err != nil {
		return err
	}
	body := confirmPage{appHead: head, Verb: a.verb, Hidden: map[string]string{}}
	if err := a.asks(s, c, &body); err != nil {
		return err
	}
	return s.show(c, http.StatusOK, "confirm", shell{Title: body.Title, Body: body})
}

func (s *Server) act(c *call, a action) error {
	if err := c.form(); err != nil {
		return err
	}
	to, err := a.acts(s, c, c.r.PostForm)
	if err != nil {
		return err
	}
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
	return nil
}

func did(c *call, verb string) string { return pathOf(c.app) + "?did=" + verb }

func askRelease(_ *Server, c *call, p *confirmPage) error {
	p.Title, p.Button = "Release "+NameOf(c.app), "Release"
	p.Text = "The daemon rolls it out group by group, and takes it back when it does not become healthy."
	return nil
}

func actRelease(s *Server, c *call, form url.Values) (string, error) {
	ticket, err := s.order(c, loop.Order{Verb: loop.VerbRelease, Version: strings.TrimSpace(form.Get("version")), Retry: form.Get("retry") != ""})
	return "/tickets/" + ticket.ID, err
}

func askRollback(s *Server, c *call, p *confirmPage) error {
	releases, err := s.releases(c.app, listMost)
	if err != nil {
		return err
	}
	number, _ := strconv.Atoi(c.r.URL.Query().Get("to"))
	i := slices.IndexFunc(releases, func(r Release) bool {
		if number != 0 {
			return r.Number == number
		}
		return r.Outcome == state.OutcomeSucceeded && p.App.Held != nil && r.Number < p.App.Held.Number && r.Version != p.App.Held.Version
	})
	if i < 0 {
		return failure{status: http.StatusConflict, text: "there is no such release to go back to", next: "choose one of the history"}
	}
	p.Release = &releases[i]
	p.Title, p.Button, p.Danger = "Roll back "+NameOf(c.app)+" to "+p.Release.Version, "Roll back", true
	p.Text = "What the source proposes waits from then on, until somebody resumes."
	p.Hidden["number"] = strconv.Itoa(p.Release.Number)
	return nil
}

func actRollback(s *Server, c *call, form url.Values) (string, error) {
	number, err := strconv.Atoi(form.Get("number"))
	if err != nil || number < 1 {
		return "", bad("no release is named", "choose one of the history")
	}
	ticket, err := s.order(c, loop.Order{Verb: loop.VerbRollback, Number: number})
	return "/tickets/" + ticket.ID, err
}

// pauseTimes are how long a pause may be chosen to last; the last is without an end.
var pauseTimes = []string{"30m", "1h", "2h", "4h", "8h", "24h", ""}

func askPause(_ *Server, c *call, p *confirmPage) error {
	p.Title, p.Button = "Pause "+NameOf(c.app), "Pause"
	p.Text = "The daemon looks and reports, and touches nothing of the part that is paused. What runs goes on."
	p.Times = pauseTimes
	for _, place := range p.App.Places {
		if !slices.Contains(p.Hosts, place.Host) {
			p.Hosts = append(p.Hosts, place.Host)
		}
		if !slices.Contains(p.Roles, place.Role) {
			p.Roles = append(p.Roles, place.Role)
		}
	}
	return nil
}

func actPause(s *Server, c *call, form url.Values) (string, error) {
	body := PauseBody{Host: form.Get("host"), Role: form.Get("role"), Reason: form.Get("reason")}
	if text := form.Get("for"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return "", bad("how long is not a time such as 2h", "")
		}
		body.Until = s.now().Add(d)
	}
	return did(c, "pause"), s.pause(c, body)
}

func askUnpause(_ *Server, c *call, p *confirmPage) error {
	query := c.r.URL.Query()
	p.Hidden["host"], p.Hidden["role"] = query.Get("host"), query.Get("role")
	p.Title, p.Button = "End the pause of "+part(p.Hidden["host"], p.Hidden["role"]), "End the pause"
	p.Text = "The daemon brings it to what is held again."
	return nil
}

// part names what a pause covers.
func part(host, role string) string {
	switch {
	case host == "" && role == "":
		return "everything"
	case host == "":
		return "role " + role
	case role == "":
		return host
	}
	return role + " on " + host
}

func actUnpause(s *Server, c *call, form url.Values) (string, error) {
	return did(c, "unpause"), s.unpause(c, UnpauseBody{Host: form.Get("host"), Role: form.Get("role")})
}

func askResume(_ *Server, c *call, p *confirmPage) error {
	if p.App.Held == nil || !p.App.Held.Hold {
		return failure{status: http.StatusConflict, text: "nothing is held of " + NameOf(c.app), next: "look at it again"}
	}
	p.Title, p.Button = "Resume "+NameOf(c.app), "Resume"
	p.Text = "What the source proposes counts again"
	if p.App.Wanted != nil {
		p.Text += ": " + p.App.Wanted.Version + " from " + p.App.Wanted.From
	}
	p.Text += "."
	return nil
}

func actResume(s *Server, c *call, _ url.Values) (string, error) {
	return did(c, "resume"), refused(s.opts.Daemon.Resume(c.r.Context(), c.app, c.by.person()))
}

func askLook(_ *Server, c *call, p *confirmPage) error {
	p.Title, p.Button, p.Text = "Look at "+NameOf(c.app)+" now", "Look now", "The daemon looks at its servers without waiting for the timer."
	return nil
}

func actLook(s *Server, c *call, _ url.Values) (string, error) {
	return did(c, "look"), refused(s.opts.Daemon.Look(c.app))
}

func askApprove(_ *Server, c *call, p *confirmPage) error {
	if p.App.Approve == "" {
		return refused(loop.ErrNothingWaits)
	}
	p.Title, p.Button = "Approve what waits of "+NameOf(c.app), "Approve"
	p.Text = "Exactly this is approved. When it has changed meanwhile, the approval is refused."
	p.Hidden["word"] = p.App.Approve
	if p.App.Pending != nil {
		shown := p.App.Pending.Shown()
		p.Plan = &shown
		p.Danger = slices.ContainsFunc(p.App.Pending.Items, func(i plan.Item) bool {
			return i.Deferred == "" && (i.Risk == plan.Destructive || i.Risk == plan.Downtime)
		})
	}
	return nil
}

func actApprove(s *Server, c *call, form url.Values) (string, error) {
	return did(c, "approve"), s.approve(c, form.Get("word"))
}

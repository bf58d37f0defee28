package console

import (
	"net/http"
	"strings"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// What somebody asks to have done. The API and the dashboard's forms both come here.

func (s *Server) postRelease(c *call) error {
	var body ReleaseBody
	if err := c.body(&body); err != nil {
		return err
	}
	return s.giveTicket(c, loop.Order{Verb: loop.VerbRelease, Version: body.Version, Retry: body.Retry, SkipHooks: body.SkipHooks})
}

func (s *Server) postApply(c *call) error {
	var body ApplyBody
	if err := c.body(&body); err != nil {
		return err
	}
	if body.Release.App() != c.app { // else a token for one service could release another
		return bad("the release is one of "+NameOf(body.Release.App())+", and not of "+NameOf(c.app), "send it to that app's path")
	}
	return s.giveTicket(c, loop.Order{Verb: loop.VerbRelease, Version: body.Release.Version, Release: &body.Release, Retry: body.Retry, SkipHooks: body.SkipHooks})
}

func (s *Server) postRollback(c *call) error {
	var body RollbackBody
	if err := c.body(&body); err != nil {
		return err
	}
	return s.giveTicket(c, loop.Order{Verb: loop.VerbRollback, Version: body.Version, Number: body.Number, SkipHooks: body.SkipHooks})
}

func (s *Server) giveTicket(c *call, order loop.Order) error {
	ticket, err := s.order(c, order)
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", "/v1/tickets/"+ticket.ID)
	return answer(c.w, http.StatusAccepted, TicketAnswer{Schema, ticketOf(ticket)})
}

func (s *Server) order(c *call, order loop.Order) (loop.Ticket, error) {
	order.App, order.By = c.app, c.by.person()
	if order.Number < 0 || order.Number > 0 && order.Version != "" {
		return loop.Ticket{}, bad("a rollback goes to a number, or to a version", "give one of the two, or none for the release before")
	}
	ticket, err := s.opts.Daemon.Order(order)
	return ticket, refused(err)
}

func (s *Server) postApprove(c *call) error {
	var body ApproveBody
	if err := c.body(&body); err != nil {
		return err
	}
	if err := s.approve(c, body.Word); err != nil {
		return err
	}
	return s.giveApp(c)
}

func (s *Server) approve(c *call, word string) error {
	if word == "" {
		return bad("what is approved: word is needed", "the app's status has it under approve")
	}
	return refused(s.opts.Daemon.Approve(c.app, word, c.by.person()))
}

func (s *Server) postPause(c *call) error {
	var body PauseBody
	if err := c.body(&body); err != nil {
		return err
	}
	if err := s.pause(c, body); err != nil {
		return err
	}
	return s.giveApp(c)
}

func (s *Server) pause(c *call, body PauseBody) error {
	now := s.now()
	switch {
	case strings.TrimSpace(body.Reason) == "":
		return bad("why it is paused: reason is needed", "whoever finds it paused will want to know")
	case !body.Until.IsZero() && !body.Until.After(now):
		return bad("until is not in the future", "")
	}
	return refused(s.opts.Daemon.Pause(c.app, state.Pause{Host: body.Host, Role: body.Role, Reason: strings.TrimSpace(body.Reason),
		Who: c.by.Name, Where: c.by.Where, Since: now, Until: body.Until}))
}

func (s *Server) postUnpause(c *call) error {
	var body UnpauseBody
	if err := c.body(&body); err != nil {
		return err
	}
	if err := s.unpause(c, body); err != nil {
		return err
	}
	return s.giveApp(c)
}

func (s *Server) unpause(c *call, body UnpauseBody) error {
	return refused(s.opts.Daemon.Unpause(c.app, body.Host, body.Role, c.by.person()))
}

func (s *Server) postResume(c *call) error {
	if err := c.body(&EmptyBody{}); err != nil {
		return err
	}
	if err := refused(s.opts.Daemon.Resume(c.r.Context(), c.app, c.by.person())); err != nil {
		return err
	}
	return s.giveApp(c)
}

func (s *Server) postLook(c *call) error {
	if err := c.body(&EmptyBody{}); err != nil {
		return err
	}
	if err := refused(s.opts.Daemon.Look(c.app)); err != nil {
		return err
	}
	return s.giveApp(c)
}

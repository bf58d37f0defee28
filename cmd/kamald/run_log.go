package main

import (
	"github.com/kamald/kamald/reconcile/loop"
)

// logTransition says what people are told.
func (s *service) logTransition(t loop.Transition) {
	event := s.log.Info()
	if !t.Over && t.Kind != "healed" && t.Kind != "released" {
		event = s.log.Warn()
	}
	if t.Version != "" {
		event = event.Str("version", t.Version)
	}
	if t.Release > 0 {
		event = event.Int("release", t.Release)
	}
	event.Str("app", t.App.String()).Str("kind", t.Kind).Bool("over", t.Over).Msg(t.Summary)
}

// logNotice says what the loop does, line by line.
func (s *service) logNotice(n loop.Notice) {
	switch {
	case n.Progress != nil && !n.Progress.Passing():
		p := n.Progress
		event := s.log.Debug()
		switch p.Kind {
		case "failed", "warn":
			event = s.log.Warn()
		case "news", "planned", "undone":
			event = s.log.Info()
		}
		if p.Host != "" {
			event = event.Str("host", p.Host)
		}
		if p.Step != "" {
			event = event.Str("step", p.Step)
		}
		event.Str("app", n.App.String()).Str("kind", p.Kind).Msg(p.Message)
	case n.Ticket != nil:
		event := s.log.Info().Str("app", n.App.String()).Str("order", n.Ticket.Order.Verb).Str("by", n.Ticket.Order.By.String())
		if n.Ticket.Error != "" {
			event = event.Str("error", n.Ticket.Error)
		}
		event.Msg(ticketText(*n.Ticket))
	case n.Status != nil:
		s.conditions.log(s.log, *n.Status)
		if n.Status.Round.Error != "" {
			s.log.Warn().Str("app", n.App.String()).Int("round", n.Status.Round.Number).Msg(n.Status.Round.Error)
		}
	}
}

func ticketText(t loop.Ticket) string {
	switch {
	case t.Done():
		return "an order has ended"
	case !t.Begun.IsZero():
		return "an order is being carried out"
	}
	return "an order was taken"
}

package main

import (
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/state"
)

// conditions are those that the log has said to hold. They are said when they begin and when they are over, once each and at once:
// people are told of most of them later, or not at all.
type conditions struct {
	mu    sync.Mutex
	holds map[state.App][]state.Condition
}

// log says which conditions of an app began, and which are over, since it was called last.
func (c *conditions) log(log zerolog.Logger, status loop.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.holds[status.App]
	now := slices.DeleteFunc(slices.Clone(status.Conditions), func(o state.Condition) bool { _, acts := deeds[o.Kind]; return acts })
	for _, condition := range before {
		if !holdsIn(now, condition) {
			about(log.Info(), status.App, condition).Bool("over", true).Str("lasted", time.Since(condition.Since).Round(time.Millisecond).String()).
				Msg(condition.Kind + ": it is over")
		}
	}
	for i, condition := range now {
		if holdsIn(before, condition) || holdsIn(now[:i], condition) {
			continue
		}
		event := log.Warn()
		if _, calm := chosen[condition.Kind]; calm {
			event = log.Info()
		}
		if condition.Next != "" {
			event = event.Str("next", condition.Next)
		}
		about(event, status.App, condition).Bool("over", false).Time("since", condition.Since).Msg(condition.Kind + ": " + condition.Reason)
	}
	if c.holds == nil {
		c.holds = map[state.App][]state.Condition{}
	}
	c.holds[status.App] = now
}

// deeds are no states of an app but what is done to it: their own lines say when that begins and ends.
var deeds = map[string]struct{}{loop.ConditionHealing: {}, loop.ConditionReleasing: {}}

// chosen are conditions that somebody asked for, or that end by themselves.
var chosen = map[string]struct{}{loop.ConditionHeld: {}, loop.ConditionPaused: {}, loop.ConditionFrozen: {}, loop.ConditionReportOnly: {}, loop.ConditionWaiting: {}}

func about(event *zerolog.Event, app state.App, c state.Condition) *zerolog.Event {
	event = event.Str("app", app.String()).Str("condition", c.Kind)
	if c.Host != "" {
		event = event.Str("host", c.Host)
	}
	if c.Role != "" {
		event = event.Str("role", c.Role)
	}
	return event
}

// holdsIn tells whether a condition is among others: of its kind, in its place.
func holdsIn(list []state.Condition, c state.Condition) bool {
	return slices.ContainsFunc(list, func(o state.Condition) bool { return o.Kind == c.Kind && o.Host == c.Host && o.Role == c.Role })
}

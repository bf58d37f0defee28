package sim

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// eventsKept is how many events an engine remembers.
const eventsKept = 256

// happened is one event, as an engine remembers it.
type happened struct {
	at     time.Time // by the engine's clock
	who    *bearer   // nil: it is about an image
	action string
	word   string // an image's reference, a network's name, a health; of a rename the name before
	code   int
}

// bearer is a container whose events are told: one that bears the label service, or a proxy.
type bearer struct{ id, name, service, role, destination string }

// bearerOf gives what events say of a container; nil when none of its are told.
func bearerOf(c *container) *bearer {
	service, ours := c.labels[state.LabelService]
	_, owned := c.labels[state.LabelProxyOwner]
	_, exec := c.labels[state.LabelExec]
	if exec || !ours && !owned && !c.isProxy() {
		return nil
	}
	return &bearer{id: c.id, name: c.name, service: service, role: c.labels[state.LabelRole], destination: c.labels[state.LabelDestination]}
}

// Events follows what happens on the host: by kamald, by hand, and by itself, at the time when it does.
func (e *Engine) Events(ctx context.Context, since time.Time, heard func(state.EngineEvent)) error {
	next := 0
	call := Call{Host: e.host.name, By: e.by, Method: "Engine.Events"}
	return e.call(ctx, call, func(h *host) error {
		next = h.forgotten + len(h.events)
		if !since.IsZero() {
			next = h.forgotten + max(0, slices.IndexFunc(h.events, func(one happened) bool { return !one.at.Before(since) }))
			if len(h.events) == 0 || h.events[len(h.events)-1].at.Before(since) {
				next = h.forgotten + len(h.events)
			}
		}
		return nil
	}, func(ctx context.Context) error { return e.follow(ctx, call, next, heard) })
}

// follow tells each event from a place in the host's memory on, until the context ends: a connection that is lost ends it.
func (e *Engine) follow(ctx context.Context, call Call, next int, heard func(state.EngineEvent)) error {
	w, h := e.world, e.host
	for ctx.Err() == nil {
		w.mu.Lock()
		h.settle(time.Now())
		there, news, wake := h.tells(next), h.news(), h.nextChange(time.Now())
		w.mu.Unlock()
		if !there {
			wait(ctx, news, wake)
			continue
		}
		if err := w.travel(ctx, h, &call); err != nil { // no two streams tell at one instant
			return err
		}
		w.mu.Lock()
		var batch []happened
		if h.tells(next) {
			batch = slices.Clone(h.events[max(0, next-h.forgotten):])
			next = h.forgotten + len(h.events)
		}
		w.mu.Unlock()
		for _, one := range batch {
			if ctx.Err() == nil {
				heard(one.event())
			}
		}
	}
	return context.Cause(ctx)
}

// tells says whether there is anything to tell from a place on, and the host's answers come through.
func (h *host) tells(next int) bool {
	return next < h.forgotten+len(h.events) && !h.holes.replies && !h.frozen
}

// wait returns when there are news, at a time that is not zero, or when the context ends.
func wait(ctx context.Context, news <-chan struct{}, until time.Time) {
	var timer <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-news:
	case <-timer:
	}
}

func (one happened) event() state.EngineEvent {
	e := state.EngineEvent{At: one.at, Kind: state.EngineImage, Action: one.action, ExitCode: one.code}
	if one.who == nil {
		e.Ref = one.word
		return e
	}
	e.Kind = state.EngineContainer
	e.Container, e.Name, e.Service, e.Role, e.Destination = one.who.id, one.who.name, one.who.service, one.who.role, one.who.destination
	switch {
	case strings.HasPrefix(one.action, "network "):
		e.Kind, e.Ref = state.EngineNetwork, one.word
	case one.action == state.ActionHealth:
		e.Health = one.word
	case one.action == state.ActionRename:
		e.Was = one.word
	}
	return e
}

// tell notes an event of a container.
func (h *host) tell(c *container, at time.Time, action, word string) {
	if c.bearer != nil {
		h.happens(happened{at: at, who: c.bearer, action: action, word: word})
	}
}

// tellEnd notes that a container that ran has ended.
func (h *host) tellEnd(c *container, at time.Time, code int) {
	if c.bearer != nil {
		h.happens(happened{at: at, who: c.bearer, action: state.ActionDie, code: code})
	}
	h.tellNetworks(c, at, state.ActionNetworkDisconnect)
}

// rename gives a container another name.
func (h *host) rename(c *container, to string) {
	was := c.name
	c.name = to
	c.bearer = bearerOf(c)
	h.tell(c, time.Now(), state.ActionRename, was)
}

// update changes a container as it is.
func (h *host) update(c *container, options map[string][]string) error {
	err := c.update(options)
	if err == nil {
		h.tell(c, time.Now(), state.ActionUpdate, "")
	}
	return err
}

// tellImage notes an event of an image, now.
func (h *host) tellImage(action, ref string) {
	h.happens(happened{at: time.Now(), action: action, word: ref})
}

// tellNetworks notes that a container was connected to its networks, or disconnected.
func (h *host) tellNetworks(c *container, at time.Time, action string) {
	for _, name := range slices.Sorted(maps.Keys(c.networks)) {
		h.tell(c, at, action, name)
	}
}

func (h *host) happens(one happened) {
	one.at = one.at.Add(h.skew).Round(0).UTC()
	h.events = append(h.events, one)
	h.stir()
}

// stir has those who follow look again.
func (h *host) stir() {
	if h.hears != nil {
		close(h.hears)
		h.hears = nil
	}
}

// sortEvents sorts what has happened since a place in the memory, of several containers, by its time, and lets the oldest be forgotten.
func (h *host) sortEvents(from int) {
	slices.SortStableFunc(h.events[from:], func(a, b happened) int { return a.at.Compare(b.at) })
	if over := len(h.events) - eventsKept; over > 0 {
		h.events = slices.Delete(h.events, 0, over)
		h.forgotten += over
	}
}

// forget is an engine that starts anew: it remembers nothing.
func (h *host) forget() {
	h.forgotten += len(h.events)
	h.events = nil
}

// news is closed when something happens, or may happen at another time than it seemed.
func (h *host) news() <-chan struct{} {
	if h.hears == nil {
		h.hears = make(chan struct{})
	}
	return h.hears
}

// tellHealth tells what the engine's own check has found of a container up to a time, or up to its end where that comes first.
func (h *host) tellHealth(c *container, now time.Time) {
	if !c.running() || !c.image.Healthcheck {
		return
	}
	until := now
	for _, end := range c.ends() {
		if end.Before(until) {
			until = end
		}
	}
	for _, at := range append(c.turns(), until) {
		if at.After(until) || !at.After(h.settledAt) && !at.Equal(until) {
			continue
		}
		if found := c.health(at); found != "starting" && found != c.told {
			c.told = found
			h.tell(c, at, state.ActionHealth, found)
		}
	}
}

// turns are when the health of a running container may change, in their order.
func (c *container) turns() []time.Time {
	b := c.image.Behaviour
	turns := []time.Time{c.started.Add(b.Ready)}
	if b.SickIn > 0 {
		turns = append(turns, c.started.Add(b.SickIn))
	}
	slices.SortFunc(turns, time.Time.Compare)
	return turns
}

// ends are when a running container is to end.
func (c *container) ends() (list []time.Time) {
	if !c.stopAt.IsZero() {
		list = append(list, c.stopAt)
	}
	if b := c.image.Behaviour; b.Ends {
		list = append(list, c.started.Add(max(b.EndsIn, endsAtOnce)))
	}
	return list
}

// nextChange is when the next thing happens by itself; zero when nothing will.
func (h *host) nextChange(now time.Time) (next time.Time) {
	for _, c := range h.order {
		var times []time.Time
		switch {
		case c.running():
			times = c.ends()
			if c.image.Healthcheck {
				times = append(times, c.turns()...)
			}
		case c.status == state.StatusRestarting && !h.frozen:
			times = []time.Time{c.again}
		}
		for _, at := range times {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

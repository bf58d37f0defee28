package loop

import (
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

const (
	// ownEcho is how long after an act of the worker what is heard is taken for its own doing.
	ownEcho = 500 * time.Millisecond
	// keepDeaths bounds what is remembered of one place.
	keepDeaths = 64
)

// heard is what came to the ears of an app's worker since its last look.
type heard struct {
	whys    []string
	all     bool            // every host is to be looked at
	hosts   map[string]bool // where something was heard of
	said    map[string]string
	deaths  map[string][]time.Time // host/role → when containers there ended
	back    map[string]time.Time   // host → when it came back after it was lost
	lost    map[string]bool
	foreign bool // somebody else did something since the last act
	first   sign // the first that somebody else did since the last look
}

// sign is when something happened, by the clock of the engine that told it.
type sign struct {
	at   time.Time // zero: nothing did
	host string
}

// waking is why a worker looks.
type waking struct {
	why   string
	hosts []string // that it is for; none: all
	sign  sign
}

func (h *heard) note(why, host string) {
	if !slices.Contains(h.whys, why) {
		h.whys = append(h.whys, why)
	}
	if host == "" {
		h.all = true
		return
	}
	if h.hosts == nil {
		h.hosts = map[string]bool{}
	}
	h.hosts[host] = true
}

// only tells whether there is no other reason.
func (h *heard) only(why string) bool { return len(h.whys) == 1 && h.whys[0] == why }

// take gives why the worker was woken.
func (h *heard) take() waking {
	w := waking{why: wakeTimer, sign: h.first}
	for _, known := range []string{wakeStart, wakeOrder, wakeSource, wakeTimer, wakeAgain, wakeEvent} {
		if slices.Contains(h.whys, known) {
			w.why = known
			break
		}
	}
	if !h.all {
		for host := range h.hosts {
			w.hosts = append(w.hosts, host)
		}
		slices.Sort(w.hosts)
	}
	h.whys, h.all, h.hosts, h.first = nil, false, nil, sign{}
	return w
}

// happening takes what a host's watch heard, and tells whether the app is to be looked at for it.
func (h *heard) happening(what reconcile.Happening, app state.App, own bool, now time.Time) bool {
	switch {
	case what.Lost != "":
		if h.lost == nil {
			h.lost = map[string]bool{}
		}
		h.lost[what.Host] = true
		return true
	case what.Up:
		if h.lost[what.Host] {
			if h.back == nil {
				h.back = map[string]time.Time{}
			}
			h.back[what.Host] = now
			delete(h.lost, what.Host)
		}
		return true
	case what.Event == nil || !concerns(*what.Event, app):
		return false
	}
	event := *what.Event
	if !own {
		h.foreign = true
		if h.first.at.IsZero() && event.Action != state.ActionKill { // a signal changes nothing yet: what it leads to is told too
			h.first = sign{event.At, what.Host}
		}
		h.died(what.Host, event, now)
	}
	return true
}

// died remembers how often containers of a place end, and what was said last.
func (h *heard) died(host string, event state.EngineEvent, now time.Time) {
	if event.Role == "" {
		return
	}
	at := host + "/" + event.Role
	if h.said == nil {
		h.said, h.deaths = map[string]string{}, map[string][]time.Time{}
	}
	switch event.Action {
	case "die", "destroy", "stop", "kill", "oom", "pause", "health_status", "rename", "update", "network disconnect":
		h.said[at] = event.String()
	}
	if event.Action == "die" {
		h.deaths[at] = append(h.deaths[at], now)
		if over := len(h.deaths[at]) - keepDeaths; over > 0 {
			h.deaths[at] = slices.Delete(h.deaths[at], 0, over)
		}
	}
}

// ends gives what is remembered of the ends of containers: place → when. It is the caller's.
func (h *heard) ends() map[string][]time.Time {
	ends := make(map[string][]time.Time, len(h.deaths))
	for at, times := range h.deaths {
		ends[at] = slices.Clone(times)
	}
	return ends
}

// concerns tells whether an event may change what an app's round sees: of its own containers, of a proxy or another thing that is
// nobody's, of an image or a network; not of a neighbour's container.
func concerns(event state.EngineEvent, app state.App) bool {
	switch event.Action {
	case "exec_create", "exec_start", "exec_die", "top", "attach", "detach", "resize", "archive-path", "copy", "export":
		return false
	}
	if event.Service == "" || event.Kind != "container" {
		return true
	}
	if event.Role == "" && strings.HasPrefix(event.Service, app.Service+"-") {
		return true // an accessory's, as they are called where nobody says otherwise; the timer's rounds see the others
	}
	return event.Service == app.Service && event.Destination == app.Destination
}

package sim

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"github.com/kamald/kamald/state"
)

// serves is how long an answer takes when the image does not say.
const serves = 5 * time.Millisecond

// Request sends one request to a host's proxy and gives the status of the answer, 0 when there is none. It takes as long as
// the target takes; it is no call of kamald's and meets no fault. It does not come by the network that Cut and BlackHole take.
func (w *World) Request(hostName, routeHost, path string) (status int) {
	defer func() { w.at(hostName, func(h *host) { h.requests[status]++ }) }()
	target, proxy, status, count := w.arrive(hostName, routeHost, path)
	defer func() { w.at(hostName, func(*host) { count(status) }) }()
	if target.container == nil {
		return status
	}
	w.mu.Lock()
	target.inFlight++
	cuts, takes := target.cuts, cmp.Or(target.image.Behaviour.Serves, serves)
	w.mu.Unlock()

	time.Sleep(takes)

	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.host(hostName)
	h.settle(time.Now())
	target.inFlight--
	switch {
	case proxy.over(h):
		return 0
	case target.cuts != cuts:
		return 504
	case target.over(h):
		return 502
	}
	return status
}

// Answer is what a request would meet at this instant; none is sent.
func (w *World) Answer(hostName, routeHost, path string) (status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _, status, _ = w.host(hostName).arrive(routeHost, path, (*host).active)
	return status
}

func (w *World) arrive(hostName, routeHost, path string) (target, proxy life, status int, count func(status int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.host(hostName).arrive(routeHost, path, (*host).side)
}

// arrive finds the target of a request on the side that choose gives; without one the status is the proxy's own. count notes the
// answer at the side of a rollout.
func (h *host) arrive(routeHost, path string, choose func(*host, state.Route) ([]string, func(int))) (target, proxy life, status int, count func(status int)) {
	count = func(int) {}
	h.settle(time.Now())
	for _, c := range h.newestFirst() {
		if c.isProxy() && c.running() {
			proxy = life{c, c.started}
		}
	}
	if proxy.container == nil {
		return target, proxy, 0, count
	}
	route, ok := h.match(routeHost, path)
	switch {
	case !ok:
		return target, proxy, 404, count
	case route.Stopped || route.Paused:
		return target, proxy, 503, count
	}
	targets, count := choose(h, route)
	for _, name := range targets {
		if c, status := h.reach(proxy.container, name, 0); status > 0 {
			return life{c, c.started}, proxy, cmp.Or(c.image.Behaviour.Pages, status), count
		}
	}
	return target, proxy, 502, count
}

// match finds the route of a request: an exact host before a wildcard before any host, then the longest path prefix.
func (h *host) match(routeHost, path string) (best state.Route, found bool) {
	most := -1
	for _, route := range h.routeList() {
		if h.unread[route.Name] {
			continue
		}
		for _, host := range hostsOf(route) {
			for _, prefix := range route.Options.PathPrefixes {
				if score := score(host, prefix, routeHost, path); score > most {
					best, most, found = route, score, true
				}
			}
		}
	}
	return best, found
}

// score is how well a pair of host and prefix fits, -1 for not at all.
func score(host, prefix, routeHost, path string) int {
	prefix = strings.TrimSuffix(prefix, "/")
	if path != prefix && !strings.HasPrefix(path, prefix+"/") {
		return -1
	}
	_, domain, _ := strings.Cut(routeHost, ".")
	const perHost = 1 << 16
	switch host {
	case routeHost:
		return 2*perHost + len(prefix)
	case "*." + domain:
		return perHost + len(prefix)
	case "":
		return len(prefix)
	}
	return -1
}

// Requests gives how many requests were answered so far with each status; 0 is those that got no answer.
func (w *World) Requests(hostName string) (byStatus map[int]int) {
	w.at(hostName, func(h *host) { byStatus = maps.Clone(h.requests) })
	return byStatus
}

// InFlight is how many requests the host's containers are serving now.
func (w *World) InFlight(hostName string) (n int) {
	w.at(hostName, func(h *host) {
		for _, c := range h.order {
			n += c.inFlight
		}
	})
	return n
}

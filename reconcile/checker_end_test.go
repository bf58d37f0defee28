package reconcile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// tookPart gives what was noted about hosts that took part; a plan that heals needs no barrier.
func (h *history) tookPart(c *command) (found []violation) {
	for _, v := range c.late {
		if !c.without(v.host) && (v.invariant != "I2" || c.report.Kind != plan.KindHeal) {
			found = append(found, v)
		}
	}
	return found
}

// oldAfterFailure is I4: after a failed release every role on every reachable host runs what it ran before, and latest marks
// what it did, or the whole new release serves (only what comes after it has failed); what could not be brought back is named.
func (h *history) oldAfterFailure(c *command) (found []violation) {
	if c.err == nil || c.killed || c.desired.Rollout.Halt || c.report.Kind == plan.KindHeal || h.crowded(c) || h.serveWanted(c) {
		return nil
	}
	for _, role := range c.desired.Roles {
		for _, host := range role.Hosts {
			if h.isDown(host) || named(c, host) {
				continue
			}
			for _, key := range []string{host + "/" + factOf(c.app, role.Name), host + " " + c.app.LatestTag()} {
				if c.before[key] != c.after[key] {
					found = append(found, violation{"I4", host, fmt.Sprintf("%s was %s and is %s after a failure, and nobody says so: %v", key, c.before[key], c.after[key], c.err)})
				}
			}
		}
	}
	return found
}

// serveWanted tells whether every role on every host that took part, and that nobody else has ended, serves as it is wanted.
func (h *history) serveWanted(c *command) bool {
	for _, role := range c.desired.Roles {
		for _, host := range role.Hosts {
			target := h.targetOf(host, c.app.RouteName(role.Name))
			serves := func(x state.Container) bool {
				return strings.Contains(c.after[host+"/"+factOf(c.app, role.Name)], state.ShortID(x.ID)) && (role.Proxy == nil || state.ShortID(x.ID) == target)
			}
			if c.takes(role.Name, host) && !c.without(host) && !h.isDown(host) && !slices.ContainsFunc(h.wanted(c.desired, role, host), serves) {
				return false
			}
		}
	}
	return true
}

// named tells whether a command says that a host is not as it should be.
func named(c *command, host string) bool {
	for _, left := range c.report.Left {
		if strings.HasPrefix(left, host+":") {
			return true
		}
	}
	for _, row := range c.report.Rows {
		if row.Host == host && row.Now == "unknown" {
			return true
		}
	}
	return false
}

// crowded tells whether another command of the app was under way beside it.
func (h *history) crowded(c *command) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.commands, func(other *command) bool {
		return other != c && other.app == c.app && other.began.Before(c.left) && (!other.ended || other.left.After(c.began))
	})
}

// twoWriters is I5: what two commands of one app do on a host is never mixed.
func (h *history) twoWriters(c *command) (found []violation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, other := range h.commands {
		if other == c || other.app != c.app {
			continue
		}
		for _, host := range h.Hosts() {
			a, b := c.engineCalls(host), other.engineCalls(host)
			if len(a) == 0 || len(b) == 0 {
				continue
			}
			if apart := a[len(a)-1].at.Before(b[0].at) || b[len(b)-1].at.Before(a[0].at); !apart {
				found = append(found, violation{"I5", host, fmt.Sprintf("%s and %s write at once", c.by, other.by)})
			}
		}
	}
	return found
}

// engineCalls are a command's changes to a host's engine and proxy.
func (c *command) engineCalls(host string) (list []began) {
	for _, call := range c.calls {
		if call.host == host && call.method != "Engine.Exec" && !strings.HasPrefix(call.method, "Files.") {
			list = append(list, call)
		}
	}
	return list
}

// leasePassed is the rest of I5: no change of a host begins when its lock was last renewed longer ago than a lease.
func (h *history) leasePassed(c *command) (found []violation) {
	var renewed []sim.Call
	for _, call := range h.History() {
		writes := call.Method == "Files.Touch" || call.Method == "Files.Write" || call.Method == "Files.Mkdir"
		if writes && !call.At.Before(c.began) && strings.Contains(call.Args, "lock-"+c.app.String()) {
			renewed = append(renewed, call)
		}
	}
	for _, host := range h.Hosts() {
		for _, b := range c.engineCalls(host) {
			var last time.Time
			for _, call := range renewed {
				if call.Host == host && !call.At.After(b.at) {
					last = call.At
				}
			}
			if b.at.Sub(last) > lease {
				found = append(found, violation{"I5", host, fmt.Sprintf("%s begins %s after the lock's last renewal", b.method, b.at.Sub(last))})
			}
		}
	}
	return found
}

// secretsShown is I6: the planted value is in nothing that is kept or said.
func (h *history) secretsShown() (found []violation) {
	look := func(what, text string) {
		if strings.Contains(text, canary) {
			found = append(found, violation{"I6", "", "a secret's value is in " + what})
		}
	}
	for _, m := range h.desk.all() {
		m.mu.Lock()
		look("the store", encode(m.snapshot)+encode(m.releases)+encode(m.plans)+encode(m.events))
		m.mu.Unlock()
	}
	look("the log", h.progress())
	for _, c := range h.commands {
		look("an error", fmt.Sprint(c.err))
		look("a report", encode(c.report))
		look("a plan", encode(c.report.Plan))
	}
	for _, call := range h.History() {
		look("a call", call.String())
	}
	for _, host := range h.Hosts() {
		look("a container on "+host, encode(h.Containers(host, state.View{})))
		look("a route on "+host, encode(h.Routes(host)))
		for _, name := range h.FileNames(host) {
			if data, ok := h.File(host, name); ok && !strings.Contains(name, "/env/roles/") && !strings.Contains(name, "/env/accessories/") && !strings.HasSuffix(name, "shop-redis/etc/redis.conf") {
				look("the file "+name, string(data))
			}
		}
	}
	return found
}

// numbers gives releases of one app that bear one number: the next one cannot tell them apart.
func (h *history) numbers() (found []violation) {
	for _, app := range h.appsOfRecords() {
		first := map[int]state.Record{}
		for _, record := range h.records(app) {
			other, ok := first[record.Number]
			if ok && (other.Version != record.Version || other.Fence != record.Fence || other.Plan != record.Plan) {
				found = append(found, violation{"I5", "", fmt.Sprintf("release %d of %s is %s and %s", record.Number, app, other.Version, record.Version)})
			}
			first[record.Number] = record
		}
	}
	return found
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// planIsEmpty is I7: with everything at hand, a plan has nothing to do but what is deferred.
func (h *history) planIsEmpty(desired release.Release, why string) (found []violation) {
	c := h.controllerOf(&command{by: "reader", app: desired.App()})
	defer func() { _ = c.Close() }()
	planned, err := c.Plan(h.t.Context(), desired, reconcile.Options{})
	if err != nil || !planned.Plan.Empty() {
		found = append(found, violation{"I7", "", fmt.Sprintf("%s the plan of %s is not empty: %v %+v %+v", why, desired.Version, err, planned.Plan.Items, planned.Plan.Problems)})
	}
	return found
}

// othersAreAsTheyWere is I8, in the end: what stood beside stands there still.
func (h *history) othersAreAsTheyWere() (found []violation) {
	for _, key := range slices.Sorted(maps.Keys(h.still)) {
		was := h.still[key]
		now, ok := h.glanceAt(was.host, was.seen.ID)
		if now.Status == state.StatusRestarting {
			now.Status = was.seen.Status
		}
		now.Answers, now.Started = was.seen.Answers, was.seen.Started
		if !ok || now != was.seen {
			found = append(found, violation{"I8", was.host, fmt.Sprintf("%s was %+v and is %+v", was.seen.Name, was.seen, now)})
		}
	}
	return found
}

// unreachableTouched is I9: a host that could not be observed is left as it is, and named.
func (h *history) unreachableTouched(c *command) (found []violation) {
	for _, cordoned := range c.report.Cordoned {
		if calls := c.engineCalls(cordoned.Host); len(calls) > 0 {
			found = append(found, violation{"I9", cordoned.Host, fmt.Sprintf("it is cordoned, and %s is called there", calls[0].method)})
		}
	}
	for _, skipped := range c.report.Plan.Unreachable {
		said := slices.ContainsFunc(c.report.Skipped, func(s plan.Skipped) bool { return s.Host == skipped.Host }) ||
			c.err != nil && strings.Contains(c.err.Error(), skipped.Host)
		if !said {
			found = append(found, violation{"I9", skipped.Host, "it could not be observed, and nobody says so"})
		}
		if calls := c.engineCalls(skipped.Host); len(calls) > 0 {
			found = append(found, violation{"I9", skipped.Host, fmt.Sprintf("it could not be observed, and %s is called there", calls[0].method)})
		}
	}
	return found
}

package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// around draws what happened to a world beside releases: hosts and roles that left the file, cordons, partial releases, failed
// ones, interrupted writes; and what of it is asked for: a part, or a prune.
func (w *world) around(t *rapid.T, all *world, specs map[string]map[string]state.Spec) {
	w.records = []state.Record{{Number: 4, Version: "v3", Outcome: pick(t, "last", state.OutcomeFailed, state.OutcomeSucceeded, state.OutcomeRunning)}, {Number: 2, Version: "v2", Outcome: state.OutcomeSucceeded}, {Number: 1, Version: "v1", Outcome: state.OutcomeSucceeded}}
	w.litter = map[string][]string{}
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.Unreachable == "" {
			h.Record = w.held // a host that lacks it is given it by the next repair: record_test.go
		}
		if h.Unreachable == "" && rarely(t, "litter") {
			w.litter[h.Name] = []string{".kamal/lock-shop/details.tmp"}
		}
	}
	if w.held != nil && rapid.Bool().Draw(t, "held release") {
		held := w.desired
		held.Roles = slices.Clone(held.Roles)
		if rapid.Bool().Draw(t, "role left") {
			held.Roles = append(held.Roles, release.Role{Name: "gone", Hosts: held.Roles[0].Hosts, Proxy: held.Roles[0].Proxy})
		}
		if rapid.Bool().Draw(t, "role was elsewhere") {
			held.Roles[len(held.Roles)-1].Hosts = []string{"left-1"}
		}
		w.heldRelease = &held
	}
	for n := range rapid.IntRange(-4, 2).Draw(t, "hosts that left") {
		w.left(t, fmt.Sprintf("left-%d", 2-n), all, specs)
	}
	if rarely(t, "partial") {
		w.partly(t)
	}
	if rarely(t, "cordoned") {
		on := &w.hosts[rapid.IntRange(0, len(w.hosts)-1).Draw(t, "known by")]
		of := w.hosts[rapid.IntRange(0, len(w.hosts)-1).Draw(t, "cordoned host")]
		on.Intents = append(on.Intents, state.Intent{Kind: state.IntentCordon, Host: of.Name, Serial: 1, Who: "ann", Since: epoch, Until: pick(t, "until", time.Time{}, epoch.Add(time.Hour), epoch.Add(-time.Hour))})
	}
	if rarely(t, "maintenance") {
		w.maintained(t)
	}
	if rarely(t, "stopped") {
		w.putAsleep(t)
	}
	switch rapid.IntRange(0, 7).Draw(t, "ask") {
	case 6:
		w.options.Prune = true
	case 7:
		w.options.Filter = someScope(t, w)
	}
}

// left adds a host that is in the file no more, with what the first one would have.
func (w *world) left(t *rapid.T, name string, all *world, specs map[string]map[string]state.Spec) {
	first := w.desired.Hosts[0].Name
	for _, of := range specs {
		for _, role := range []string{"web", "workers", "cron"} {
			if spec, ok := of[first+"/"+role]; ok {
				of[name+"/"+role] = spec
			}
		}
	}
	w.hosts = append(w.hosts, state.Host{Name: name, Home: "/root", RunDir: "/root/.kamal", Engine: state.Engine{Arch: "amd64"}})
	h := &w.hosts[len(w.hosts)-1]
	w.fill(t, h, all, specs)
	h.Leaving = true
}

// partly makes some containers of a partial release that is newer than what is held.
func (w *world) partly(t *rapid.T) {
	version := pick(t, "partial version", versions...)
	for i := range w.hosts {
		h := &w.hosts[i]
		if h.Unreachable != "" || !rapid.Bool().Draw(t, "part of it") {
			continue
		}
		h.Partials = []state.Partial{{Number: 5, Version: version, Image: w.desired.ImageName() + ":" + version, Who: "ann"}}
		for j, c := range h.Containers {
			if c.Version() == version && c.Asked != nil {
				h.Containers[j].Release = 5
			}
		}
	}
}

// misplace gives roles' specs for hosts that are not theirs, too: a singleton that was moved, a role that left a host.
func misplace(t *rapid.T, desired release.Release, specs map[string]map[string]state.Spec) {
	for _, of := range specs {
		for _, at := range slices.Sorted(maps.Keys(of)) {
			role := of[at].Labels[state.LabelRole]
			for _, on := range desired.Hosts {
				if _, there := of[on.Name+"/"+role]; !there && rarely(t, "misplaced") {
					of[on.Name+"/"+role] = of[at]
				}
			}
		}
	}
}

// someScope draws a filter; the whole release when what is drawn has nothing in it.
func someScope(t *rapid.T, w *world) plan.Filter {
	var hosts, roles []string
	for _, on := range w.desired.Hosts {
		if rapid.Bool().Draw(t, "scope "+on.Name) {
			hosts = append(hosts, on.Name)
		}
	}
	for _, role := range w.desired.Roles {
		if rapid.Bool().Draw(t, "scope "+role.Name) {
			roles = append(roles, role.Name)
		}
	}
	scope, _ := plan.FilterOf(w.desired, hosts, roles)
	return scope
}

package reconcile_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// see holds one call to the invariants that bind every call, at the instant at which it begins.
func (h *history) see(c sim.Call) {
	h.sample(c.Host)
	if !c.Mutates {
		return
	}
	h.find(h.unaudited(c)...)
	if strings.HasPrefix(c.Method, "Files.") {
		return
	}
	h.find(h.lastHealthyTarget(c)...)
	h.find(h.oldBeforeBarrier(c)...)
	h.latestBeforeHealth(c)
	h.find(h.othersThings(c)...)
	h.find(h.neededForRollback(c)...)
}

// check holds an ended command to the invariants that are about its end.
func (h *history) check(c *command) {
	h.find(h.tookPart(c)...)
	h.find(h.oldAfterFailure(c)...)
	h.find(h.twoWriters(c)...)
	h.find(h.leasePassed(c)...)
	h.find(h.unreachableTouched(c)...)
}

// lastHealthyTarget is I1: no call takes away the healthy target of a route that has served.
func (h *history) lastHealthyTarget(c sim.Call) (found []violation) {
	for _, route := range h.Routes(c.Host) {
		for _, command := range h.routing(c, route.Name) {
			role, ok := roleOfRoute(command.desired, route.Name)
			if !ok || role.Proxy == nil || role.Singleton || !slices.Contains(role.Hosts, c.Host) || !command.served[c.Host+"/"+route.Name] {
				continue
			}
			gone := c.Method == "Proxy.Remove" && c.Args == route.Name
			if c.Method == "Engine.Stop" || c.Method == "Engine.Remove" {
				target, there := h.glanceAt(c.Host, c.Args)
				gone = there && state.ShortID(target.ID) == route.TargetID()
			}
			if gone && h.serves(c.Host, route.Name) == 200 {
				found = append(found, violation{"I1", c.Host, fmt.Sprintf("%s takes away what %s routes to", c, route.Name)})
			}
		}
	}
	return found
}

// oldBeforeBarrier is I2: an old container of another role stops only when some primary of the wanted version was healthy.
func (h *history) oldBeforeBarrier(c sim.Call) (found []violation) {
	if c.Method != "Engine.Stop" {
		return nil
	}
	x, ok := h.glanceAt(c.Host, c.Args)
	app := state.App{Service: x.Service, Destination: x.Destination}
	if !ok || x.Status != state.StatusRunning {
		return nil
	}
	for _, command := range h.writers(c, app) {
		role, known := command.desired.Role(x.Role)
		old := strings.Contains(command.before[c.Host+"/"+factOf(app, x.Role)], state.ShortID(x.ID))
		if !known || role.Primary || !old || h.primaryProven(command.desired) {
			continue
		}
		h.mu.Lock()
		command.late = append(command.late, violation{"I2", c.Host, fmt.Sprintf("%s stops %s before the barrier is open", c, x.Name)})
		h.mu.Unlock()
	}
	return nil
}

// primaryProven tells whether a container of the primary role has been healthy as the release wants it.
func (h *history) primaryProven(desired release.Release) bool {
	role, _ := desired.Role(desired.PrimaryRole)
	return slices.ContainsFunc(role.Hosts, func(host string) bool { return h.proven(desired, role, host) })
}

// proven tells whether the role's container of the wanted version is there and was healthy.
func (h *history) proven(desired release.Release, role release.Role, host string) bool {
	app := desired.App()
	name := app.ContainerName(role.Name, desired.Version)
	for _, c := range h.Glance(host) {
		if c.Service != app.Service || c.Destination != app.Destination || c.Role != role.Name || c.Name != name && !strings.HasPrefix(c.Name, name+"_replaced_") {
			continue
		}
		h.mu.Lock()
		healthy := h.healthy[host+"/"+c.ID]
		h.mu.Unlock()
		if role.Proxy == nil && !role.Primary {
			healthy = c.Status == state.StatusRunning || c.Status == state.StatusRestarting
		}
		if healthy {
			return true
		}
	}
	return false
}

// latestBeforeHealth notes breaches of I3: latest moves when every role on every host that takes part is healthy. Which take
// part is known in the end.
func (h *history) latestBeforeHealth(c sim.Call) {
	if c.Method != "Engine.Tag" {
		return
	}
	_, ref, _ := strings.Cut(c.Args, " ")
	for _, command := range h.writing(c) {
		if ref != command.desired.ImageName()+":"+command.app.LatestTag() {
			continue
		}
		for _, role := range command.desired.Roles {
			for _, host := range role.Hosts {
				if !h.proven(command.desired, role, host) {
					h.mu.Lock()
					command.late = append(command.late, violation{"I3", host, fmt.Sprintf("%s moves latest, and %s is not healthy there", c, role.Name)})
					h.mu.Unlock()
				}
			}
		}
	}
}

// othersThings is I8, at a call: it names nothing of another service or destination, nor anything without labels.
func (h *history) othersThings(c sim.Call) (found []violation) {
	var apps []state.App
	for _, command := range h.underWay() {
		apps = append(apps, command.app)
	}
	switch c.Method {
	case "Engine.Stop", "Engine.Remove", "Engine.Rename", "Engine.Update":
		x, ok := h.glanceAt(c.Host, strings.Fields(c.Args)[0])
		if ok && !slices.Contains(apps, state.App{Service: x.Service, Destination: x.Destination}) {
			found = append(found, violation{"I8", c.Host, fmt.Sprintf("%s touches %s, which is none of %v", c, x.Name, apps)})
		}
	case "Engine.Tag", "Engine.RemoveImage":
		ref := c.Args[strings.LastIndex(c.Args, " ")+1:]
		tag := ref[strings.LastIndex(ref, ":")+1:]
		mine := func(app state.App) bool { return tag == app.LatestTag() }
		if strings.HasPrefix(tag, "latest") && !slices.ContainsFunc(apps, mine) || !strings.HasPrefix(ref, repository) {
			found = append(found, violation{"I8", c.Host, fmt.Sprintf("%s moves a tag that is none of %v", c, apps)})
		}
	}
	return found
}

// intentions are the kinds of deeds that a call may be part of, or that it takes back.
var intentions = map[string][]string{
	"Engine.Create": {"create", "proxy"}, "Engine.Start": {"start", "proxy", "stop"}, "Engine.Stop": {"stop", "create", "start"},
	"Engine.Remove": {"remove", "create"}, "Engine.Rename": {"rename"}, "Engine.Update": {"update"}, "Engine.Tag": {"tag", "image"},
	"Engine.RemoveImage": {"untag"}, "Engine.Pull": {"image", "proxy"}, "Engine.Load": {"image", "proxy"},
	"Engine.CreateNetwork": {"network"}, "Engine.ConnectNetwork": {"connect", "proxy"},
	"Proxy.Deploy": {"switch", "unroute"}, "Proxy.Remove": {"unroute", "switch"},
}

// unaudited is I10: the store knew of a change before it began, as something that its command had in mind.
func (h *history) unaudited(c sim.Call) []violation {
	if c.Method == "Engine.Exec" || c.Method == "Files.Append" || c.Method == "Files.Touch" {
		return nil
	}
	var apps []state.App
	for _, command := range h.underWay() {
		apps = append(apps, command.app)
		m := h.desk.of(command.app)
		m.mu.Lock()
		known := slices.ContainsFunc(m.events, func(e state.Event) bool {
			kinds, engine := intentions[c.Method]
			return e.Outcome == state.EventIntended && e.Host == c.Host && !e.At.Before(command.began) && (!engine || slices.Contains(kinds, e.Kind))
		})
		m.mu.Unlock()
		if known {
			return nil
		}
	}
	return []violation{{"I10", c.Host, fmt.Sprintf("%s was begun with nothing about it in the store of %v", c, apps)}}
}

// neededForRollback is I11: no call removes the last container, or the image, of a version that a rollback within retention
// needs.
func (h *history) neededForRollback(c sim.Call) (found []violation) {
	if c.Method != "Engine.Remove" && c.Method != "Engine.RemoveImage" {
		return nil
	}
	for _, command := range h.writing(c) {
		kept := h.retained(command)
		switch c.Method {
		case "Engine.Remove":
			x, ok := h.glanceAt(c.Host, c.Args)
			if !ok || x.Service != command.app.Service || x.Destination != command.app.Destination {
				continue
			}
			version := versionOf(x)
			again := slices.ContainsFunc(h.Glance(c.Host), func(other sim.Glance) bool {
				return other.ID != x.ID && other.Role == x.Role && other.Destination == x.Destination && versionOf(other) == version
			})
			if _, known := command.desired.Role(x.Role); known && slices.Contains(kept, version) && !again && x.Status != state.StatusCreated && !h.mine(c.Host, x.ID, command) {
				found = append(found, violation{"I11", c.Host, fmt.Sprintf("%s removes %s, and %v are kept", c, x.Name, kept)})
			}
		case "Engine.RemoveImage":
			if i := strings.LastIndex(c.Args, ":"); slices.Contains(kept, c.Args[i+1:]) {
				found = append(found, violation{"I11", c.Host, fmt.Sprintf("%s removes an image, and %v are kept", c, kept)})
			}
		}
	}
	return found
}

// mine tells whether a container was made since the command began: what compensation removes again.
func (h *history) mine(host, id string, c *command) bool {
	for _, seen := range h.Containers(host, state.View{}) {
		if seen.ID == id {
			return !seen.Created.Before(c.began)
		}
	}
	return false
}

// retained are the versions that a rollback may go back to: as many as are kept, those that succeeded last first, without the
// wanted one. That a release succeeded is what its record says, here or on any server. Of two that were given one number, on
// parts of the fleet that did not see each other, a history has only one: which, is nobody's promise.
func (h *history) retained(c *command) (kept []string) {
	all := h.succeeded(c.desired)
	for _, record := range all {
		if slices.ContainsFunc(all, func(r state.Record) bool { return r.Number == record.Number && r.Version != record.Version }) {
			continue
		}
		if record.Version != c.desired.Version && !slices.Contains(kept, record.Version) && len(kept) < c.desired.RetainContainers {
			kept = append(kept, record.Version)
		}
	}
	return kept
}

// succeeded gives the records of releases that succeeded, the newest first, from the store and from every server.
func (h *history) succeeded(desired release.Release) []state.Record {
	known, _ := h.desk.of(desired.App()).Releases(desired.App())
	directory := desired.RunDirectory + "/apps/" + desired.App().String() + "/kamald/releases/"
	for _, host := range h.Hosts() {
		for _, name := range h.FileNames(host) {
			if _, file, ok := strings.Cut(name, directory); !ok || !strings.HasSuffix(file, ".json") {
				continue
			}
			var record state.Record
			if data, ok := h.File(host, name); ok && json.Unmarshal(data, &record) == nil {
				known = append(known, record)
			}
		}
	}
	known = slices.DeleteFunc(known, func(r state.Record) bool { return r.Outcome != state.OutcomeSucceeded })
	slices.SortStableFunc(known, func(x, y state.Record) int { return y.Number - x.Number })
	return known
}

func versionOf(x sim.Glance) string {
	return state.Container{Name: x.Name, Service: x.Service, Role: x.Role, Destination: x.Destination}.Version()
}

func (h *history) glanceAt(host, name string) (sim.Glance, bool) {
	for _, c := range h.Glance(host) {
		if c.ID == name || c.Name == name || len(name) >= 12 && strings.HasPrefix(c.ID, name) {
			return c, true
		}
	}
	return sim.Glance{}, false
}

func (h *history) isDown(host string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.down[host]
}

// underWay gives the commands that have not ended.
func (h *history) underWay() (list []*command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.commands {
		if !c.ended {
			list = append(list, c)
		}
	}
	return list
}

// writing gives, for each app, the command that a call is of.
func (h *history) writing(call sim.Call) (list []*command) {
	apps := map[state.App]bool{}
	for _, c := range h.underWay() {
		if !apps[c.app] {
			list = append(list, h.writers(call, c.app)...)
		}
		apps[c.app] = true
	}
	return list
}

// routing gives the commands that a call may be of whose app has a route of that name.
func (h *history) routing(call sim.Call, name string) []*command {
	return slices.DeleteFunc(h.writing(call), func(c *command) bool {
		_, ok := roleOfRoute(c.desired, name)
		return !ok
	})
}

func roleOfRoute(desired release.Release, name string) (release.Role, bool) {
	i := slices.IndexFunc(desired.Roles, func(role release.Role) bool { return desired.App().RouteName(role.Name) == name })
	if i < 0 {
		return release.Role{}, false
	}
	return desired.Roles[i], true
}

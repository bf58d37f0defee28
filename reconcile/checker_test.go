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
	if text := c.String(); strings.Contains(text, canary) {
		h.find(violation{"I6", c.Host, "a secret's value is in a call: " + text})
	}
	command := h.author(c)
	switch {
	case !c.Mutates:
		return
	case command == nil:
		h.find(violation{"I10", c.Host, fmt.Sprintf("%s changes something for nobody's sake", c)})
		return
	}
	h.find(h.unaudited(c, command)...)
	h.find(h.othersThings(c, command)...)
	if strings.HasPrefix(c.Method, "Files.") {
		return
	}
	h.find(h.lastHealthyTarget(c, command)...)
	h.oldBeforeBarrier(c, command)
	h.latestBeforeHealth(c, command)
	h.find(h.neededForRollback(c, command)...)
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
func (h *history) lastHealthyTarget(c sim.Call, by *command) (found []violation) {
	for _, route := range h.Routes(c.Host) {
		role, ok := roleOfRoute(by.desired, route.Name)
		if !ok || role.Proxy == nil || role.Singleton || !slices.Contains(role.Hosts, c.Host) || !by.served[c.Host+"/"+route.Name] {
			continue
		}
		gone := c.Method == "Proxy.Remove" && c.Args == route.Name
		if c.Method == "Engine.Stop" || c.Method == "Engine.Remove" {
			target, there := h.glanceAt(c.Host, c.Args)
			gone = there && state.ShortID(target.ID) == route.TargetID()
		}
		if gone && h.Answer(c.Host, routeHost(by.desired, role.Name), "/") == 200 {
			found = append(found, violation{"I1", c.Host, fmt.Sprintf("%s takes away what %s routes to", c, route.Name)})
		}
	}
	return found
}

// oldBeforeBarrier notes breaches of I2: an old container of another role ends only when some primary, as it is wanted, was healthy.
func (h *history) oldBeforeBarrier(c sim.Call, by *command) {
	if c.Method != "Engine.Stop" && c.Method != "Engine.Remove" {
		return
	}
	x, ok := h.glanceAt(c.Host, c.Args)
	if !ok || x.Status != state.StatusRunning || x.Service != by.app.Service || x.Destination != by.app.Destination {
		return
	}
	role, known := by.desired.Role(x.Role)
	old := strings.Contains(by.before[c.Host+"/"+factOf(by.app, x.Role)], state.ShortID(x.ID))
	if known && !role.Primary && old && !h.primaryProven(by.desired) {
		h.later(by, violation{"I2", c.Host, fmt.Sprintf("%s ends %s before the barrier is open", c, x.Name)})
	}
}

// later keeps a violation for the end of a command: of a host that turns out not to take part it is none.
func (h *history) later(c *command, v violation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.late = append(c.late, v)
}

// primaryProven tells whether a container of the primary role has been healthy as the release wants it.
func (h *history) primaryProven(desired release.Release) bool {
	role, _ := desired.Role(desired.PrimaryRole)
	return slices.ContainsFunc(role.Hosts, func(host string) bool { return h.proven(desired, role, host) })
}

// proven tells whether the role's container, as it is wanted, is there and was healthy.
func (h *history) proven(desired release.Release, role release.Role, host string) bool {
	return slices.ContainsFunc(h.wanted(desired, role, host), func(c state.Container) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		if role.Proxy == nil && !role.Primary {
			return h.stayed[host+"/"+c.ID]
		}
		return h.healthy[host+"/"+c.ID]
	})
}

// wanted gives the role's containers of the wanted version and with the wanted configuration.
func (h *history) wanted(desired release.Release, role release.Role, host string) (list []state.Container) {
	app := desired.App()
	name := app.ContainerName(role.Name, desired.Version)
	clear := state.View{Clear: map[string]bool{}}
	for variable := range role.Env.Clear {
		clear.Clear[variable] = true
	}
	for _, c := range h.Containers(host, clear) {
		if c.Service != app.Service || c.Destination != app.Destination || c.Role != role.Name || c.Name != name && !strings.HasPrefix(c.Name, name+"_replaced_") {
			continue
		}
		same := true
		for variable, value := range role.Env.Clear {
			same = same && c.Live.Env[variable] == value
		}
		if same {
			list = append(list, c)
		}
	}
	return list
}

// latestBeforeHealth notes breaches of I3: latest moves when every role on every host that takes part is healthy. Which take
// part is known in the end.
func (h *history) latestBeforeHealth(c sim.Call, by *command) {
	if c.Method != "Engine.Tag" {
		return
	}
	_, ref, _ := strings.Cut(c.Args, " ")
	if ref != by.desired.ImageName()+":"+by.app.LatestTag() {
		return
	}
	if len(by.scope.Hosts)+len(by.scope.Roles) > 0 {
		h.find(violation{"I3", c.Host, fmt.Sprintf("%s moves latest in a partial release", c)})
	}
	for _, role := range by.desired.Roles {
		for _, host := range role.Hosts {
			if !h.proven(by.desired, role, host) {
				h.later(by, violation{"I3", host, fmt.Sprintf("%s moves latest, and %s is not healthy there", c, role.Name)})
			}
		}
	}
}

// othersThings is I8, at a call: it names nothing of another service or destination, nor anything without labels.
func (h *history) othersThings(c sim.Call, by *command) (found []violation) {
	last := c.Args[strings.LastIndex(c.Args, " ")+1:]
	wrong := ""
	if len(by.scope.Hosts) > 0 && !slices.Contains(by.scope.Hosts, c.Host) && !strings.HasPrefix(c.Method, "Files.") {
		wrong = "is outside of its scope"
	}
	switch c.Method {
	case "Engine.Start", "Engine.Stop", "Engine.Remove", "Engine.Rename", "Engine.Update":
		x, ok := h.glanceAt(c.Host, strings.Fields(c.Args)[0])
		if ok && (x.Service == "shop-redis" || x.Service == "shop-queue") && by.app == (state.App{Service: "shop"}) {
			break // one of its accessories
		}
		if ok && (state.App{Service: x.Service, Destination: x.Destination}) != by.app && (x.Name != by.desired.ProxyServer.Name || c.Method != "Engine.Start") {
			wrong = "touches " + x.Name
		}
	case "Engine.Tag", "Engine.RemoveImage":
		tag := last[strings.LastIndex(last, ":")+1:]
		switch {
		case strings.HasPrefix(tag, "latest") && tag != by.app.LatestTag() || !strings.HasPrefix(last, repository+":") && !strings.HasPrefix(last, repository+"@"):
			wrong = "moves a tag"
		case c.Method == "Engine.RemoveImage" && !strings.Contains(last, "@") && h.othersNeed(c.Host, by.app, last):
			wrong = "removes an image that another destination keeps"
		}
	case "Proxy.Deploy", "Proxy.Remove":
		if app, ok := h.appOfRoute(c.Host, strings.Fields(c.Args)[0]); ok && app != by.app {
			wrong = "takes a route"
		}
	}
	if strings.HasPrefix(c.Method, "Files.") && !strings.Contains(c.Args+"/", "/lock-"+by.app.String()) && !ownFile(c.Args, by.app) {
		wrong = "writes a file"
	}
	if wrong != "" {
		found = append(found, violation{"I8", c.Host, fmt.Sprintf("%s %s, which is not %s's", c, wrong, by.app)})
	}
	return found
}

// othersNeed tells whether another destination has a container on a host that was made from an image.
func (h *history) othersNeed(host string, app state.App, ref string) bool {
	id := h.ImageID(host, ref)
	return slices.ContainsFunc(h.Glance(host), func(c sim.Glance) bool {
		return c.Service == app.Service && c.Destination != app.Destination && c.ImageID == id
	})
}

// appOfRoute gives whose container a route goes to.
func (h *history) appOfRoute(host, route string) (state.App, bool) {
	target := h.targetOf(host, route)
	for _, c := range h.Glance(host) {
		if target != "" && state.ShortID(c.ID) == target {
			return state.App{Service: strings.TrimSuffix(c.Service, "-redis"), Destination: c.Destination}, true // its accessory's is the app's
		}
	}
	return state.App{}, false
}

// intentions are the kinds of deeds that a call may be part of, or that it takes back.
var intentions = map[string][]string{
	"Engine.Create": {"create", "proxy", "hook"}, "Engine.Start": {"start", "proxy", "stop", "hook", "accessory-start", "accessory-restart"}, "Engine.Stop": {"stop", "create", "start", "hook", "app-stop", "app-remove", "app-stale", "accessory-stop", "accessory-restart"},
	"Engine.Remove": {"remove", "create", "hook", "app-remove"}, "Engine.RemoveVolume": {"app-remove", "accessory-remove"}, "Engine.Rename": {"rename"}, "Engine.Update": {"update"}, "Engine.Tag": {"tag", "image"},
	"Engine.RemoveImage": {"untag", "image", "app-remove"}, "Engine.Pull": {"image", "proxy", "pull"}, "Engine.Load": {"image", "proxy"}, "Engine.Upload": {"proxy"}, "Proxy.Upgrade": {"proxy"},
	"Engine.CreateNetwork": {"network"}, "Engine.ConnectNetwork": {"connect", "proxy"},
	"Proxy.Deploy": {"switch", "unroute", "proxy", "accessory-start", "accessory-restart"}, "Proxy.Remove": {"unroute", "switch", "app-stop", "app-remove", "accessory-stop", "accessory-restart"},
	"Proxy.Stop": {"unroute", "app-stop", "app-remove", "accessory-stop", "accessory-restart"}, "Proxy.Pause": {"unroute"}, "Proxy.Resume": {"resume", "accessory-start", "accessory-restart"},
	"Proxy.RolloutDeploy": {"canary"}, "Proxy.RolloutSet": {"canary"}, "Proxy.RolloutStop": {"canary", "switch", "end-canary"},
}

// unaudited is I10: the store knew of a change before it began, as something that its command had in mind.
func (h *history) unaudited(c sim.Call, by *command) []violation {
	if c.Method == "Engine.Exec" || c.Method == "Files.Append" || c.Method == "Files.Touch" {
		return nil
	}
	m := h.desk.of(by.app)
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds, engine := intentions[c.Method]
	if slices.ContainsFunc(m.events, func(e state.Event) bool {
		return e.Outcome == state.EventIntended && e.Who == by.by && e.Host == c.Host && !e.At.Before(by.began) && (!engine || slices.Contains(kinds, e.Kind))
	}) {
		return nil
	}
	return []violation{{"I10", c.Host, fmt.Sprintf("%s was begun with nothing about it in the store of %s", c, by.app)}}
}

// neededForRollback is I11: no call removes the last container, or the image, of a version that a rollback within retention
// needs.
func (h *history) neededForRollback(c sim.Call, by *command) (found []violation) {
	switch c.Method {
	case "Engine.Remove":
		x, ok := h.glanceAt(c.Host, c.Args)
		if !ok || x.Service != by.app.Service || x.Destination != by.app.Destination {
			return nil
		}
		version, kept := versionOf(x), h.retained(by)
		again := slices.ContainsFunc(h.Glance(c.Host), func(other sim.Glance) bool {
			return other.ID != x.ID && other.Role == x.Role && other.Destination == x.Destination && versionOf(other) == version
		})
		if role, _ := by.desired.Role(x.Role); slices.Contains(role.Hosts, c.Host) && slices.Contains(kept, version) && !again && x.Status != state.StatusCreated && !h.mine(c.Host, x.ID, by) {
			found = append(found, violation{"I11", c.Host, fmt.Sprintf("%s removes %s, and %v are kept", c, x.Name, kept)})
		}
	case "Engine.RemoveImage":
		if kept := h.retained(by); slices.Contains(kept, c.Args[strings.LastIndex(c.Args, ":")+1:]) {
			found = append(found, violation{"I11", c.Host, fmt.Sprintf("%s removes an image, and %v are kept", c, kept)})
		}
	}
	return found
}

// mine tells whether a container was made since the command began: what compensation removes again.
func (h *history) mine(host, id string, c *command) bool { return !c.there[host+"/"+id] }

// retained are the versions that a rollback may go back to: as many as are kept, those that succeeded last first, without the
// wanted one. That a release succeeded is what its record says, here or on any server. Of two that were given one number, on
// parts of the fleet that did not see each other, a history has only one: which, is nobody's promise.
func (h *history) retained(c *command) (kept []string) {
	all := h.succeeded(c.desired)
	places := 0
	unclear := map[int]bool{}
	for _, record := range all {
		switch two := slices.ContainsFunc(all, func(r state.Record) bool { return r.Number == record.Number && r.Version != record.Version }); {
		case places == c.desired.RetainContainers:
			return kept
		case two && !unclear[record.Number]:
			unclear[record.Number] = true
			places++
		case !two && record.Version != c.desired.Version && !slices.Contains(kept, record.Version):
			kept = append(kept, record.Version)
			places++
		}
	}
	return kept
}

// succeeded gives the records of releases that succeeded, the newest first, from the store and from every server.
func (h *history) succeeded(desired release.Release) []state.Record {
	known, _ := h.desk.of(desired.App()).Releases(desired.App())
	known = append(known, h.records(desired.App())...)
	known = slices.DeleteFunc(known, func(r state.Record) bool { return r.Outcome != state.OutcomeSucceeded })
	slices.SortStableFunc(known, func(x, y state.Record) int { return y.Number - x.Number })
	return known
}

// records are those that lie on the servers.
func (h *history) records(app state.App) (list []state.Record) {
	for _, host := range h.Hosts() {
		list = append(list, h.recordsOn(host, app)...)
	}
	return list
}

func (h *history) recordsOn(host string, app state.App) (list []state.Record) {
	directory := ".kamal/apps/" + app.String() + "/kamald/releases/"
	for _, name := range h.FileNames(host) {
		if _, file, ok := strings.Cut(name, directory); !ok || !strings.HasSuffix(file, ".json") {
			continue
		}
		var record state.Record
		if data, ok := h.File(host, name); ok && json.Unmarshal(data, &record) == nil {
			list = append(list, record)
		}
	}
	return list
}

func (h *history) appsOfRecords() (list []state.App) {
	for _, c := range h.commands {
		if !slices.Contains(list, c.app) {
			list = append(list, c.app)
		}
	}
	return list
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

// ownFile tells whether a path on a server is the app's, or nobody's in particular.
func ownFile(name string, app state.App) bool {
	_, rest, of := strings.Cut(name, "/apps/")
	whose, _, _ := strings.Cut(rest, "/")
	return !of && !strings.Contains(name, "/lock-") || whose == app.String()
}

func roleOfRoute(desired release.Release, name string) (release.Role, bool) {
	i := slices.IndexFunc(desired.Roles, func(role release.Role) bool { return desired.App().RouteName(role.Name) == name })
	if i < 0 {
		return release.Role{}, false
	}
	return desired.Roles[i], true
}

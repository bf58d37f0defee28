package loop_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// checker holds every call that changes something, whoever makes it, to what of the invariants (docs/invariants.md) can be seen without
// knowing what it is for: that is what a daemon and people do beside each other for hours. What one run has in mind is held to them by the
// checker of reconcile.
type checker struct {
	*sim.World
	t    *testing.T
	apps map[string]release.Release // host → what is on it

	mu      sync.Mutex
	changes int
	found   []string
	writers map[string]string     // a lock's nonce → who changed something under it
	renewed map[string]time.Time  // host/app → when its lock was written last
	proven  map[string]time.Time  // host/role/version → when a container of it was last seen well
	flaps   map[string]bool       // host/role: what ends by itself there is nobody's target
	beside  map[string]sim.Glance // host/name → what is none of kamald's business
}

// leaseOfLocks is how long a lock lasts that is not renewed, and fresh how long it counts that something was well.
const (
	leaseOfLocks = 30 * time.Second
	fresh        = 15 * time.Minute
	settlesIn    = 2 * time.Second // readiness_delay of these apps
)

// check holds what happens to these apps from now on to the invariants. With something of nobody's beside them on each host.
func check(t *testing.T, w *sim.World, apps ...release.Release) *checker {
	c := &checker{World: w, t: t, apps: map[string]release.Release{}, writers: map[string]string{}, renewed: map[string]time.Time{},
		proven: map[string]time.Time{}, flaps: map[string]bool{}, beside: map[string]sim.Glance{}}
	for _, app := range apps {
		for _, host := range app.Hosts {
			c.apps[host.Name] = app
			w.Place(host.Name, sim.Image{Ref: "other/thing:1"})
			for name, labels := range map[string]map[string]string{
				"by-hand": nil, app.Service + "-web-beta-v1": {"service": app.Service, "role": "web", "destination": "beta"},
			} {
				w.RunContainer(host.Name, name, state.Spec{Image: "other/thing:1", Network: "bridge", Restart: "unless-stopped"}, labels, nil)
				c.beside[host.Name+"/"+name] = c.named(host.Name, name)
			}
		}
	}
	w.Before(func(call sim.Call) error { c.see(call); return nil })
	return c
}

func (c *checker) breach(invariant, host, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s %s %s: %s", time.Now().Format("15:04:05"), invariant, host, fmt.Sprintf(format, args...)))
}

// see holds one call to what is promised, at the instant at which it begins.
func (c *checker) see(call sim.Call) {
	app, ours := c.apps[call.Host]
	if !ours || !call.Mutates {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, host := range app.Hosts {
		c.sample(host.Name)
	}
	c.others(call, app)
	if file, is := strings.CutPrefix(call.Method, "Files."); is {
		if strings.Contains(call.Args+"/", "/lock-"+app.App().String()+"/") && file != "Remove" {
			c.renewed[call.Host] = call.At
		}
		return
	}
	if call.Method == "Engine.Exec" {
		return
	}
	c.underLock(call, app)
	c.targets(call, app)
	c.barrier(call, app)
	c.latest(call, app)
}

// sample notes what is well on a host.
func (c *checker) sample(host string) {
	for _, x := range c.Glance(host) {
		well := x.Answers >= 200 && x.Answers < 300 || time.Since(x.Started) >= settlesIn
		if x.Role != "" && x.Status == state.StatusRunning && well {
			c.proven[host+"/"+x.Role+"/"+versionOf(x)] = time.Now()
		}
	}
}

// others is I8: a call names nothing of another service or destination, nor anything without labels.
func (c *checker) others(call sim.Call, app release.Release) {
	words := strings.Fields(call.Args)
	switch last := words[len(words)-1]; call.Method {
	case "Engine.Start", "Engine.Stop", "Engine.Remove", "Engine.Rename", "Engine.Update":
		x := c.named(call.Host, words[0])
		if x.ID != "" && (state.App{Service: x.Service, Destination: x.Destination}) != app.App() && (x.Name != app.ProxyServer.Name || call.Method != "Engine.Start") {
			c.breach("I8", call.Host, "%s touches %s", call, x.Name)
		}
	case "Engine.Tag", "Engine.RemoveImage":
		if !strings.HasPrefix(last, app.ImageName()+":") && !strings.HasPrefix(last, app.ImageName()+"@") {
			c.breach("I8", call.Host, "%s moves another's tag", call)
		}
	case "Proxy.Deploy", "Proxy.Remove":
		if !slices.ContainsFunc(app.Roles, func(r release.Role) bool { return app.App().RouteName(r.Name) == words[0] }) {
			c.breach("I8", call.Host, "%s takes another's route", call)
		}
	}
	if !strings.HasPrefix(call.Method, "Files.") {
		return
	}
	for _, word := range words {
		for _, place := range []string{"/apps/", "/lock-"} {
			_, rest, of := strings.Cut(word, place)
			whose, _, _ := strings.Cut(rest, "/")
			whose, _, _ = strings.Cut(whose, ".stale-")
			if of && whose != app.App().String() {
				c.breach("I8", call.Host, "%s writes another's file", call)
			}
		}
	}
}

// underLock is I5: a change is made under the host's lock, which one writer has, and has renewed in time.
func (c *checker) underLock(call sim.Call, app release.Release) {
	data, locked := c.File(call.Host, ".kamal/lock-"+app.App().String()+"/details")
	text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
	_, nonce, _ := strings.Cut(string(text), "Nonce: ")
	nonce = strings.TrimSpace(nonce)
	switch by, known := c.writers[nonce]; {
	case !locked || nonce == "":
		c.breach("I5", call.Host, "%s is begun by %q without the lock", call, call.By)
	case !known:
		c.writers[nonce] = call.By
	case by != call.By:
		c.breach("I5", call.Host, "%s is begun by %q under the lock of %q", call, call.By, by)
	}
	if since := call.At.Sub(c.renewed[call.Host]); locked && since > leaseOfLocks {
		c.breach("I5", call.Host, "%s is begun %s after the lock's last renewal", call, since)
	}
}

// targets is I1: no call takes away the healthy target of a route.
func (c *checker) targets(call sim.Call, app release.Release) {
	for _, route := range c.Routes(call.Host) {
		if !slices.ContainsFunc(app.Roles, func(r release.Role) bool { return app.App().RouteName(r.Name) == route.Name }) {
			continue
		}
		gone := call.Method == "Proxy.Remove" && strings.Fields(call.Args)[0] == route.Name
		if call.Method == "Engine.Stop" || call.Method == "Engine.Remove" {
			x := c.named(call.Host, call.Args)
			gone = x.ID != "" && state.ShortID(x.ID) == route.TargetID()
		}
		if gone && c.Answer(call.Host, "example.com", "/") == 200 {
			c.breach("I1", call.Host, "%s takes away what %s routes to", call, route.Name)
		}
	}
}

// barrier is I2: what runs of another role ends only when a primary of another version than it has is well.
func (c *checker) barrier(call sim.Call, app release.Release) {
	if call.Method != "Engine.Stop" && call.Method != "Engine.Remove" {
		return
	}
	x := c.named(call.Host, call.Args)
	role, known := app.Role(x.Role)
	mine := x.Service == app.Service && x.Destination == app.Destination
	if !known || !mine || role.Primary || x.Status != state.StatusRunning || time.Since(x.Started) < settlesIn || c.flaps[call.Host+"/"+x.Role] {
		return
	}
	for at, when := range c.proven {
		if host, rest, _ := strings.Cut(at, "/"); c.apps[host].App() == app.App() && strings.HasPrefix(rest, app.PrimaryRole+"/") && rest != app.PrimaryRole+"/"+versionOf(x) && time.Since(when) < fresh {
			return
		}
	}
	c.breach("I2", call.Host, "%s ends %s before the barrier is open", call, x.Name)
}

// latest is I3: it moves to a version that was well in every role on every host.
func (c *checker) latest(call sim.Call, app release.Release) {
	image, ref, _ := strings.Cut(call.Args, " ")
	if call.Method != "Engine.Tag" || ref != app.ImageName()+":"+app.App().LatestTag() {
		return
	}
	for _, role := range app.Roles {
		for _, host := range role.Hosts {
			well := false
			for n := 1; n <= 9 && !well; n++ {
				version := fmt.Sprintf("v%d", n)
				id := c.ImageID(call.Host, app.ImageName()+":"+version)
				well = id != "" && (image == id || image == app.ImageName()+":"+version) && time.Since(c.proven[host+"/"+role.Name+"/"+version]) < fresh
			}
			if !well {
				c.breach("I3", host, "%s moves latest, and %s is not well there", call, role.Name)
			}
		}
	}
}

// done gives what was found, with what stands beside and is not what it was.
func (c *checker) done() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, was := range c.beside {
		host, name, _ := strings.Cut(at, "/")
		if now := c.named(host, name); now.ID != was.ID || now.Name != was.Name {
			c.breach("I8", host, "%s was %+v and is %+v", name, was, now)
		}
	}
	slices.Sort(c.found)
	return c.found
}

// judge fails the test for what was found.
func (c *checker) judge() {
	c.t.Helper()
	found := c.done()
	for _, breach := range found[:min(len(found), 20)] {
		c.t.Error(breach)
	}
	c.t.Logf("%d changes of servers were held to the invariants; %d breaches", c.changes, len(found))
	if c.changes == 0 {
		c.t.Error("nothing was changed")
	}
}

// named looks at a container by its name or ID; the zero Glance when there is none.
func (c *checker) named(host, name string) sim.Glance {
	for _, x := range c.Glance(host) {
		if x.ID == name || x.Name == name || len(name) >= 12 && strings.HasPrefix(x.ID, name) {
			return x
		}
	}
	return sim.Glance{}
}

func versionOf(x sim.Glance) string {
	return state.Container{Name: x.Name, Service: x.Service, Role: x.Role, Destination: x.Destination}.Version()
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kamald/kamald/drivers/image"
	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// history is a world with all that the checker reads: every run of kamald with what it called, what was before it and after it,
// and what was seen at each call while it ran.
type history struct {
	*world
	desk *shelf

	mu       sync.Mutex
	commands []*command
	released map[state.App][]string // versions, in the order in which they succeeded, or perhaps did
	healthy  map[string]bool        // host/ID of every container that was ever seen healthy
	stayed   map[string]bool        // host/ID of every one that was ever seen to have run as long as one without a check must
	down     map[string]bool        // hosts whose engine or containers somebody else has ended: requests may fail there
	turn     string                 // what the secret has more since it was changed
	still    map[string]bystander   // host/ID of what belongs to others
	found    []violation
	data     bool // an accessory has kept something on h3
}

// command is one run of kamald.
type command struct {
	by       string
	name     string // by whom its calls are made: no other command's
	app      state.App
	desired  release.Release
	began    time.Time
	before   facts
	served   map[string]bool // host/route that answered when it began
	scope    plan.Filter     // what it is limited to
	there    map[string]bool // host/ID of each container when it began
	calls    []began
	late     []violation // of hosts that may turn out not to take part
	ended    bool
	report   reconcile.Report
	err      error
	killed   bool
	dead     bool
	after    facts
	left     time.Time
	requests int
}

// perhaps marks a version of which nobody can say whether it was released: the run was killed, or skipped hosts, or was not
// taken back. It may take the place of an older one among those that are kept.
const perhaps = "perhaps "

// began is one remote call of a command, as it begins.
type began struct {
	host, method string
	at           time.Time
	seq          int
}

// facts are what runs: host/role → the IDs of its running containers, and "host latest" → the image's ID.
type facts map[string]string

// bystander is a container that is none of kamald's business.
type bystander struct {
	host string
	seen sim.Glance
}

// violation is a broken invariant.
type violation struct {
	invariant string
	host      string
	text      string
}

func (v violation) String() string {
	return strings.TrimSpace(v.invariant + " " + v.host + ": " + v.text)
}

// shelf is a store for several apps.
type shelf struct {
	mu   sync.Mutex
	apps map[state.App]*memory
}

func (s *shelf) of(app state.App) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps[app] == nil {
		s.apps[app] = &memory{}
	}
	return s.apps[app]
}

func (s *shelf) all() map[state.App]*memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.apps)
}

// desk is the store as one run of kamald has it: one that was killed writes no more.
type desk struct {
	*memory
	dead func() bool
}

var errDead = errors.New("this run of kamald was killed")

func (d desk) SaveSnapshot(s state.Snapshot) error {
	if d.dead() {
		return errDead
	}
	return d.memory.SaveSnapshot(s)
}

func (d desk) SaveRelease(r state.Record) error {
	if d.dead() {
		return errDead
	}
	return d.memory.SaveRelease(r)
}

func (d desk) SavePlan(app state.App, p state.PlanRecord) error {
	if d.dead() {
		return errDead
	}
	return d.memory.SavePlan(app, p)
}

func (d desk) Append(app state.App, events ...state.Event) error {
	if d.dead() {
		return errDead
	}
	return d.memory.Append(app, events...)
}

// observed begins the history of a world.
func observed(w *world) *history {
	h := &history{world: w, desk: &shelf{apps: map[state.App]*memory{}}, released: map[state.App][]string{}, healthy: map[string]bool{}, stayed: map[string]bool{},
		down: map[string]bool{}, still: map[string]bystander{}}
	h.listen()
	return h
}

// listen has every call seen, before and after. Faults come behind it.
func (h *history) listen() {
	h.ClearHooks()
	h.Before(func(c sim.Call) error { h.see(c); return nil })
	h.After(func(c sim.Call) error { h.sample(c.Host); return nil })
}

// run is one run of kamald: act with a controller of its own, while requests come in.
func (h *history) run(by string, desired release.Release, act func(*reconcile.Controller) (reconcile.Report, error)) *command {
	return h.limited(by, desired, plan.Filter{}, act)
}

// limited is run, of a command that is limited to hosts and roles.
func (h *history) limited(by string, desired release.Release, scope plan.Filter, act func(*reconcile.Controller) (reconcile.Report, error)) *command {
	c := &command{by: by, app: desired.App(), scope: scope, desired: desired, began: time.Now(), served: map[string]bool{}, there: map[string]bool{}}
	c.before = h.facts()
	for _, host := range h.Hosts() {
		for _, there := range h.Glance(host) {
			c.there[host+"/"+there.ID] = true
		}
	}
	for _, at := range h.proxied(desired) {
		if h.targetOf(at.host, at.route) != "" && h.Answer(at.host, routeHost(desired, at.role), "/") == 200 {
			c.served[at.String()] = true
		}
	}
	h.mu.Lock()
	h.commands = append(h.commands, c)
	c.name = fmt.Sprintf("%s %d", by, len(h.commands))
	h.mu.Unlock()
	stop := h.ask(c)
	controller := h.controllerOf(c)
	c.report, c.err = act(controller)
	_ = controller.Close()
	stop()
	c.killed = c.killed || h.Killed()
	c.after, c.left = h.facts(), time.Now()
	h.mu.Lock()
	c.ended = true
	succeeded := c.err == nil && c.report.Outcome == state.OutcomeSucceeded && !c.killed
	switch {
	case c.report.Kind == plan.KindNone || c.report.Kind == plan.KindHeal || c.report.Kind == "":
	case succeeded:
		h.released[c.app] = append(h.released[c.app], c.report.Version)
	case !c.report.Undone || c.killed || len(c.report.Left) > 0:
		h.released[c.app] = append(h.released[c.app], perhaps+c.report.Version)
	}
	h.mu.Unlock()
	h.check(c)
	return c
}

// controllerOf is a controller whose calls are the command's.
func (h *history) controllerOf(c *command) *reconcile.Controller {
	note := func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
		h.mu.Lock()
		dead := c.dead
		if !dead && call.Mutates {
			c.calls = append(c.calls, began{call.Host, call.Method, time.Now(), len(c.calls)})
		}
		h.mu.Unlock()
		if dead {
			return context.Canceled
		}
		return next(sim.As(ctx, reconcile.StepOf(ctx)))
	}
	dead := func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return c.dead || h.Killed()
	}
	control := reconcile.NewController(reconcile.NewFleet(connector{h.Connector().As(c.name)}, note), desk{h.desk.of(c.app), dead}, secrets{"TOKEN": canary + h.turn, "REGISTRY_PASSWORD": "registry-password"})
	control.Owner = reconcile.Owner{Who: c.by, Machine: c.by + "-machine", PID: len(h.commands)}
	control.LockWait = true
	control.NewSpool, control.StageBytes = func() reconcile.Spool { return &image.Spool{} }, 2<<10
	control.Report = func(p reconcile.Progress) {
		h.world.mu.Lock()
		defer h.world.mu.Unlock()
		h.log = append(h.log, p)
	}
	return control
}

// applying is a run of `apply`.
func (h *history) applying(ctx context.Context, by string, desired release.Release, options reconcile.Options) *command {
	scope := plan.Filter{Hosts: options.Hosts, Roles: options.Roles}
	return h.limited(by, desired, scope, func(c *reconcile.Controller) (reconcile.Report, error) { return c.Apply(ctx, desired, options) })
}

// takes tells whether a role on a host is in the scope of a command.
func (c *command) takes(role, host string) bool {
	return (len(c.scope.Hosts) == 0 || slices.Contains(c.scope.Hosts, host)) && (len(c.scope.Roles) == 0 || slices.Contains(c.scope.Roles, role))
}

// without tells whether a host did not take part: it could not be reached, or is cordoned.
func (c *command) without(host string) bool {
	return slices.ContainsFunc(append(slices.Clone(c.report.Plan.Unreachable), c.report.Cordoned...), func(s plan.Skipped) bool { return s.Host == host })
}

// place is a proxied role on a host.
type place struct{ host, role, route string }

func (p place) String() string { return p.host + "/" + p.route }

func (h *history) proxied(desired release.Release) (list []place) {
	for _, role := range desired.Roles {
		if role.Proxy == nil {
			continue
		}
		for _, host := range role.Hosts {
			list = append(list, place{host, role.Name, desired.App().RouteName(role.Name)})
		}
	}
	return list
}

func (h *history) targetOf(host, name string) string {
	for _, route := range h.Routes(host) {
		if route.Name == name {
			return route.TargetID()
		}
	}
	return ""
}

// facts are what runs now, of everybody.
func (h *history) facts() facts {
	f := facts{}
	for _, host := range h.Hosts() {
		for _, tag := range []string{"latest", "latest-staging", "latest-edge"} {
			f[host+" "+tag] = h.ImageID(host, repository+":"+tag)
		}
		for _, c := range h.Glance(host) {
			if c.Service == "" || c.Role == "" || c.Status != state.StatusRunning && c.Status != state.StatusRestarting {
				continue
			}
			key := host + "/" + factOf(state.App{Service: c.Service, Destination: c.Destination}, c.Role)
			f[key] = strings.TrimSpace(f[key] + " " + state.ShortID(c.ID))
		}
	}
	return f
}

func factOf(app state.App, role string) string { return app.String() + "/" + role }

// ask sends requests to every role that served when the command began, until it is stopped.
func (h *history) ask(c *command) (stop func()) {
	quit := make(chan struct{})
	var all sync.WaitGroup
	for _, at := range h.proxied(c.desired) {
		if !c.served[at.String()] {
			continue
		}
		name := routeHost(c.desired, at.role)
		all.Go(func() {
			for {
				select {
				case <-quit:
					return
				case <-time.After(50 * time.Millisecond):
				}
				status := h.Request(at.host, name, "/")
				h.mu.Lock()
				c.requests++
				if status != 200 && !h.down[at.host] {
					h.found = append(h.found, violation{"I1", at.host, fmt.Sprintf("a request to %s met %d at %s", name, status, time.Since(c.began))})
				}
				h.mu.Unlock()
			}
		})
	}
	return func() { close(quit); all.Wait() }
}

// routeHost is a host name that the role's route takes.
func routeHost(desired release.Release, name string) string {
	role, _ := desired.Role(name)
	if hosts := role.Proxy.Options.Hosts; len(hosts) > 0 {
		return hosts[0]
	}
	return "shop.example.com"
}

// sample notes which containers of a host are healthy now.
func (h *history) sample(host string) {
	seen := h.Glance(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range seen {
		if c.Role == "" || c.Status != state.StatusRunning {
			continue
		}
		if c.Answers >= 200 && c.Answers < 300 {
			h.healthy[host+"/"+c.ID] = true
		}
		if time.Since(c.Started) >= readiness {
			h.stayed[host+"/"+c.ID] = true
		}
	}
}

// author gives the command that a call is of; nil when it is of none.
func (h *history) author(call sim.Call) *command {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.commands {
		if c.name == call.By {
			return c
		}
	}
	return nil
}

// beside puts a container there that kamald must leave alone.
func (h *history) beside(host, name string, labels map[string]string) {
	h.Place(host, sim.Image{Ref: "other/thing:1"})
	id := h.RunContainer(host, name, state.Spec{Image: "other/thing:1", Network: "bridge", Restart: "unless-stopped"}, labels, nil)
	for _, c := range h.Glance(host) {
		if c.ID == id {
			h.still[host+"/"+id] = bystander{host, c}
		}
	}
}

// violations are all that was found, each once.
func (h *history) violations() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for _, v := range h.found {
		seen[v.String()] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (h *history) find(list ...violation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.found = append(h.found, list...)
}

package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	// restartFirst and restartMost are the engine's pauses before it restarts a container that ended: they double.
	restartFirst = 100 * time.Millisecond
	restartMost  = time.Minute
	// endsAtOnce is how long a program runs that ends at once.
	endsAtOnce = 5 * time.Millisecond
	// restartForgets is how long it must have run for the pause to begin anew.
	restartForgets = 10 * time.Second
)

// container is one on a host. What it does is worked out from the time that has passed, whenever somebody looks.
type container struct {
	id, name string
	image    *stored
	spec     state.Spec // as it is: Update changes it
	labels   map[string]string
	asked    *state.Spec // what the label of it says; nil without one
	secrets  map[string]release.Secret
	networks map[string]string // name → address, "" while it does not run

	status   state.Status
	created  time.Time
	started  time.Time
	finished time.Time
	exitCode int
	oom      bool
	fault    string // why it could not start
	restarts int
	pause    time.Duration
	again    time.Time // when the engine restarts it
	byHand   bool      // stopped on purpose: unless-stopped leaves it
	stopAt   time.Time // a stop is under way: it ends then
	stopCode int
	inFlight int
	program  string            // of a proxy: the version it goes on as; "": its image's
	uploads  map[string][]byte // files that were put into it
	cuts     int               // how often a drain ended with requests in flight
	bearer   *bearer           // nil: nobody is told of it
	told     string            // what the engine's check said last
	said     []said            // what it has written
}

func (c *container) running() bool { return c.status == state.StatusRunning }

// settle brings every container of the host to what it is at a time.
func (h *host) settle(now time.Time) {
	from := len(h.events)
	for _, c := range h.order {
		h.settleOne(c, now)
	}
	h.sortEvents(from)
	h.settledAt = now
}

func (h *host) settleOne(c *container, now time.Time) {
	b := c.image.Behaviour
	for {
		h.tellHealth(c, now)
		switch {
		case c.running() && !c.stopAt.IsZero() && !now.Before(c.stopAt):
			at := c.stopAt
			h.end(c, at, c.stopCode)
			h.tell(c, at, state.ActionStop, "")
			c.byHand = true
			return
		case c.running() && b.Ends && !now.Before(c.started.Add(max(b.EndsIn, endsAtOnce))):
			ended := c.started.Add(max(b.EndsIn, endsAtOnce))
			if c.oom = b.OOM; c.oom {
				h.tell(c, ended, state.ActionOOM, "")
			}
			h.end(c, ended, b.ExitCode)
			if c.byHand || !c.restarted() {
				return
			}
			if c.pause = min(2*c.pause, restartMost); c.pause == 0 || ended.Sub(c.started) >= restartForgets {
				c.pause = restartFirst
			}
			c.status, c.again = state.StatusRestarting, ended.Add(c.pause)
		case c.status == state.StatusRestarting && !now.Before(c.again) && !h.frozen:
			c.restarts++
			h.run(c, c.again)
		default:
			return
		}
	}
}

// end ends it at a time, and tells so.
func (h *host) end(c *container, at time.Time, code int) {
	h.tellEnd(c, at, code)
	c.status, c.finished, c.exitCode, c.stopAt = state.StatusExited, at, code, time.Time{}
	for name := range c.networks {
		c.networks[name] = ""
	}
}

// restarted tells whether the policy wants it again after it ended by itself.
func (c *container) restarted() bool {
	policy, limit, _ := strings.Cut(c.spec.Restart, ":")
	switch policy {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		most, err := strconv.Atoi(limit)
		return c.exitCode != 0 && (err != nil || c.restarts < most)
	}
	return false
}

// run starts it at a time.
func (h *host) run(c *container, at time.Time) {
	c.status, c.started, c.exitCode, c.oom, c.fault, c.byHand, c.stopAt, c.told = state.StatusRunning, at, 0, false, "", false, time.Time{}, ""
	for name := range c.networks {
		c.networks[name] = h.address(name)
	}
	h.restored(c)
	h.boots(c, at)
	h.tellNetworks(c, at, state.ActionNetworkConnect)
	h.tell(c, at, state.ActionStart, "")
}

// address gives a new one: an engine gives an old one to another container sooner or later, so nobody may keep it.
func (h *host) address(network string) string {
	n := h.count("address of " + network)
	return fmt.Sprintf("172.%d.%d.%d", 18+len(network)%10, n/250%250, 2+n%250)
}

// container finds one by name, ID, or the beginning of its ID.
func (h *host) container(ref string) (*container, error) {
	if c, ok := h.containers[ref]; ok {
		return c, nil
	}
	var found *container
	several := false
	for _, c := range h.order {
		if c.name == ref {
			return c, nil
		}
		if ref != "" && strings.HasPrefix(c.id, ref) {
			if found != nil {
				several = true
			}
			found = c
		}
	}
	if several {
		return nil, fmt.Errorf("more than one container's ID begins with %s", ref)
	}
	if found == nil {
		return nil, fmt.Errorf("no such container: %s: %w", ref, state.ErrNotFound)
	}
	return found, nil
}

// answers is what a GET to a port of it meets: a status, or false when nothing listens there.
func (c *container) answers(port int, now time.Time) (status int, ok bool) {
	b := c.image.Behaviour
	listens := b.Port
	if listens == 0 {
		listens = c.image.Port
	}
	if !c.running() || port != listens || now.Before(c.started.Add(b.Ready)) || !c.stopAt.IsZero() {
		return 0, false
	}
	return b.status(now.Sub(c.started)), true
}

// status is what it answers after so long.
func (b Behaviour) status(up time.Duration) int {
	if b.SickIn > 0 && up >= b.SickIn {
		return 500
	}
	return cmp.Or(b.Status, 200)
}

// healthy is Docker's own check.
func (c *container) health(now time.Time) string {
	b := c.image.Behaviour
	switch {
	case !c.image.Healthcheck || c.started.IsZero():
		return ""
	case !c.running():
		return "unhealthy" // an engine says so of what it has stopped
	case now.Before(c.started.Add(b.Ready)):
		return "starting"
	case b.status(now.Sub(c.started)) >= 300:
		return "unhealthy"
	}
	return "healthy"
}

// observe is what the engine says of it; a list knows less than an inspection.
func (c *container) observe(h *host, inspect bool, v state.View) state.Container {
	seen := state.Container{
		ID: c.id, Name: c.name, ImageID: c.image.id, Status: c.status, Created: c.created.Add(h.skew), IPs: maps.Clone(c.networks),
		Service: c.labels[state.LabelService], Role: c.labels[state.LabelRole], Destination: c.labels[state.LabelDestination],
		RunDir: c.labels[state.LabelRunDir], Owner: c.labels[state.LabelProxyOwner], Exec: c.labels[state.LabelExec],
		Accessory: c.labels[state.LabelAccessory], Shared: c.labels[state.LabelShared] == "true", Hook: c.labels[state.LabelHook],
	}
	seen.Release, _ = strconv.Atoi(c.labels[state.LabelRelease]) // absent or foreign is 0
	seen.Fence, _ = strconv.Atoi(c.labels[state.LabelFence])
	if !inspect {
		return seen
	}
	seen.Health, seen.ExitCode, seen.OOMKilled, seen.Error, seen.RestartCount = c.health(time.Now()), c.exitCode, c.oom, c.fault, c.restarts
	if !c.started.IsZero() {
		seen.Started = c.started.Add(h.skew)
	}
	if !c.finished.IsZero() {
		seen.Finished = c.finished.Add(h.skew)
	}
	if c.asked != nil {
		asked := *c.asked
		asked.Env, asked.Secrets, asked.Labels, asked.Options = maps.Clone(asked.Env), maps.Clone(asked.Secrets), maps.Clone(asked.Labels), maps.Clone(asked.Options)
		seen.Asked = &asked
	}
	seen.Live = c.live(seen.Asked, v)
	return seen
}

// live is the spec as it is: no secret's value is in it.
func (c *container) live(asked *state.Spec, v state.View) state.Spec {
	s := c.spec
	s.Options = maps.Clone(c.spec.Options)
	s.Digest = c.image.id
	if asked != nil && asked.Digest == "" {
		s.Digest = ""
	}
	if s.LogDriver == "" {
		s.LogDriver = "json-file"
	}
	if _, on := c.networks[s.Network]; !on {
		s.Network = ""
		if names := slices.Sorted(maps.Keys(c.networks)); len(names) > 0 {
			s.Network = names[0]
		}
	}
	if s.Network == "bridge" { // where a container is that asks for none
		s.Network = ""
	}
	if c.image.Workdir != "" && len(s.Options["workdir"]) == 0 {
		if s.Options == nil {
			s.Options = map[string][]string{}
		}
		s.Options["workdir"] = []string{c.image.Workdir}
	}
	s.Labels = nil
	for name, value := range c.labels {
		if !strings.HasPrefix(name, "kamald.") {
			s.Labels = with(s.Labels, name, value)
		}
	}
	s.Env, s.Secrets = nil, nil
	env := maps.Clone(c.image.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, c.spec.Env)
	for name, secret := range c.secrets {
		env[name] = secret.Reveal()
	}
	for name, value := range env {
		open := v.Clear[name]
		if asked != nil {
			_, clear := asked.Env[name]
			_, secret := asked.Secrets[name]
			open = (open || clear) && !secret
		}
		if open {
			s.Env = with(s.Env, name, value)
		} else {
			s.Secrets = with(s.Secrets, name, state.SecretDigest(v.Key, value))
		}
	}
	return s
}

// with adds to a map that is nil as long as it is empty.
func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func (c *container) update(options map[string][]string) error {
	known := []string{"memory", "memory-swap", "memory-reservation", "cpus", "cpu-shares", "cpuset-cpus", "pids-limit", "restart"}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		values := options[name]
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("%s cannot be changed on a container", name)
		case name == "restart":
			c.spec.Restart = strings.Join(values, "")
		case len(values) == 0:
			delete(c.spec.Options, name)
		default:
			if c.spec.Options == nil {
				c.spec.Options = map[string][]string{}
			}
			c.spec.Options[name] = slices.Clone(values)
		}
	}
	return nil
}

func (c *container) selected(f state.Filter) bool {
	if f.Name != "" {
		return c.name == f.Name
	}
	for name, value := range f.Labels {
		if have, ok := c.labels[name]; !ok || have != value {
			return false
		}
	}
	return true
}

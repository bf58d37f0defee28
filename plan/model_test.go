package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/state"
)

// inOrder takes the first of the steps that can begin.
func inOrder(int) int { return 0 }

// carryOut does to the world what a plan's steps would do to servers, each as soon as what it needs is done; choose picks among
// those that can begin. The error is the first step that a real server would refuse.
func (w *world) carryOut(p plan.Plan, choose func(n int) int) error {
	done := map[string]bool{}
	left := slices.Clone(p.Steps)
	recorded := false
	w.partial, w.number = p.Partial, w.next()
	for len(left) > 0 {
		var ready []int
		for i, s := range left {
			if begins(s, done) {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			return fmt.Errorf("%d steps wait for ever: %s first", len(left), left[0].ID)
		}
		i := ready[choose(len(ready))]
		s := left[i]
		if err := w.step(s); err != nil {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
		recorded = recorded || s.Kind == plan.StepRecord
		done[s.ID] = true
		left = slices.Delete(left, i, i+1)
	}
	if recorded {
		w.records = append([]state.Record{*w.record()}, w.records...)
	}
	if recorded && !p.Partial {
		desired := w.desired
		w.held, w.heldRelease = w.record(), &desired
	}
	return nil
}

// begins tells whether all that a step needs is done; any of it opens a barrier.
func begins(s plan.Step, done map[string]bool) bool {
	if s.Kind == plan.StepBarrier {
		return slices.ContainsFunc(s.Needs, func(need string) bool { return done[need] })
	}
	return !slices.ContainsFunc(s.Needs, func(need string) bool { return !done[need] })
}

func (w *world) record() *state.Record {
	outcome := state.OutcomeSucceeded
	if w.partial {
		outcome = state.OutcomePartial
	}
	return &state.Record{Schema: state.RecordSchema, Number: w.number, App: w.desired.App(), Version: w.desired.Version, Image: w.desired.Image(), Outcome: outcome}
}

// next is the number of another release: one more than the newest.
func (w *world) next() int {
	newest := 0
	if w.held != nil {
		newest = w.held.Number
	}
	for _, h := range w.hosts {
		for _, partial := range h.Partials {
			newest = max(newest, partial.Number)
		}
	}
	return newest + 1
}

func (w *world) step(s plan.Step) error {
	switch s.Kind {
	case plan.StepGate, plan.StepWait, plan.StepBarrier, plan.StepHold:
		return nil
	}
	if s.Kind == plan.StepHook && s.Host == "" {
		return nil
	}
	h := w.host(s.Host)
	if h.Unreachable != "" {
		return errors.New("the host cannot be reached")
	}
	switch s.Kind {
	case plan.StepHook:
		if _, there := h.Image(s.Spec.Image); !there {
			return errors.New("there is no such image")
		}
	case plan.StepNetwork:
		h.Networks = append(h.Networks, state.Network{ID: id("network", s.Host), Name: s.Name})
	case plan.StepEnv:
		return w.pushEnv(h, s.Role)
	case plan.StepPull, plan.StepPlace, plan.StepPermit:
		return w.furnish(h, s)
	case plan.StepImage:
		w.bringImage(h)
	case plan.StepProxy:
		return w.bootProxy(h)
	case plan.StepSwitch:
		return w.switchTo(h, s)
	case plan.StepUnroute:
		h.Proxy.Routes = slices.DeleteFunc(h.Proxy.Routes, func(r state.Route) bool { return r.Name == s.Name })
	case plan.StepPages:
		h.ErrorPages = append(slices.Clone(h.ErrorPages), s.Name)
	case plan.StepTag:
		return w.tag(h, s)
	case plan.StepRecord:
		if record := w.record(); w.partial {
			h.Partials = append(h.Partials, state.Partial{Number: record.Number, Version: record.Version})
		} else {
			h.Record = record
		}
	case plan.StepKeep:
		h.Record = w.held
	case plan.StepUntag:
		untag(h, s.Name)
	case plan.StepClean:
		w.litter = maps.Clone(w.litter)
		w.litter[s.Host] = slices.DeleteFunc(slices.Clone(w.litter[s.Host]), func(path string) bool { return path == s.Name })
	case plan.StepCreate:
		return w.create(h, s)
	default:
		return w.act(h, s)
	}
	return nil
}

// act does what is done to a container that is there.
func (w *world) act(h *state.Host, s plan.Step) error {
	switch s.Kind {
	case plan.StepResume:
		return w.resume(h, s)
	case plan.StepLift:
		return w.lift(h, s)
	case plan.StepCanary, plan.StepEndCanary:
		return w.rollOut(h, s)
	}
	c := w.container(s.Host, s.Container)
	if c == nil {
		return errors.New("the container is not there")
	}
	switch s.Kind {
	case plan.StepRename:
		if w.container(s.Host, s.NewName) != nil {
			return errors.New("the name is taken")
		}
		c.Name = s.NewName
	case plan.StepStart:
		if c.Status == state.StatusPaused {
			return errors.New("it is paused, and the engine starts no paused container")
		}
		c.Status, c.Health, c.ExitCode = state.StatusRunning, "", 0
	case plan.StepProve:
		role, _ := w.desired.Role(s.Role)
		asksDocker := role.Proxy == nil && role.Health == nil // others are asked in their own way
		if c.Status != state.StatusRunning || c.Health == "unhealthy" && asksDocker {
			return fmt.Errorf("it is %s %s", c.Status, c.Health)
		}
	case plan.StepStop:
		c.Status = state.StatusExited
	case plan.StepUpdate:
		return update(c, s.Options)
	case plan.StepConnect:
		if !h.HasNetwork(s.NewName) {
			return errors.New("there is no such network")
		}
		c.IPs = map[string]string{s.NewName: "10.0.0.2"}
	case plan.StepRemove:
		if c.Running() {
			return errors.New("it runs")
		}
		h.Containers = slices.DeleteFunc(h.Containers, func(o state.Container) bool { return o.ID == s.Container })
	default:
		return fmt.Errorf("the model does not know the kind %q", s.Kind)
	}
	return nil
}

// update is the engine's: limits are set, and few can be taken away. Memory and swap together are twice the memory unless
// something else is said, and stay what they are when only the memory is set: then they show.
func update(c *state.Container, options map[string][]string) error {
	before, had := c.Live.Options["memory"]
	if _, both := options["memory-swap"]; had && !both && len(options["memory"]) > 0 && len(c.Live.Options["memory-swap"]) == 0 {
		bytes, err := strconv.ParseInt(before[0], 10, 64)
		if err != nil {
			return err
		}
		c.Live.Options["memory-swap"] = []string{strconv.FormatInt(2*bytes, 10)}
	}
	for name, values := range options {
		switch {
		case len(values) > 0:
			if c.Live.Options == nil {
				c.Live.Options = map[string][]string{}
			}
			c.Live.Options[name] = values
		case name == "cpu-shares" || name == "pids-limit" || name == "memory-swap" && len(options["memory"]) > 0:
			delete(c.Live.Options, name)
		default:
			return fmt.Errorf("%s cannot be taken away from a container", name)
		}
	}
	return nil
}

func (w *world) pushEnv(h *state.Host, roleName string) error {
	role, _ := w.desired.Role(roleName)
	on, _ := w.desired.Host(h.Name)
	old, _ := h.EnvFile(roleName)
	w.keys[h.Name] = true
	file := state.EnvFile{Role: roleName, Digests: map[string]string{}}
	for name := range w.desired.EnvOn(role, on).Secrets {
		value, ok := w.atHand[name]
		kept, there := old.Digests[name]
		switch {
		case ok:
			file.Digests[name] = w.digest(h.Name, value)
		case there:
			file.Digests[name] = kept
		default:
			return fmt.Errorf("%s is neither at hand nor on the host", name)
		}
	}
	h.EnvFiles = slices.DeleteFunc(h.EnvFiles, func(f state.EnvFile) bool { return f.Role == roleName })
	h.EnvFiles = append(h.EnvFiles, file)
	return nil
}

func (w *world) bringImage(h *state.Host) {
	want := image(w.desired, w.desired.Version)
	untag(h, w.desired.Image())
	for i, m := range h.Images {
		if m.ID == want.ID {
			h.Images[i].Tags = append(h.Images[i].Tags, w.desired.Image())
			h.Images[i].Digests = want.Digests
			return
		}
	}
	h.Images = append(h.Images, want)
}

// untag takes a reference away, and with the last one an image that no container has.
func untag(h *state.Host, ref string) {
	for i, m := range h.Images {
		if slices.Contains(m.Tags, ref) {
			h.Images[i].Tags = slices.DeleteFunc(slices.Clone(m.Tags), func(tag string) bool { return tag == ref })
		}
	}
	h.Images = slices.DeleteFunc(h.Images, func(m state.Image) bool {
		return len(m.Tags) == 0 && !slices.ContainsFunc(h.Containers, func(c state.Container) bool { return c.ImageID == m.ID })
	})
}

func (w *world) bootProxy(h *state.Host) error {
	if !h.HasNetwork(w.desired.Network) {
		return errors.New("there is no network for it")
	}
	server := w.desired.ProxyServer
	if h.Proxy.ID == "" {
		h.Proxy.ID, h.Proxy.Name, h.Proxy.Image = id("proxy", h.Name), server.Name, server.Image
		h.Proxy.Own, h.Proxy.Features = true, []string{state.FeatureSides}
	}
	if !slices.Contains(h.Proxy.Networks, w.desired.Network) {
		h.Proxy.Networks = append(h.Proxy.Networks, w.desired.Network)
	}
	h.Proxy.Running = true
	return nil
}

func (w *world) switchTo(h *state.Host, s plan.Step) error {
	c := w.container(s.Host, s.Container)
	if c == nil || c.Status != state.StatusRunning {
		return errors.New("its target does not run")
	}
	if _, attached := c.IPs[w.desired.Network]; !attached || !h.Proxy.Running || !slices.Contains(h.Proxy.Networks, w.desired.Network) {
		return errors.New("the proxy does not reach its target")
	}
	role, _ := w.desired.Role(s.Role)
	route := *s.Route
	route.Targets = []string{fmt.Sprintf("%s:%d", c.ShortID(), role.Proxy.AppPort)}
	h.Proxy.Routes = slices.DeleteFunc(h.Proxy.Routes, func(r state.Route) bool { return r.Name == s.Name })
	h.Proxy.Routes = append(h.Proxy.Routes, route)
	return nil
}

func (w *world) tag(h *state.Host, s plan.Step) error {
	m, ok := h.Image(w.desired.Image())
	if !ok {
		return errors.New("the image is not there")
	}
	if !bears(m, w.pin.Value()) {
		return errors.New("the version's tag is at an image that is not the pinned one")
	}
	untag(h, s.Name)
	for i := range h.Images {
		if h.Images[i].ID == m.ID {
			h.Images[i].Tags = append(h.Images[i].Tags, s.Name)
		}
	}
	h.Latest = m.ID
	return nil
}

func bears(m state.Image, pin string) bool {
	return pin == "" || m.ID == pin || slices.ContainsFunc(m.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+pin) })
}

func (w *world) create(h *state.Host, s plan.Step) error {
	m, ok := h.Image(s.Spec.Image)
	if _, beside := state.AccessoryOf(s.Role); beside {
		m, ok = h.Beside(s.Spec.Image)
	}
	switch {
	case !ok || !bears(m, s.Spec.Digest):
		return errors.New("its image is not there")
	case w.container(s.Host, s.Name) != nil:
		return errors.New("the name is taken")
	case !h.HasNetwork(s.Spec.Network):
		return errors.New("its network is not there")
	}
	spec := clone(*s.Spec)
	file, _ := h.EnvFile(s.Role)
	for name := range spec.Secrets {
		digest, has := file.Digests[name]
		if !has {
			return fmt.Errorf("the secrets file lacks %s", name)
		}
		spec.Secrets[name] = digest
	}
	c := w.make(s.Host, s.Name, spec, state.StatusCreated, m.ID)
	c.Release = w.number
	if name, beside := state.AccessoryOf(s.Role); beside {
		a, _ := w.desired.Accessory(name)
		c.Accessory, c.Shared = w.desired.App().OwnedAs(name), a.Shared
	}
	return nil
}

package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// notStarted is the exit code of a container that could not be started.
const notStarted = 128

// stopsIn is how long a program takes to end when its image does not say.
const stopsIn = 10 * time.Millisecond

// Engine is the container engine of one host.
type Engine struct{ *session }

// Info tells about the engine.
func (e *Engine) Info(ctx context.Context) (info state.Engine, err error) {
	err = e.read(ctx, "Engine.Info", "", func(h *host) error {
		info = state.Engine{Version: "29.0.0", API: "1.52", OS: "linux", Arch: h.arch, Root: engineRoot, Clock: h.clock(), Containerd: h.containerd, Mirrors: slices.Clone(h.mirrors)}
		if h.says != nil {
			h.says(&info)
		}
		return nil
	})
	return info, err
}

// Containers lists what the filter selects, newest first.
func (e *Engine) Containers(ctx context.Context, f state.Filter) (list []state.Container, err error) {
	err = e.read(ctx, "Engine.Containers", fmt.Sprint(f.Name, f.Labels), func(h *host) error {
		for _, c := range h.newestFirst() {
			if c.selected(f) {
				list = append(list, c.observe(h, false, state.View{}))
			}
		}
		return nil
	})
	return list, err
}

// Inspect looks at one container by name, ID or the beginning of its ID.
func (e *Engine) Inspect(ctx context.Context, name string, v state.View) (seen state.Container, err error) {
	err = e.read(ctx, "Engine.Inspect", name, func(h *host) error {
		c, err := h.container(name)
		if err == nil {
			seen = c.observe(h, true, v)
		}
		return err
	})
	return seen, err
}

// Create makes a container that is not started.
func (e *Engine) Create(ctx context.Context, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (id string, err error) {
	err = e.mutate(ctx, "Engine.Create", name, func(h *host) error {
		c, err := e.world.create(h, name, spec, labels, secrets)
		if err == nil {
			id = c.id
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Start starts a container; one that runs is left as it is.
func (e *Engine) Start(ctx context.Context, name string) error {
	return e.mutate(ctx, "Engine.Start", name, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		return h.start(c)
	})
}

// Stop asks, waits grace, kills.
func (e *Engine) Stop(ctx context.Context, name string, grace time.Duration) error {
	var ends time.Time
	call := Call{Method: "Engine.Stop", Args: name, Mutates: true}
	return e.call(ctx, call, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		ends = h.stop(c, grace)
		return nil
	}, func(ctx context.Context) error { return sleep(ctx, time.Until(ends)) })
}

// Rename gives a container another name.
func (e *Engine) Rename(ctx context.Context, name, to string) error {
	return e.mutate(ctx, "Engine.Rename", name+" "+to, func(h *host) error {
		c, err := h.container(name)
		if err != nil || c.name == to {
			return err
		}
		if err := h.nameFree(to); err != nil {
			return err
		}
		h.rename(c, to)
		return nil
	})
}

// Update changes a container as it is.
func (e *Engine) Update(ctx context.Context, name string, options map[string][]string) error {
	args := name
	for _, option := range slices.Sorted(maps.Keys(options)) {
		args += " " + option + "=" + strings.Join(options[option], ",")
	}
	return e.mutate(ctx, "Engine.Update", args, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		return h.update(c, options)
	})
}

// Remove kills and removes; one that is gone is no error.
func (e *Engine) Remove(ctx context.Context, name string) error {
	return e.mutate(ctx, "Engine.Remove", name, func(h *host) error {
		c, err := h.container(name)
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		h.discard(c)
		return nil
	})
}

// Logs gives the last lines.
func (e *Engine) Logs(ctx context.Context, name string, tail int, _ time.Time) (lines []string, err error) {
	err = e.read(ctx, "Engine.Logs", name, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		if c.status != state.StatusCreated {
			lines = slices.Clone(c.image.Behaviour.Logs) // those of earlier runs are not kept
		}
		lines = lines[max(0, len(lines)-tail):]
		return nil
	})
	return lines, err
}

// Exec runs a command: it ends with 0 in a container that is ready and well, else with 1.
func (e *Engine) Exec(ctx context.Context, name string, argv []string) (result state.ExecResult, err error) {
	err = e.read(ctx, "Engine.Exec", name+" "+strings.Join(argv, " "), func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		if !c.running() {
			return fmt.Errorf("container %s is not running: %w", c.name, state.ErrConflict)
		}
		b, up := c.image.Behaviour, time.Since(c.started)
		if b.status(up) >= 300 || up < b.Ready {
			result = state.ExecResult{Code: 1, Stderr: "not ready"}
		}
		return nil
	})
	return result, err
}

// ReadFile finds no file in any container but the proxy's, whose routes Proxy reads.
func (e *Engine) ReadFile(ctx context.Context, name, path string) ([]byte, error) {
	return nil, e.read(ctx, "Engine.ReadFile", name+" "+path, func(h *host) error {
		if _, err := h.container(name); err != nil {
			return err
		}
		return &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	})
}

// Networks lists the host's networks, sorted.
func (e *Engine) Networks(ctx context.Context) (list []state.Network, err error) {
	err = e.read(ctx, "Engine.Networks", "", func(h *host) error {
		for _, name := range slices.Sorted(maps.Keys(h.networks)) {
			list = append(list, state.Network{ID: h.networks[name], Name: name})
		}
		return nil
	})
	return list, err
}

// CreateNetwork makes a network; one that is there is no error.
func (e *Engine) CreateNetwork(ctx context.Context, name string) error {
	return e.mutate(ctx, "Engine.CreateNetwork", name, func(h *host) error {
		if _, ok := h.networks[name]; !ok {
			h.networks[name] = e.world.id(h.name, "network", name, h.count("network"))
		}
		return nil
	})
}

// ConnectNetwork attaches a container; one that is attached is no error.
func (e *Engine) ConnectNetwork(ctx context.Context, network, name string, _ []string) error {
	return e.mutate(ctx, "Engine.ConnectNetwork", network+" "+name, func(h *host) error {
		c, err := h.container(name)
		if err != nil {
			return err
		}
		if _, ok := h.networks[network]; !ok {
			return fmt.Errorf("network %s: %w", network, state.ErrNotFound)
		}
		if _, on := c.networks[network]; on {
			return nil
		}
		c.networks[network] = ""
		if c.running() {
			c.networks[network] = h.address(network)
			h.tell(c, time.Now(), state.ActionNetworkConnect, network)
		}
		return nil
	})
}

func (w *World) create(h *host, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (*container, error) {
	if err := h.nameFree(name); err != nil {
		return nil, err
	}
	image, err := h.image(spec.Image)
	if err != nil {
		return nil, err
	}
	pinned := func(digest string) bool { return strings.HasSuffix(digest, "@"+spec.Digest) }
	if spec.Digest != "" && image.id != spec.Digest && !slices.ContainsFunc(image.digests, pinned) {
		return nil, fmt.Errorf("%s is image %s here, and %s is wanted: %w", spec.Image, image.id, spec.Digest, state.ErrConflict)
	}
	if asked := spec.Options["platform"]; len(asked) > 0 && !strings.HasPrefix(image.runsOn()+"/", asked[0]+"/") {
		return nil, fmt.Errorf("image with reference %s was found but does not match the specified platform: wanted %s, actual: %s: %w", spec.Image, asked[0], image.runsOn(), state.ErrNotFound)
	}
	for _, secret := range slices.Sorted(maps.Keys(spec.Secrets)) {
		if _, ok := secrets[secret]; !ok {
			return nil, fmt.Errorf("container %s: there is no value for the secret %s", name, secret)
		}
	}
	if err := h.spend(containerTakes, "make container %s", name); err != nil {
		return nil, err
	}
	if b, other := image.Commands[strings.Join(spec.Cmd, " ")]; other {
		own := *image
		own.Behaviour, image = b, &own
	}
	c := &container{
		id: w.id(h.name, "container", h.count("container")), name: name, image: image, spec: spec,
		labels: maps.Clone(image.Labels), secrets: maps.Clone(secrets), networks: map[string]string{},
		status: state.StatusCreated, created: time.Now(),
	}
	c.spec.Options = maps.Clone(spec.Options)
	for _, volume := range volumesOf(spec) {
		h.volumes[volume] = true
	}
	for _, more := range []map[string]string{spec.Labels, labels} {
		for label, value := range more {
			c.labels = with(c.labels, label, value)
		}
	}
	if text := c.labels[state.LabelSpec]; text != "" {
		if asked, err := state.ParseSpec(text); err == nil {
			c.asked = &asked
		}
	}
	network := cmp.Or(spec.Network, "bridge")
	if network != "host" && network != "none" {
		c.networks[network] = ""
	}
	h.containers[c.id] = c
	h.order = append(h.order, c)
	c.bearer = bearerOf(c)
	h.tell(c, time.Now(), state.ActionCreate, "")
	return c, nil
}

func (h *host) start(c *container) error {
	if c.running() {
		return nil
	}
	for name := range c.networks {
		if _, ok := h.networks[name]; !ok {
			c.fault, c.exitCode = "network "+name+" not found", notStarted
			return fmt.Errorf("start container %s: %s: %w", c.name, c.fault, state.ErrNotFound)
		}
	}
	if holder := h.portHolder(c); holder != "" {
		c.fault, c.exitCode = "Bind failed: port is already allocated", notStarted
		h.tellNetworks(c, time.Now(), state.ActionNetworkDisconnect)
		return fmt.Errorf("start container %s: %s, by %s", c.name, c.fault, holder)
	}
	c.restarts, c.pause = 0, 0
	h.run(c, time.Now())
	return nil
}

// stop gives the time at which it will have ended.
func (h *host) stop(c *container, grace time.Duration) time.Time {
	now := time.Now()
	switch {
	case c.status == state.StatusRestarting:
		c.status = state.StatusExited
		c.byHand = true
		h.tell(c, now, state.ActionStop, "")
	case c.running():
		h.tell(c, now, state.ActionKill, "")
		c.byHand = true // from the first signal on: an engine that restarts meanwhile leaves it
		takes := cmp.Or(c.image.Behaviour.StopsIn, stopsIn)
		code := 0
		if c.image.Behaviour.IgnoresStop || takes > grace {
			takes, code = grace, 137
		}
		if ends := now.Add(takes); c.stopAt.IsZero() || ends.Before(c.stopAt) { // else an earlier stop ends it first
			c.stopAt, c.stopCode = ends, code
		}
		h.settleOne(c, now)
		if c.running() {
			return c.stopAt
		}
	}
	return now
}

func (h *host) nameFree(name string) error {
	for _, c := range h.containers {
		if c.name == name {
			return fmt.Errorf("the container name %s is in use by %s: %w", name, state.ShortID(c.id), state.ErrConflict)
		}
	}
	return nil
}

func (h *host) newestFirst() []*container {
	list := slices.Clone(h.order)
	slices.Reverse(list)
	return list
}

// discard takes a container away, whatever it does.
func (h *host) discard(c *container) {
	if c.running() {
		h.tell(c, time.Now(), state.ActionKill, "")
		h.tellEnd(c, time.Now(), 137)
	}
	h.tell(c, time.Now(), state.ActionDestroy, "")
	h.free += containerTakes
	delete(h.containers, c.id)
	h.order = slices.DeleteFunc(h.order, func(other *container) bool { return other == c })
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

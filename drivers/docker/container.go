package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Containers lists containers in any state, newest first, as far as the engine's list knows them.
func (e *Engine) Containers(ctx context.Context, f state.Filter) ([]state.Container, error) {
	filters := client.Filters{}
	if f.Name != "" {
		filters.Add("name", "^/"+regexp.QuoteMeta(f.Name)+"$")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Labels)) {
		filters.Add("label", name+"="+f.Labels[name])
	}
	result, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, e.failure(err, "list containers")
	}
	var all []state.Container
	for _, item := range result.Items {
		c := state.Container{
			ID:      item.ID,
			Name:    ownName(item.Names),
			ImageID: item.ImageID,
			Status:  state.Status(item.State),
			Created: time.Unix(item.Created, 0).UTC(),
		}
		if f.Name != "" && c.Name != f.Name {
			continue
		}
		label(&c, item.Labels)
		if item.NetworkSettings != nil {
			c.IPs = addresses(item.NetworkSettings.Networks)
		}
		all = append(all, c)
	}
	return all, nil
}

// Inspect looks at one container.
func (e *Engine) Inspect(ctx context.Context, name string, v state.View) (state.Container, error) {
	result, err := e.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return state.Container{}, e.failure(err, "inspect container %s", name)
	}
	return observe(result.Container, v), nil
}

// Create makes a container that is not started. A spec that pins an image is refused when its reference is another image here.
func (e *Engine) Create(ctx context.Context, name string, spec state.Spec, labels map[string]string, secrets map[string]release.Secret) (string, error) {
	api, err := e.api(ctx)
	if err != nil {
		return "", e.failure(err, "create container %s", name)
	}
	r, err := compile(spec, labels, secrets, api)
	if err != nil {
		return "", fmt.Errorf("%screate container %s: %w", e.prefix(), name, err)
	}
	if err := e.checkPin(ctx, spec); err != nil {
		return "", err
	}
	o := client.ContainerCreateOptions{Name: name, Config: &r.config, HostConfig: &r.host, Platform: platformOf(r.platform)}
	if endpoints := r.endpoints(); endpoints != nil {
		o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: endpoints}
	}
	created, err := e.client.ContainerCreate(ctx, o)
	if err != nil {
		return "", e.failure(err, "create container %s from %s", name, spec.Image)
	}
	if dropped := discarded(created.Warnings); len(dropped) > 0 {
		err := fmt.Errorf("%screate container %s: the engine has dropped what was asked for: %s: take it out of the options, or give the server what it needs",
			e.prefix(), name, strings.Join(dropped, " "))
		return "", errors.Join(err, e.Remove(context.WithoutCancel(ctx), created.ID))
	}
	return created.ID, nil
}

var saysDiscarded = regexp.MustCompile(`\bdiscarded\.?\s*\z`)

// discarded are the warnings by which an engine says that its kernel does not have a setting and it has dropped it; left so, it
// would be drift for ever.
func discarded(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(warning string) bool { return !saysDiscarded.MatchString(warning) })
}

func platformOf(text string) *ocispec.Platform {
	if text == "" {
		return nil
	}
	parts := append(strings.SplitN(text, "/", 3), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// Start starts a container; one that runs is left as it is.
func (e *Engine) Start(ctx context.Context, name string) error {
	err := e.unambiguous(ctx, func() error {
		_, err := e.client.ContainerStart(ctx, name, client.ContainerStartOptions{})
		return err
	})
	return e.failure(err, "start container %s", name)
}

// Stop asks with the container's own signal, waits grace (rounded up to whole seconds), then kills.
func (e *Engine) Stop(ctx context.Context, name string, grace time.Duration) error {
	seconds := wholeSeconds(max(0, grace))
	_, err := e.client.ContainerStop(ctx, name, client.ContainerStopOptions{Timeout: &seconds})
	return e.failure(err, "stop container %s", name)
}

// Rename gives a container another name; the one that it has already is no error.
func (e *Engine) Rename(ctx context.Context, name, to string) error {
	_, err := e.client.ContainerRename(ctx, name, client.ContainerRenameOptions{NewName: to})
	if err != nil && strings.Contains(err.Error(), "same name as its current name") {
		return nil
	}
	return e.failure(err, "rename container %s to %s", name, to)
}

// Update changes the resources and the restart policy of a container as it is. An option without a value goes back to the
// engine's default, where the engine can do that.
func (e *Engine) Update(ctx context.Context, name string, values map[string][]string) error {
	api, err := e.api(ctx)
	if err != nil {
		return e.failure(err, "update container %s", name)
	}
	o, err := update(values, api)
	if err != nil {
		return fmt.Errorf("%supdate container %s: %w", e.prefix(), name, err)
	}
	_, err = e.client.ContainerUpdate(ctx, name, o)
	if err != nil && o.Resources.MemorySwap == 0 && o.Resources.Memory > 0 && strings.Contains(err.Error(), "memoryswap") {
		// More memory than memory and swap were together: both grow, swap to what creation would have made it.
		o.Resources.MemorySwap = 2 * o.Resources.Memory
		_, err = e.client.ContainerUpdate(ctx, name, o)
	}
	return e.failure(err, "update container %s", name)
}

// Remove kills a container when it runs, and removes it. One that is gone is no error; one that somebody else is removing is
// waited for.
func (e *Engine) Remove(ctx context.Context, name string) error {
	_, err := e.client.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true})
	if errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") {
		return e.awaitGone(ctx, name)
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.failure(err, "remove container %s", name)
}

// api is the negotiated version; asking is a call only the first time.
func (e *Engine) api(ctx context.Context) (string, error) {
	e.negotiate.Lock()
	defer e.negotiate.Unlock()
	if !e.negotiated {
		if _, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return "", err
		}
		e.negotiated = true
	}
	return e.client.ClientVersion(), nil
}

// checkPin compares the image that a reference means here with the one that the spec was made for.
func (e *Engine) checkPin(ctx context.Context, spec state.Spec) error {
	if spec.Digest == "" {
		return nil
	}
	image, err := e.Image(ctx, spec.Image)
	if err != nil {
		return err
	}
	if image.ID != spec.Digest && !slices.ContainsFunc(image.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+spec.Digest) }) {
		return fmt.Errorf("%s%s is image %s here, and %s is wanted: somebody has moved the tag: %w", e.prefix(), spec.Image, image.ID, spec.Digest, state.ErrConflict)
	}
	return nil
}

func (e *Engine) awaitGone(ctx context.Context, name string) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := e.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return e.failure(err, "wait for the removal of container %s", name)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return e.failure(context.Cause(ctx), "wait for the removal of container %s", name)
		}
	}
}

// update makes the engine's form of the options that can be changed on a container as it is.
func update(values map[string][]string, api string) (client.ContainerUpdateOptions, error) {
	r := &request{}
	var problems []error
	for name, value := range values {
		switch name {
		case "memory", "memory-swap", "memory-reservation", "cpus", "cpu-shares", "cpuset-cpus", "pids-limit":
			if len(value) == 0 {
				value = standard(name, values)
			}
			if value == nil {
				problems = append(problems, fmt.Errorf("%s cannot be taken away from a container: it needs a new one", name))
				continue
			}
			problems = append(problems, r.apply(map[string][]string{name: value}, api)...)
		case "restart":
			if len(value) != 1 {
				problems = append(problems, fmt.Errorf("restart takes one value, not %d", len(value)))
				continue
			}
			var err error
			r.host.RestartPolicy, err = restartPolicy(value[0])
			problems = append(problems, err)
		default:
			problems = append(problems, fmt.Errorf("%s cannot be changed on a container: it needs a new one", name))
		}
	}
	return client.ContainerUpdateOptions{Resources: &r.host.Resources, RestartPolicy: &r.host.RestartPolicy}, errors.Join(problems...)
}

// standard is what an option is set to that nobody asks for any more; nil when the engine takes no value for that.
func standard(name string, values map[string][]string) []string {
	switch name {
	case "cpu-shares":
		return []string{"1024"}
	case "pids-limit":
		return []string{"-1"}
	case "memory-swap":
		r := &request{}
		if r.apply(map[string][]string{"memory": values["memory"]}, "") == nil && r.host.Memory > 0 {
			return []string{strconv.FormatInt(2*r.host.Memory, 10)}
		}
	}
	return nil
}

// ownName leaves out the names that links give.
func ownName(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

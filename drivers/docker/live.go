package docker

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/kamald/kamald/state"
)

// observe turns what the engine says of a container into the observed one. Only names and digests of the secrets come in.
func observe(r container.InspectResponse, v state.View) state.Container {
	c := state.Container{
		ID:           r.ID,
		Name:         strings.TrimPrefix(r.Name, "/"),
		ImageID:      r.Image,
		RestartCount: r.RestartCount,
		Created:      when(r.Created),
	}
	if s := r.State; s != nil {
		c.Status = state.Status(s.Status)
		c.ExitCode, c.OOMKilled, c.Error = s.ExitCode, s.OOMKilled, s.Error
		c.Started, c.Finished = when(s.StartedAt), when(s.FinishedAt)
		if s.Health != nil && s.Health.Status != container.NoHealthcheck {
			c.Health = string(s.Health.Status)
		}
	}
	l := live{id: r.ID, config: r.Config, host: r.HostConfig, platform: r.Platform}
	if d := r.ImageManifestDescriptor; d != nil && d.Platform != nil {
		l.platform = path.Join(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
	}
	if l.config == nil {
		l.config = &container.Config{}
	}
	if l.host == nil {
		l.host = &container.HostConfig{}
	}
	if r.NetworkSettings != nil {
		l.networks = r.NetworkSettings.Networks
	}
	c.IPs = addresses(l.networks)
	label(&c, l.config.Labels)
	if text := l.config.Labels[state.LabelSpec]; text != "" {
		// A label that does not parse was written by no kamald: then the container counts as one that it did not make.
		if asked, err := state.ParseSpec(text); err == nil {
			c.Asked = &asked
		}
	}
	c.Live = l.spec(c, v)
	return c
}

// label fills in what the labels say.
func label(c *state.Container, labels map[string]string) {
	c.Service = labels[state.LabelService]
	c.Role = labels[state.LabelRole]
	c.Destination = labels[state.LabelDestination]
	c.Exec = labels[state.LabelExec]
	c.Release, _ = strconv.Atoi(labels[state.LabelRelease]) // absent or foreign: 0, which is "not kamald's"
	c.Fence, _ = strconv.Atoi(labels[state.LabelFence])
	c.RunDir, c.Owner, c.Hook = labels[state.LabelRunDir], labels[state.LabelProxyOwner], labels[state.LabelHook]
	c.Accessory, c.Shared = labels[state.LabelAccessory], labels[state.LabelShared] == "true"
}

// spec reads the live spec, in the words that it was asked for in where they say the same.
func (l live) spec(c state.Container, v state.View) state.Spec {
	asked := state.Spec{}
	if c.Asked != nil {
		asked = *c.Asked
	}
	l.ours, l.asked = c.Asked != nil, asked.Options
	if !l.ours {
		l.asked = v.Options
	}
	s := state.Spec{
		Image:      l.config.Image,
		Digest:     c.ImageID,
		Cmd:        none(l.config.Cmd),
		Volumes:    none(l.host.Binds),
		Network:    l.networkName(),
		Restart:    restartText(l.host.RestartPolicy),
		LogDriver:  l.host.LogConfig.Type,
		StopSignal: l.config.StopSignal,
		Options:    l.options(),
	}
	s.Env, s.Secrets = redact(l.config.Env, c.Asked, v)
	for name, value := range l.config.Labels {
		if !strings.HasPrefix(name, "kamald.") {
			s.Labels = with(s.Labels, name, value)
		}
	}
	if len(l.host.LogConfig.Config) > 0 {
		s.LogOptions = maps.Clone(l.host.LogConfig.Config)
	}
	if l.config.StopTimeout != nil {
		s.StopGrace = time.Duration(*l.config.StopTimeout) * time.Second
	}
	if c.Asked != nil {
		asUsed(&s, asked)
	}
	return s
}

// asUsed words fields as they were asked for, where the engine's form says the same.
func asUsed(s *state.Spec, asked state.Spec) {
	if asked.Digest == "" {
		s.Digest = ""
	}
	if asked.LogDriver != "" || len(asked.LogOptions) > 0 {
		// The engine merges its own default options in when the driver is its default one.
		maps.DeleteFunc(s.LogOptions, func(name, _ string) bool { _, wanted := asked.LogOptions[name]; return !wanted })
		if len(s.LogOptions) == 0 {
			s.LogOptions = nil
		}
	}
	if asked.Restart == "" && s.Restart == string(container.RestartPolicyDisabled) {
		s.Restart = ""
	}
	if asked.StopGrace > 0 && time.Duration(wholeSeconds(asked.StopGrace))*time.Second == s.StopGrace {
		s.StopGrace = asked.StopGrace
	}
	if asked.StopSignal != "" && signalName(asked.StopSignal) == signalName(s.StopSignal) {
		s.StopSignal = asked.StopSignal
	}
}

func signalName(name string) string { return strings.TrimPrefix(strings.ToUpper(name), "SIG") }

// networkName is the network that the container is on: "" for the engine's default, and for one that was detached.
func (l live) networkName() string {
	mode := l.host.NetworkMode
	if !mode.IsUserDefined() {
		if mode.IsDefault() || mode == network.NetworkBridge {
			return ""
		}
		return string(mode)
	}
	if name := l.network(); name != "" {
		return name
	}
	names := slices.Sorted(maps.Keys(l.networks))
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func addresses(networks map[string]*network.EndpointSettings) map[string]string {
	var all map[string]string
	for name, endpoint := range networks {
		address := ""
		if endpoint != nil && endpoint.IPAddress.IsValid() {
			address = endpoint.IPAddress.String()
		}
		all = with(all, name, address)
	}
	return all
}

// when reads the engine's times; its zero time is none.
func when(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

func none(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

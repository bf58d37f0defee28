package docker

import (
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"

	"github.com/kamald/kamald/state"
)

// processOptions are about the process and what it sees.
var processOptions = map[string]option{
	"user":       text(func(c *container.Config, _ *container.HostConfig) *string { return &c.User }),
	"workdir":    text(func(c *container.Config, _ *container.HostConfig) *string { return &c.WorkingDir }),
	"domainname": text(func(c *container.Config, _ *container.HostConfig) *string { return &c.Domainname }),
	"runtime":    runtimeName(),
	"hostname":   hostname(),
	"entrypoint": entrypoint(),
	"init":       initProcess(),
	"read-only":  flag(func(h *container.HostConfig) *bool { return &h.ReadonlyRootfs }),
	"tmpfs":      pairs(func(h *container.HostConfig) *map[string]string { return &h.Tmpfs }, ":", false),
	"sysctl":     pairs(func(h *container.HostConfig) *map[string]string { return &h.Sysctls }, "=", true),
	"group-add":  list(func(h *container.HostConfig) *[]string { return &h.GroupAdd }, false),
	"pid":        mode(func(h *container.HostConfig) *container.PidMode { return &h.PidMode }),
	"ipc":        mode(func(h *container.HostConfig) *container.IpcMode { return &h.IpcMode }, "private", "shareable"),
	"cgroupns":   since("1.41", mode(func(h *container.HostConfig) *container.CgroupnsMode { return &h.CgroupnsMode }, "private", "host")),
	"annotation": since("1.43", pairs(func(h *container.HostConfig) *map[string]string { return &h.Annotations }, "=", true)),
}

// hostname is the container's ID when it is not set.
func hostname() option {
	o := text(func(c *container.Config, _ *container.HostConfig) *string { return &c.Hostname })
	o.get = func(l live) ([]string, bool) {
		name := l.config.Hostname
		return []string{name}, name == "" || name == state.ShortID(l.id) || l.host.NetworkMode.IsHost()
	}
	return o
}

// entrypoint is an argument vector.
func entrypoint() option {
	return option{
		set: func(r *request, values []string) error {
			r.config.Entrypoint = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) { return l.config.Entrypoint, len(l.config.Entrypoint) == 0 },
	}
}

// initProcess is what the engine is configured to do when it is not set.
func initProcess() option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			if err != nil {
				return err
			}
			on, err := strconv.ParseBool(text)
			r.host.Init = &on
			return err
		},
		get: func(l live) ([]string, bool) {
			if l.host.Init == nil {
				return []string{"false"}, true
			}
			return []string{strconv.FormatBool(*l.host.Init)}, false
		},
	}
}

// runtimeName is the engine's default, runc, when it is not set.
func runtimeName() option {
	o := text(func(_ *container.Config, h *container.HostConfig) *string { return &h.Runtime })
	o.get = func(l live) ([]string, bool) {
		return []string{l.host.Runtime}, l.host.Runtime == "" || l.host.Runtime == "runc"
	}
	return o
}

// mode is an option of a string type of the engine; standards are what engines fill in.
func mode[M ~string](at func(*container.HostConfig) *M, standards ...M) option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			*at(&r.host) = M(text)
			return err
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.host)
			return []string{string(value)}, value == "" || slices.Contains(standards, value)
		},
	}
}

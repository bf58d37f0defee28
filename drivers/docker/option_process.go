package docker

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/kamald/kamald/state"
)

// processOptions are about the process and what it sees.
var processOptions = map[string]option{
	"user":        text(func(c *container.Config, _ *container.HostConfig) *string { return &c.User }),
	"workdir":     text(func(c *container.Config, _ *container.HostConfig) *string { return &c.WorkingDir }),
	"domainname":  text(func(c *container.Config, _ *container.HostConfig) *string { return &c.Domainname }),
	"runtime":     text(func(_ *container.Config, h *container.HostConfig) *string { return &h.Runtime }, "runc"),
	"hostname":    hostname(),
	"entrypoint":  entrypoint(),
	"init":        initProcess(),
	"tty":         flag(func(c *container.Config, _ *container.HostConfig) *bool { return &c.Tty }),
	"interactive": flag(func(c *container.Config, _ *container.HostConfig) *bool { return &c.OpenStdin }),
	"group-add":   list(func(h *container.HostConfig) *[]string { return &h.GroupAdd }),
	"pid":         shared("pid", mode(func(h *container.HostConfig) *container.PidMode { return &h.PidMode })),
	"ipc":         shared("ipc", mode(func(h *container.HostConfig) *container.IpcMode { return &h.IpcMode }, "private", "shareable")),
	"uts":         mode(func(h *container.HostConfig) *container.UTSMode { return &h.UTSMode }),
	"cgroupns":    since("1.41", mode(func(h *container.HostConfig) *container.CgroupnsMode { return &h.CgroupnsMode }, "private", "host")),
	"isolation":   isolation(),
	"annotation":  since("1.43", pairs(func(h *container.HostConfig) *map[string]string { return &h.Annotations }, "=", true)),
	"platform":    since("1.41", imagePlatform()),
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

// entrypoint is an argument vector; one that is empty takes the image's away, and the engine shows none then.
func entrypoint() option {
	return option{
		set: func(r *request, values []string) error {
			r.config.Entrypoint = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) {
			if asked := l.asked["entrypoint"]; len(l.config.Entrypoint) == 0 && slices.Equal(asked, []string{""}) {
				return asked, false
			}
			return l.config.Entrypoint, len(l.config.Entrypoint) == 0
		},
	}
}

// initProcess is what the engine is configured to do when it is not set.
func initProcess() option {
	return option{
		set: func(r *request, values []string) error {
			on, err := strconv.ParseBool(values[0])
			r.host.Init = &on
			return err
		},
		get: func(l live) ([]string, bool) {
			if l.host.Init == nil {
				return nil, true
			}
			return []string{strconv.FormatBool(*l.host.Init)}, false
		},
	}
}

// imagePlatform is asked for beside the container. Engines before API 1.48 say no more of it than the system; then the rest is
// as it was asked for, for the engine has refused an image of another platform at creation.
func imagePlatform() option {
	return option{
		set: func(r *request, values []string) error {
			r.platform = values[0]
			return nil
		},
		get: func(l live) ([]string, bool) {
			asked := l.asked["platform"]
			if len(asked) == 1 && (l.platform == "" || strings.HasPrefix(asked[0]+"/", l.platform+"/") || strings.HasPrefix(l.platform+"/", asked[0]+"/")) {
				return asked, false
			}
			return []string{l.platform}, true
		},
	}
}

var otherContainer = regexp.MustCompile(`\Acontainer:[0-9a-f]{64}\z`)

// shared is a mode that may be another container's. The engine puts that container's ID for its name at creation and never
// follows the name again, so that a name counts as what it was then.
func shared(name string, o option) option {
	read := o.get
	o.get = func(l live) ([]string, bool) {
		values, unset := read(l)
		asked := l.asked[name]
		if len(values) == 1 && len(asked) == 1 && otherContainer.MatchString(values[0]) && strings.HasPrefix(asked[0], "container:") && !otherContainer.MatchString(asked[0]) {
			return asked, false
		}
		return values, unset
	}
	return o
}

// isolation is the same on Linux whether it is set or not.
func isolation() option {
	o := mode(func(h *container.HostConfig) *container.Isolation { return &h.Isolation })
	o.get = func(l live) ([]string, bool) { return []string{string(cmp.Or(l.host.Isolation, "default"))}, true }
	return o
}

// mode is an option of a string type of the engine; standards are what engines fill in.
func mode[M ~string](at func(*container.HostConfig) *M, standards ...M) option {
	return option{
		set: func(r *request, values []string) error {
			*at(&r.host) = M(values[0])
			return nil
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.host)
			if value == "" {
				return nil, true
			}
			return []string{string(value)}, slices.Contains(standards, value)
		},
	}
}

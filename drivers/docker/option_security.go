package docker

import (
	"errors"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// securityOptions are about what the process may do.
var securityOptions = map[string]option{
	"cap-add":      capabilities(func(h *container.HostConfig) *[]string { return &h.CapAdd }),
	"cap-drop":     capabilities(func(h *container.HostConfig) *[]string { return &h.CapDrop }),
	"privileged":   flag(func(h *container.HostConfig) *bool { return &h.Privileged }),
	"security-opt": securityOpt(),
	"userns":       mode(func(h *container.HostConfig) *container.UsernsMode { return &h.UsernsMode }),
	"uts":          mode(func(h *container.HostConfig) *container.UTSMode { return &h.UTSMode }),
}

// capabilities are known with and without CAP_, in any case.
func capabilities(at func(*container.HostConfig) *[]string) option {
	o := list(at, false)
	o.canon = func(values []string) []string {
		all := make([]string, len(values))
		for i, value := range values {
			all[i] = strings.TrimPrefix(strings.ToUpper(value), "CAP_")
		}
		return sorted(all)
	}
	return o
}

// securityOpt passes label, apparmor, seccomp and no-new-privileges on. The engine adds
// label=disable to containers that are privileged or share the host's processes.
func securityOpt() option {
	o := list(func(h *container.HostConfig) *[]string { return &h.SecurityOpt }, false)
	o.set = func(r *request, values []string) error {
		for _, value := range values {
			profile, found := strings.CutPrefix(value, "seccomp=")
			if found && profile != "unconfined" && profile != "builtin" && !strings.HasPrefix(profile, "{") {
				return errors.New("a seccomp profile must be given as its JSON, unconfined or builtin: the engine reads no file")
			}
		}
		r.host.SecurityOpt = slices.Clone(values)
		return nil
	}
	o.get = func(l live) ([]string, bool) {
		const added = "label=disable"
		values := l.host.SecurityOpt
		if (l.host.Privileged || l.host.PidMode.IsHost() || l.host.IpcMode.IsHost()) && !slices.Contains(l.asked["security-opt"], added) {
			values = slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == added })
		}
		return values, len(values) == 0
	}
	return o
}

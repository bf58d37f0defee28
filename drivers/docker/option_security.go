package docker

import (
	"slices"

	"github.com/moby/moby/api/types/container"
)

// securityOptions are about what the process may do.
var securityOptions = map[string]option{
	"cap-add":      list(func(h *container.HostConfig) *[]string { return &h.CapAdd }),
	"cap-drop":     list(func(h *container.HostConfig) *[]string { return &h.CapDrop }),
	"privileged":   flag(func(_ *container.Config, h *container.HostConfig) *bool { return &h.Privileged }),
	"security-opt": securityOpt(),
	"sysctl":       pairs(func(h *container.HostConfig) *map[string]string { return &h.Sysctls }, "=", true),
	"userns":       mode(func(h *container.HostConfig) *container.UsernsMode { return &h.UsernsMode }),
}

// systemPaths takes away what hides parts of /proc and /sys. It is the client's word; the engine is sent empty lists.
const systemPaths = "systempaths=unconfined"

// securityOpt passes label, apparmor, seccomp and no-new-privileges on. The engine adds label=disable to containers that are
// privileged or share the host's processes.
func securityOpt() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.SecurityOpt = slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == systemPaths })
			if slices.Contains(values, systemPaths) {
				r.host.MaskedPaths, r.host.ReadonlyPaths = []string{}, []string{}
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			const added = "label=disable"
			values := slices.Clone(l.host.SecurityOpt)
			if (l.host.Privileged || l.host.PidMode.IsHost() || l.host.IpcMode.IsHost()) && !slices.Contains(l.asked["security-opt"], added) {
				values = slices.DeleteFunc(values, func(value string) bool { return value == added })
			}
			if l.unmasked() {
				values = append(values, systemPaths)
			}
			return values, len(values) == 0
		},
	}
}

// unmasked tells whether nothing of /proc and /sys is hidden though the container is not privileged, or it was asked for.
func (l live) unmasked() bool {
	none := l.host.MaskedPaths != nil && len(l.host.MaskedPaths) == 0 && len(l.host.ReadonlyPaths) == 0
	return none && (!l.host.Privileged || slices.Contains(l.asked["security-opt"], systemPaths))
}

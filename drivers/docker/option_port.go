package docker

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// portOptions are about the container's ports.
var portOptions = map[string]option{
	"publish":     publish(),
	"publish-all": flag(func(_ *container.Config, h *container.HostConfig) *bool { return &h.PublishAllPorts }),
	"expose":      expose(),
}

// publish is [address:][host port:]container port[/protocol], one entry a port of the container.
func publish() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.PortBindings = network.PortMap{}
			for _, value := range values {
				i := strings.LastIndex(value, ":")
				port, err := network.ParsePort(value[i+1:])
				if err != nil {
					return err
				}
				binding, err := portBinding(value[:max(i, 0)])
				if err != nil {
					return err
				}
				r.expose(port)
				r.host.PortBindings[port] = append(r.host.PortBindings[port], binding)
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for port, bindings := range l.host.PortBindings {
				for _, b := range bindings {
					all = append(all, portText(port, b))
				}
			}
			return all, len(all) == 0
		},
	}
}

// portBinding reads what stands before the container's port: nothing, the host's port, or its address and port.
func portBinding(text string) (network.PortBinding, error) {
	i := strings.LastIndex(text, ":")
	binding := network.PortBinding{HostPort: text[i+1:]}
	if i < 0 {
		return binding, nil
	}
	var err error
	binding.HostIP, err = netip.ParseAddr(strings.Trim(text[:i], "[]"))
	return binding, err
}

func portText(port network.Port, b network.PortBinding) string {
	text := port.Port()
	switch {
	case b.HostIP.Is6():
		text = "[" + b.HostIP.String() + "]:" + b.HostPort + ":" + text
	case b.HostIP.IsValid():
		text = b.HostIP.String() + ":" + b.HostPort + ":" + text
	case b.HostPort != "":
		text = b.HostPort + ":" + text
	}
	return text + "/" + string(port.Proto())
}

// expose is port/protocol. The engine adds those that the image exposes, so that only what was asked for can be held to it.
func expose() option {
	return option{
		set: func(r *request, values []string) error {
			ports, err := each(values, network.ParsePort)
			for _, port := range ports {
				r.expose(port)
			}
			return err
		},
		get: func(l live) ([]string, bool) {
			var all []string
			asked := canonicalOr("expose", l.asked["expose"])
			for port := range l.config.ExposedPorts {
				_, published := l.host.PortBindings[port]
				if slices.Contains(asked, port.String()) || !l.ours && !published {
					all = append(all, port.String())
				}
			}
			return all, l.ours || len(all) == 0
		},
	}
}

func (r *request) expose(port network.Port) {
	if r.config.ExposedPorts == nil {
		r.config.ExposedPorts = network.PortSet{}
	}
	r.config.ExposedPorts[port] = struct{}{}
}

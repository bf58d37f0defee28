package docker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/go-connections/nat"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/kamald/kamald/state"
)

// networkOptions are about names, addresses and ports.
var networkOptions = map[string]option{
	"add-host":      addHost(),
	"dns":           dns(),
	"dns-search":    list(func(h *container.HostConfig) *[]string { return &h.DNSSearch }, true),
	"dns-option":    list(func(h *container.HostConfig) *[]string { return &h.DNSOptions }, true),
	"network-alias": aliases(),
	"publish":       publish(),
}

// addHost is name:address; name=address says the same.
func addHost() option {
	o := list(func(h *container.HostConfig) *[]string { return &h.ExtraHosts }, false)
	colons := func(values []string) []string {
		all := make([]string, len(values))
		for i, value := range values {
			all[i] = value
			if name, address, found := strings.Cut(value, "="); found {
				all[i] = name + ":" + address
			}
		}
		return all
	}
	o.set = func(r *request, values []string) error {
		r.host.ExtraHosts = colons(values)
		return nil
	}
	o.canon = func(values []string) []string { return sorted(colons(values)) }
	return o
}

func dns() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.DNS = nil
			for _, value := range values {
				address, err := netip.ParseAddr(value)
				if err != nil {
					return err
				}
				r.host.DNS = append(r.host.DNS, address)
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for _, address := range l.host.DNS {
				all = append(all, address.String())
			}
			return all, len(all) == 0
		},
	}
}

// aliases are names on the container's network. The engine adds the short ID by itself.
func aliases() option {
	return option{
		set: func(r *request, values []string) error {
			r.aliases = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) {
			endpoint := l.networks[l.network()]
			if endpoint == nil {
				return nil, true
			}
			own := slices.DeleteFunc(slices.Clone(endpoint.Aliases), func(name string) bool { return name == state.ShortID(l.id) })
			return own, len(own) == 0
		},
		canon: sorted,
	}
}

// network is the name of the network that the container was made on and is attached to; "" when it is on none of its own.
func (l live) network() string {
	mode := string(l.host.NetworkMode)
	if _, attached := l.networks[mode]; attached {
		return mode
	}
	for name, endpoint := range l.networks {
		if endpoint != nil && endpoint.NetworkID == mode {
			return name
		}
	}
	return ""
}

// publish is [address:][host port:]container port[/protocol], also with ranges.
func publish() option {
	return option{
		set: func(r *request, values []string) error {
			mappings, err := portMappings(values)
			if err != nil {
				return err
			}
			r.config.ExposedPorts, r.host.PortBindings = network.PortSet{}, network.PortMap{}
			for _, m := range mappings {
				port, err := network.ParsePort(string(m.Port))
				if err != nil {
					return err
				}
				binding := network.PortBinding{HostPort: m.Binding.HostPort}
				if m.Binding.HostIP != "" {
					if binding.HostIP, err = netip.ParseAddr(m.Binding.HostIP); err != nil {
						return err
					}
				}
				r.config.ExposedPorts[port] = struct{}{}
				r.host.PortBindings[port] = append(r.host.PortBindings[port], binding)
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for port, bindings := range l.host.PortBindings {
				for _, b := range bindings {
					address := ""
					if b.HostIP.IsValid() {
						address = b.HostIP.String()
					}
					all = append(all, portText(address, b.HostPort, port.Port(), string(port.Proto())))
				}
			}
			return all, len(all) == 0
		},
		canon: func(values []string) []string {
			mappings, err := portMappings(values)
			if err != nil {
				return sorted(values)
			}
			var all []string
			for _, m := range mappings {
				all = append(all, portText(m.Binding.HostIP, m.Binding.HostPort, m.Port.Port(), m.Port.Proto()))
			}
			return sorted(all)
		},
	}
}

func portMappings(values []string) ([]nat.PortMapping, error) {
	var all []nat.PortMapping
	for _, value := range values {
		mappings, err := nat.ParsePortSpec(value)
		if err != nil {
			return nil, err
		}
		all = append(all, mappings...)
	}
	return all, nil
}

// portText is the shortest form of a published port.
func portText(address, hostPort, port, protocol string) string {
	text := port
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	switch {
	case address != "":
		text = address + ":" + hostPort + ":" + port
	case hostPort != "":
		text = hostPort + ":" + port
	}
	if protocol != "tcp" {
		text += "/" + protocol
	}
	return text
}

// checkAliases refuses what the engine would refuse later in worse words.
func (r *request) checkAliases() error {
	mode := r.host.NetworkMode
	if len(r.aliases) > 0 && !mode.IsUserDefined() {
		return errors.New(`option "network-alias" needs a network of its own; the engine's default network knows no names`)
	}
	if mode.IsContainer() && len(r.host.PortBindings) > 0 {
		return fmt.Errorf("option \"publish\" cannot be used with network %q", mode)
	}
	return nil
}

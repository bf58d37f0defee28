package docker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/kamald/kamald/state"
)

// networkOptions are about names and addresses.
var networkOptions = merge(portOptions, map[string]option{
	"add-host":      addHost(),
	"dns":           ipAddresses(func(r *request) *[]netip.Addr { return &r.host.DNS }, func(l live) []netip.Addr { return l.host.DNS }),
	"dns-search":    list(func(h *container.HostConfig) *[]string { return &h.DNSSearch }),
	"dns-option":    list(func(h *container.HostConfig) *[]string { return &h.DNSOptions }),
	"network-alias": aliases(),
	"ip":            address(func(c *network.EndpointIPAMConfig) *netip.Addr { return &c.IPv4Address }),
	"ip6":           address(func(c *network.EndpointIPAMConfig) *netip.Addr { return &c.IPv6Address }),
	"link-local-ip": ipAddresses(func(r *request) *[]netip.Addr { return &r.ipam().LinkLocalIPs }, func(l live) []netip.Addr { return l.ipam().LinkLocalIPs }),
	"mac-address":   since("1.44", macAddress()),
	"link":          links(),
})

// addHost is name:address. Engines know host-gateway for their host's own address since 20.10.
func addHost() option {
	o := list(func(h *container.HostConfig) *[]string { return &h.ExtraHosts })
	o.sinceValue = func(value string) (string, string) {
		if strings.HasSuffix(value, ":host-gateway") {
			return "1.41", "host-gateway"
		}
		return "", ""
	}
	return o
}

// ipAddresses is a list of IP addresses.
func ipAddresses(at func(*request) *[]netip.Addr, of func(live) []netip.Addr) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(r), err = each(values, netip.ParseAddr)
			return err
		},
		get: func(l live) ([]string, bool) { return texts(of(l), netip.Addr.String), len(of(l)) == 0 },
	}
}

// address is an address on the container's network.
func address(at func(*network.EndpointIPAMConfig) *netip.Addr) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(r.ipam()), err = netip.ParseAddr(values[0])
			return err
		},
		get: func(l live) ([]string, bool) {
			ipam := l.ipam()
			if !at(&ipam).IsValid() {
				return nil, true
			}
			return []string{at(&ipam).String()}, false
		},
	}
}

func (r *request) ipam() *network.EndpointIPAMConfig {
	if r.endpoint.IPAMConfig == nil {
		r.endpoint.IPAMConfig = &network.EndpointIPAMConfig{}
	}
	return r.endpoint.IPAMConfig
}

func (l live) ipam() network.EndpointIPAMConfig {
	if endpoint := l.networks[l.network()]; endpoint != nil && endpoint.IPAMConfig != nil {
		return *endpoint.IPAMConfig
	}
	return network.EndpointIPAMConfig{}
}

// macAddress is told by an engine only as long as the container runs, and then whoever chose it.
func macAddress() option {
	return option{
		set: func(r *request, values []string) error {
			mac, err := net.ParseMAC(values[0])
			r.endpoint.MacAddress = network.HardwareAddr(mac)
			return err
		},
		get: func(l live) ([]string, bool) {
			if endpoint := l.networks[l.network()]; endpoint != nil && len(endpoint.MacAddress) > 0 {
				return []string{endpoint.MacAddress.String()}, true
			}
			return l.asked["mac-address"], true
		},
	}
}

// links are container[:name]. On a network of its own they are names on that; on the engine's default one they are links of the
// old kind, which the engine shows as /container:/own name/name.
func links() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.Links = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) {
			all := slices.Clone(l.host.Links)
			if endpoint := l.networks[l.network()]; endpoint != nil && len(endpoint.Links) > 0 {
				all = slices.Clone(endpoint.Links)
			}
			for i, link := range all {
				if target, path, old := strings.Cut(strings.TrimPrefix(link, "/"), ":/"); old {
					all[i] = target + ":" + path[strings.LastIndex(path, "/")+1:]
				}
			}
			return all, len(all) == 0
		},
	}
}

// aliases are names on the container's network. The engine adds the short ID by itself, and some add the host name.
func aliases() option {
	return option{
		set: func(r *request, values []string) error {
			r.endpoint.Aliases = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) {
			endpoint := l.networks[l.network()]
			if endpoint == nil {
				return nil, true
			}
			own := slices.DeleteFunc(slices.Clone(endpoint.Aliases), func(name string) bool {
				return name == state.ShortID(l.id) || name == l.config.Hostname && !slices.Contains(l.asked["network-alias"], name)
			})
			return own, len(own) == 0
		},
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

// endpoints is what the engine is sent for the container's network; nil when there is nothing to say.
func (r *request) endpoints() map[string]*network.EndpointSettings {
	if r.host.NetworkMode.IsUserDefined() {
		r.endpoint.Links = r.host.Links
	} else if r.endpoint.IPAMConfig == nil && len(r.endpoint.MacAddress) == 0 {
		return nil
	}
	return map[string]*network.EndpointSettings{string(r.host.NetworkMode): &r.endpoint}
}

// checkNetwork refuses what the engine would refuse later in worse words.
func (r *request) checkNetwork() error {
	mode := r.host.NetworkMode
	if len(r.endpoint.Aliases) > 0 && !mode.IsUserDefined() {
		return errors.New(`option "network-alias" needs a network of its own; the engine's default network knows no names`)
	}
	if mode.IsContainer() && len(r.host.PortBindings) > 0 {
		return fmt.Errorf("option \"publish\" cannot be used with network %q", mode)
	}
	return nil
}

package proxy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// ServiceInfo is what list says of a service. State is running, paused, stopped, or broken (see Error).
type ServiceInfo struct {
	Service      string       `json:"service"`
	Hosts        []string     `json:"hosts"` // "" is any host
	PathPrefixes []string     `json:"path_prefixes"`
	Targets      []TargetInfo `json:"targets"`
	State        string       `json:"state"`
	TLS          bool         `json:"tls"`
	Error        string       `json:"error,omitempty"`
}

// TargetInfo is what list says of a target. A single target is not checked after the switch and stays healthy.
type TargetInfo struct {
	Target   string `json:"target"`
	Healthy  bool   `json:"healthy"`
	InFlight int    `json:"in_flight"`
}

// List returns the services in the order of their names.
func (r *Router) List() []ServiceInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	infos := []ServiceInfo{}
	for _, name := range slices.Sorted(maps.Keys(r.services)) {
		infos = append(infos, r.services[name].info())
	}
	return infos
}

func (s *service) info() ServiceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := ServiceInfo{
		Service:      s.name,
		Hosts:        s.dep.options.Hosts,
		PathPrefixes: s.dep.options.PathPrefixes,
		Targets:      []TargetInfo{},
		State:        s.gate.State.String(),
		TLS:          s.dep.options.TLSEnabled,
	}
	if s.broken != nil {
		info.State, info.Error = "broken", s.broken.Error()
		for _, name := range s.dep.targetNames {
			info.Targets = append(info.Targets, TargetInfo{Target: name})
		}
		return info
	}
	for _, t := range s.dep.pool.targets {
		info.Targets = append(info.Targets, TargetInfo{t.name, t.healthy.Load(), len(t.leases())})
	}
	return info
}

// writeTable prints kamal-proxy's columns, always without colours.
func writeTable(w io.Writer, infos []ServiceInfo) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "Service\tHost\tPath\tTarget\tState\tTLS")
	for _, i := range infos {
		tls := "no"
		if i.TLS {
			tls = "yes"
		}
		hosts := strings.Join(i.Hosts, ",")
		if hosts == "" {
			hosts = "*"
		}
		targets := make([]string, len(i.Targets))
		for n, t := range i.Targets {
			targets[n] = t.Target
			if !t.Healthy {
				targets[n] += " (unhealthy)"
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Service, hosts, strings.Join(i.PathPrefixes, ","), strings.Join(targets, ","), i.State, tls)
	}
	return table.Flush()
}

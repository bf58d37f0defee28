package proxy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ServiceInfo is what list says of a service. State is running, paused, stopped, or broken (see Error); of inspect also
// deploying, when the first deploy of the service waits.
type ServiceInfo struct {
	Service      string       `json:"service"`
	Hosts        []string     `json:"hosts"` // "" is any host
	PathPrefixes []string     `json:"path_prefixes"`
	Targets      []TargetInfo `json:"targets"` // the writers first
	State        string       `json:"state"`
	TLS          bool         `json:"tls"`
	Rollout      *RolloutInfo `json:"rollout,omitempty"`
	Generation   uint64       `json:"generation"` // how many times targets were put in place
	Fence        uint64       `json:"fence,omitempty"`
	Error        string       `json:"error,omitempty"`

	Certificates []CertificateInfo `json:"certificates,omitempty"`
}

// RolloutInfo is what list says of a rollout. Without a split no request goes to its targets.
type RolloutInfo struct {
	Targets []TargetInfo `json:"targets"`
	Split   *Split       `json:"split,omitempty"`
}

// TargetInfo is what list says of a target. Since is the time of the last change of its health, Cause why it is
// unhealthy; LastProbe is missing until the first check of this run of the proxy.
type TargetInfo struct {
	Target    string       `json:"target"`
	Reader    bool         `json:"reader,omitempty"`
	Healthy   bool         `json:"healthy"`
	Since     time.Time    `json:"since,omitzero"`
	Cause     string       `json:"cause,omitempty"`
	LastProbe *ProbeResult `json:"last_probe,omitempty"`
	InFlight  int          `json:"in_flight"`
}

// List returns the services in the order of their names.
func (r *Router) List() []ServiceInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	infos := []ServiceInfo{}
	for _, name := range slices.Sorted(maps.Keys(r.services)) {
		infos = append(infos, r.info(r.services[name]))
	}
	return infos
}

// info is called with the router's lock held.
func (r *Router) info(s *service) ServiceInfo {
	now := s.now()
	info := ServiceInfo{
		Service:      s.name,
		Hosts:        now.dep.options.Hosts,
		PathPrefixes: now.dep.options.PathPrefixes,
		Targets:      []TargetInfo{},
		State:        now.gate.State.String(),
		TLS:          now.dep.options.TLSEnabled,
		Generation:   now.generation,
		Fence:        r.fences.of(s.name),
	}
	if info.TLS {
		info.Certificates = r.Certificates(s.name)
	}
	if now.broken != nil {
		info.State, info.Error = "broken", now.broken.Error()
		for _, name := range now.dep.targetNames {
			info.Targets = append(info.Targets, TargetInfo{Target: name})
		}
		for _, name := range now.dep.readerNames {
			info.Targets = append(info.Targets, TargetInfo{Target: name, Reader: true})
		}
		return info
	}
	info.Targets = now.dep.pool.info()
	if ro := now.rollout; ro != nil {
		info.Rollout = &RolloutInfo{ro.dep.pool.info(), ro.split}
	}
	return info
}

func (p *pool) info() []TargetInfo {
	infos := make([]TargetInfo, len(p.targets))
	for n, t := range p.targets {
		infos[n] = TargetInfo{Target: t.name, Reader: t.reader, InFlight: int(t.load())}
		t.health.info(&infos[n])
	}
	return infos
}

// writeTable prints kamal-proxy's columns, always without colours. What kamal-proxy does not know follows in columns of
// its own, and only where there is something to say.
func writeTable(w io.Writer, infos []ServiceInfo) error {
	rollouts := slices.ContainsFunc(infos, func(i ServiceInfo) bool { return i.Rollout != nil })
	causes := slices.ContainsFunc(infos, func(i ServiceInfo) bool { return i.cause() != "" })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(base, rollout, cause string) {
		if rollouts {
			base += "\t" + rollout
		}
		if causes {
			base += "\t" + cause
		}
		fmt.Fprintln(table, base)
	}
	row("Service\tHost\tPath\tTarget\tState\tTLS", "Rollout", "Cause")
	for _, i := range infos {
		hosts := strings.Join(i.Hosts, ",")
		if hosts == "" {
			hosts = "*"
		}
		base := []string{i.Service, hosts, strings.Join(i.PathPrefixes, ","), describeTargets(i.Targets), i.State, tlsText(i.TLS, i.Certificates)}
		row(strings.Join(base, "\t"), i.Rollout.describe(), i.cause())
	}
	return table.Flush()
}

func describeTargets(targets []TargetInfo) string {
	texts := make([]string, len(targets))
	for n, t := range targets {
		texts[n] = t.Target
		switch {
		case t.Reader && !t.Healthy:
			texts[n] += " (reader, unhealthy)"
		case t.Reader:
			texts[n] += " (reader)"
		case !t.Healthy:
			texts[n] += " (unhealthy)"
		}
	}
	return strings.Join(texts, ",")
}

func (i *RolloutInfo) describe() string {
	if i == nil {
		return "-"
	}
	var shares []string
	if p := i.Split; p != nil {
		shares = append(shares, fmt.Sprintf("%d%% by %s", p.Percent, p.By))
		if len(p.List) > 0 {
			shares = append(shares, fmt.Sprintf("%d listed", len(p.List)))
		}
		shares = append(shares, p.Headers...)
	} else {
		shares = append(shares, "not set")
	}
	return describeTargets(i.Targets) + " (" + strings.Join(shares, ", ") + ")"
}

// cause says in a line what is wrong with the service.
func (i ServiceInfo) cause() string {
	texts := []string{}
	if i.Error != "" {
		texts = append(texts, i.Error)
	}
	targets := i.Targets
	if i.Rollout != nil {
		targets = slices.Concat(targets, i.Rollout.Targets)
	}
	for _, t := range targets {
		if t.Cause != "" {
			texts = append(texts, fmt.Sprintf("%s since %s: %s", t.Target, t.Since.Format(time.RFC3339), t.Cause))
		}
	}
	return strings.Join(strings.Fields(strings.Join(texts, "; ")), " ")
}

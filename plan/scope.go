package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Scope is the part of an observation that a plan of the release depends on. Other services' routes, networks that the release
// does not use, the engine's version, and a health check that has not said unhealthy decide nothing: a neighbour's release makes
// no plan stale.
func Scope(desired release.Release, host state.Host) state.Host {
	host.Engine = state.Engine{Arch: host.Engine.Arch}
	host.Networks = filtered(host.Networks, func(n state.Network) bool {
		return n.Name == desired.Network || slices.ContainsFunc(desired.Accessories, func(a release.Accessory) bool { return a.Network == n.Name })
	})
	host.Proxy.Routes = filtered(host.Proxy.Routes, func(r state.Route) bool {
		return strings.HasPrefix(r.Name, desired.Service+"-") || besideRoute(desired, host, r.Name)
	})
	host.Proxy.Networks = filtered(host.Proxy.Networks, func(name string) bool { return name == desired.Network })
	host.Containers = filtered(host.Containers, func(c state.Container) bool { return c.Exec == "" })
	undecided := func(c state.Container) bool { return c.Health != "" && c.Health != "unhealthy" }
	if slices.ContainsFunc(host.Containers, undecided) {
		host.Containers = slices.Clone(host.Containers)
		for i, c := range host.Containers {
			if undecided(c) {
				host.Containers[i].Health = ""
			}
		}
	}
	return host
}

// filtered gives the elements that are kept; the same slice when all are.
func filtered[T any](list []T, keep func(T) bool) []T {
	if !slices.ContainsFunc(list, func(one T) bool { return !keep(one) }) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(one T) bool { return !keep(one) })
}

// kept is what a saved plan keeps of an observation: its scope, without clocks, counters, addresses and records.
func kept(desired release.Release, host state.Host) state.Host {
	host = Scope(desired, host)
	host.FreeBytes, host.DiskBytes, host.FreeIn, host.Fence, host.Record, host.SeenAt = 0, 0, "", 0, nil, time.Time{}
	host.Containers = slices.Clone(host.Containers)
	for i, c := range host.Containers {
		c.RestartCount, c.Started, c.Finished = 0, time.Time{}, time.Time{}
		if c.IPs != nil {
			attached := map[string]string{}
			for name := range c.IPs {
				attached[name] = ""
			}
			c.IPs = attached
		}
		host.Containers[i] = c
	}
	if host.Lock != nil {
		lock := *host.Lock
		lock.Renewed, lock.Lease = time.Time{}, 0
		host.Lock = &lock
	}
	return host
}

package docker

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/system"

	"github.com/kamald/kamald/state"
)

// abilities adds what an engine can and cannot do.
func abilities(engine state.Engine, info system.Info) state.Engine {
	engine.Rootless = slices.ContainsFunc(info.SecurityOptions, func(option string) bool { return strings.HasPrefix(option, "name=rootless") })
	engine.Lacks = lacks(info)
	return engine
}

// lacks are the options that the engine would drop with a warning, or refuse. Only an engine for Linux says what it has.
func lacks(info system.Info) []string {
	if info.OSType != "linux" {
		return nil
	}
	var lacking []string
	for _, limit := range []struct {
		has     bool
		options []string
	}{
		{info.MemoryLimit, []string{"memory", "memory-reservation", "memory-swap"}},
		{info.CPUCfsQuota, []string{"cpu-quota", "cpus"}},
		{info.CPUCfsPeriod, []string{"cpu-period"}},
		{info.CPUShares, []string{"cpu-shares"}},
		{info.CPUSet, []string{"cpuset-cpus", "cpuset-mems"}},
		{info.PidsLimit, []string{"pids-limit"}},
	} {
		if !limit.has {
			lacking = append(lacking, limit.options...)
		}
	}
	slices.Sort(lacking)
	return lacking
}

package docker

import (
	"strconv"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
)

// standardSharedMemory is the size of /dev/shm that engines give, unless configured otherwise.
const standardSharedMemory = 64 << 20

// resourceOptions are limits. Sizes are bytes in decimal, cpus are nano-CPUs.
var resourceOptions = map[string]option{
	"memory":             integer(func(h *container.HostConfig) *int64 { return &h.Memory }),
	"memory-reservation": integer(func(h *container.HostConfig) *int64 { return &h.MemoryReservation }),
	"memory-swap":        memorySwap(),
	"memory-swappiness":  optional(func(h *container.HostConfig) **int64 { return &h.MemorySwappiness }, -1),
	"shm-size":           integer(func(h *container.HostConfig) *int64 { return &h.ShmSize }, standardSharedMemory),
	"cpus":               integer(func(h *container.HostConfig) *int64 { return &h.NanoCPUs }),
	"cpu-shares":         integer(func(h *container.HostConfig) *int64 { return &h.CPUShares }),
	"cpu-period":         integer(func(h *container.HostConfig) *int64 { return &h.CPUPeriod }),
	"cpu-quota":          integer(func(h *container.HostConfig) *int64 { return &h.CPUQuota }),
	"cpu-rt-period":      integer(func(h *container.HostConfig) *int64 { return &h.CPURealtimePeriod }),
	"cpu-rt-runtime":     integer(func(h *container.HostConfig) *int64 { return &h.CPURealtimeRuntime }),
	"cpuset-cpus":        text(func(_ *container.Config, h *container.HostConfig) *string { return &h.CpusetCpus }),
	"cpuset-mems":        text(func(_ *container.Config, h *container.HostConfig) *string { return &h.CpusetMems }),
	"cgroup-parent":      text(func(_ *container.Config, h *container.HostConfig) *string { return &h.CgroupParent }),
	"pids-limit":         pidsLimit(),
	"ulimit":             ulimits(),
	"oom-score-adj":      oomScore(),
	"oom-kill-disable":   oomKillDisable(),
	"blkio-weight":       blockWeight(),
	"storage-opt":        pairs(func(h *container.HostConfig) *map[string]string { return &h.StorageOpt }, "=", true),
}

// memorySwap is memory and swap together; the engine makes it twice the memory when only that is given, and -1 on kernels that
// do not count swap.
func memorySwap() option {
	o := integer(func(h *container.HostConfig) *int64 { return &h.MemorySwap })
	o.get = func(l live) ([]string, bool) {
		value := l.host.MemorySwap
		return []string{strconv.FormatInt(value, 10)}, value == 0 || l.host.Memory > 0 && (value == 2*l.host.Memory || value == -1)
	}
	return o
}

// optional is a whole number that the engine tells from not set; standard says the same as not set.
func optional(at func(*container.HostConfig) **int64, standard int64) option {
	return option{
		set: func(r *request, values []string) error {
			n, err := strconv.ParseInt(values[0], 10, 64)
			*at(&r.host) = &n
			return err
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.host)
			if value == nil {
				value = &standard
			}
			return []string{strconv.FormatInt(*value, 10)}, *value == standard
		},
	}
}

// pidsLimit has no limit as 0, -1 and unset.
func pidsLimit() option {
	o := optional(func(h *container.HostConfig) **int64 { return &h.PidsLimit }, -1)
	read := o.get
	o.get = func(l live) ([]string, bool) {
		if l.host.PidsLimit != nil && *l.host.PidsLimit <= 0 {
			return []string{"-1"}, true
		}
		return read(l)
	}
	return o
}

func oomScore() option {
	return option{
		set: func(r *request, values []string) (err error) {
			r.host.OomScoreAdj, err = strconv.Atoi(values[0])
			return err
		},
		get: func(l live) ([]string, bool) {
			return []string{strconv.Itoa(l.host.OomScoreAdj)}, l.host.OomScoreAdj == 0
		},
	}
}

func oomKillDisable() option {
	return option{
		set: func(r *request, _ []string) error {
			on := true
			r.host.OomKillDisable = &on
			return nil
		},
		get: func(l live) ([]string, bool) {
			if l.host.OomKillDisable == nil || !*l.host.OomKillDisable {
				return nil, true
			}
			return []string{"true"}, false
		},
	}
}

func blockWeight() option {
	return option{
		set: func(r *request, values []string) error {
			weight, err := strconv.ParseUint(values[0], 10, 16)
			r.host.BlkioWeight = uint16(weight)
			return err
		},
		get: func(l live) ([]string, bool) {
			return []string{strconv.Itoa(int(l.host.BlkioWeight))}, l.host.BlkioWeight == 0
		},
	}
}

// ulimits are name=soft:hard.
func ulimits() option {
	return option{
		set: func(r *request, values []string) (err error) {
			r.host.Ulimits, err = each(values, units.ParseUlimit)
			return err
		},
		get: func(l live) ([]string, bool) {
			return texts(l.host.Ulimits, (*units.Ulimit).String), len(l.host.Ulimits) == 0
		},
	}
}

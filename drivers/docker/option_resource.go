package docker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
)

// standardSharedMemory is the size of /dev/shm that engines give, unless configured otherwise.
const standardSharedMemory = 64 << 20

// resourceOptions are limits. Sizes are bytes in decimal, cpus are nano-CPUs.
var resourceOptions = map[string]option{
	"memory":             integer(func(h *container.HostConfig) *int64 { return &h.Memory }, 0),
	"memory-reservation": integer(func(h *container.HostConfig) *int64 { return &h.MemoryReservation }, 0),
	"memory-swap":        memorySwap(),
	"shm-size":           integer(func(h *container.HostConfig) *int64 { return &h.ShmSize }, standardSharedMemory),
	"cpus":               integer(func(h *container.HostConfig) *int64 { return &h.NanoCPUs }, 0),
	"cpu-shares":         integer(func(h *container.HostConfig) *int64 { return &h.CPUShares }, 0),
	"cpu-period":         integer(func(h *container.HostConfig) *int64 { return &h.CPUPeriod }, 0),
	"cpu-quota":          integer(func(h *container.HostConfig) *int64 { return &h.CPUQuota }, 0),
	"cpuset-cpus":        text(func(_ *container.Config, h *container.HostConfig) *string { return &h.CpusetCpus }),
	"cpuset-mems":        text(func(_ *container.Config, h *container.HostConfig) *string { return &h.CpusetMems }),
	"pids-limit":         pidsLimit(),
	"ulimit":             ulimits(),
	"device":             devices(),
	"oom-score-adj":      oomScore(),
}

// memorySwap is memory and swap together; the engine makes it twice the memory when only that is given, and -1 on kernels that
// do not count swap.
func memorySwap() option {
	o := integer(func(h *container.HostConfig) *int64 { return &h.MemorySwap }, 0)
	o.get = func(l live) ([]string, bool) {
		value := l.host.MemorySwap
		return []string{strconv.FormatInt(value, 10)}, value == 0 || l.host.Memory > 0 && (value == 2*l.host.Memory || value == -1)
	}
	return o
}

// pidsLimit has no limit as 0, -1 and unset.
func pidsLimit() option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			if err != nil {
				return err
			}
			limit, err := strconv.ParseInt(text, 10, 64)
			r.host.PidsLimit = &limit
			return err
		},
		get: func(l live) ([]string, bool) {
			if l.host.PidsLimit == nil || *l.host.PidsLimit <= 0 {
				return []string{"0"}, true
			}
			return []string{strconv.FormatInt(*l.host.PidsLimit, 10)}, false
		},
		canon: func(values []string) []string {
			if slices.Equal(values, []string{"-1"}) {
				return []string{"0"}
			}
			return values
		},
	}
}

func oomScore() option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			if err != nil {
				return err
			}
			r.host.OomScoreAdj, err = strconv.Atoi(text)
			return err
		},
		get: func(l live) ([]string, bool) {
			return []string{strconv.Itoa(l.host.OomScoreAdj)}, l.host.OomScoreAdj == 0
		},
	}
}

// ulimits are name=soft[:hard].
func ulimits() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.Ulimits = nil
			for _, value := range values {
				limit, err := units.ParseUlimit(value)
				if err != nil {
					return err
				}
				r.host.Ulimits = append(r.host.Ulimits, limit)
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for _, limit := range l.host.Ulimits {
				all = append(all, limit.String())
			}
			return all, len(all) == 0
		},
		canon: func(values []string) []string {
			var all []string
			for _, value := range values {
				if limit, err := units.ParseUlimit(value); err == nil {
					value = limit.String()
				}
				all = append(all, value)
			}
			return sorted(all)
		},
	}
}

// devices are host[:container[:permissions]].
func devices() option {
	return option{
		set: func(r *request, values []string) error {
			r.host.Devices = nil
			for _, value := range values {
				d, err := device(value)
				if err != nil {
					return err
				}
				r.host.Devices = append(r.host.Devices, d)
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for _, d := range l.host.Devices {
				all = append(all, deviceText(d))
			}
			return all, len(all) == 0
		},
		canon: func(values []string) []string {
			var all []string
			for _, value := range values {
				if d, err := device(value); err == nil {
					value = deviceText(d)
				}
				all = append(all, value)
			}
			return sorted(all)
		},
	}
}

func device(value string) (container.DeviceMapping, error) {
	parts := strings.Split(value, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	permissions := func(s string) bool { return s != "" && strings.Trim(s, "rwm") == "" }
	switch {
	case parts[0] == "" || len(parts) > 3:
		return d, fmt.Errorf("%q is not host[:container[:permissions]]", value)
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && permissions(parts[1]):
		d.CgroupPermissions = parts[1]
	case len(parts) == 2:
		d.PathInContainer = parts[1]
	}
	if !permissions(d.CgroupPermissions) {
		return d, fmt.Errorf("%q: permissions are letters of rwm", value)
	}
	return d, nil
}

func deviceText(d container.DeviceMapping) string {
	return d.PathOnHost + ":" + d.PathInContainer + ":" + d.CgroupPermissions
}

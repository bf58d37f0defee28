package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
)

// cdiDriver takes devices by the names that their vendors' descriptions give them.
const cdiDriver = "cdi"

// deviceOptions are what of the server's devices a container gets, and how fast it may use them.
var deviceOptions = map[string]option{
	"device":             devices(),
	"gpus":               gpus(),
	"device-cgroup-rule": list(func(h *container.HostConfig) *[]string { return &h.DeviceCgroupRules }),
	"device-read-bps":    rates(func(h *container.HostConfig) *[]*blkiodev.ThrottleDevice { return &h.BlkioDeviceReadBps }),
	"device-write-bps":   rates(func(h *container.HostConfig) *[]*blkiodev.ThrottleDevice { return &h.BlkioDeviceWriteBps }),
	"device-read-iops":   rates(func(h *container.HostConfig) *[]*blkiodev.ThrottleDevice { return &h.BlkioDeviceReadIOps }),
	"device-write-iops":  rates(func(h *container.HostConfig) *[]*blkiodev.ThrottleDevice { return &h.BlkioDeviceWriteIOps }),
	"blkio-weight-device": {
		set: func(r *request, values []string) (err error) {
			r.host.BlkioWeightDevice, err = each(values, func(value string) (*blkiodev.WeightDevice, error) {
				path, text, _ := strings.Cut(value, ":")
				weight, err := strconv.ParseUint(text, 10, 16)
				return &blkiodev.WeightDevice{Path: path, Weight: uint16(weight)}, err
			})
			return err
		},
		get: func(l live) ([]string, bool) {
			return texts(l.host.BlkioWeightDevice, func(d *blkiodev.WeightDevice) string { return fmt.Sprintf("%s:%d", d.Path, d.Weight) }),
				len(l.host.BlkioWeightDevice) == 0
		},
	},
}

func rates(at func(*container.HostConfig) *[]*blkiodev.ThrottleDevice) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(&r.host), err = each(values, func(value string) (*blkiodev.ThrottleDevice, error) {
				path, text, _ := strings.Cut(value, ":")
				rate, err := strconv.ParseUint(text, 10, 64)
				return &blkiodev.ThrottleDevice{Path: path, Rate: rate}, err
			})
			return err
		},
		get: func(l live) ([]string, bool) {
			return texts(*at(l.host), func(d *blkiodev.ThrottleDevice) string { return fmt.Sprintf("%s:%d", d.Path, d.Rate) }), len(*at(l.host)) == 0
		},
	}
}

// devices are host:container:permissions, or CDI names, which go to the engine as a request.
func devices() option {
	return option{
		sinceValue: func(value string) (string, string) {
			if strings.HasPrefix(value, "/") {
				return "", ""
			}
			return "1.44", "a CDI name"
		},
		set: func(r *request, values []string) error {
			var names []string
			for _, value := range values {
				parts := strings.Split(value, ":")
				if !strings.HasPrefix(value, "/") {
					names = append(names, value)
					continue
				}
				r.host.Devices = append(r.host.Devices, container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[1], CgroupPermissions: parts[2]})
			}
			if len(names) > 0 {
				r.host.DeviceRequests = append(r.host.DeviceRequests, container.DeviceRequest{Driver: cdiDriver, DeviceIDs: names})
			}
			return nil
		},
		get: func(l live) ([]string, bool) {
			all := texts(l.host.Devices, func(d container.DeviceMapping) string {
				return d.PathOnHost + ":" + d.PathInContainer + ":" + d.CgroupPermissions
			})
			for _, request := range l.host.DeviceRequests {
				if request.Driver == cdiDriver {
					all = append(all, request.DeviceIDs...)
				}
			}
			return all, len(all) == 0
		},
	}
}

// gpus are requests to whoever drives such devices; those by CDI names are devices.
func gpus() option {
	return option{
		set: func(r *request, values []string) error {
			requests, err := each(values, gpuRequest)
			r.host.DeviceRequests = append(requests, r.host.DeviceRequests...)
			return err
		},
		get: func(l live) ([]string, bool) {
			asked := slices.DeleteFunc(slices.Clone(l.host.DeviceRequests), func(r container.DeviceRequest) bool { return r.Driver == cdiDriver })
			return texts(asked, gpuText), len(asked) == 0
		},
	}
}

// gpuRequest reads NAME=value with commas between. Docker asks for the capability "gpu" after whatever else is asked for.
func gpuRequest(value string) (container.DeviceRequest, error) {
	r := container.DeviceRequest{Options: map[string]string{}, Capabilities: [][]string{{"gpu"}}}
	fields, err := release.OptionFields(value)
	for _, field := range fields {
		switch name, value, _ := strings.Cut(field, "="); {
		case name == "driver":
			r.Driver = value
		case name == "count" && value == "all":
			r.Count = -1
		case name == "count":
			r.Count, err = strconv.Atoi(value)
		case name == "device":
			r.DeviceIDs = strings.Split(value, ",")
		case name == "capabilities":
			r.Capabilities = [][]string{append(strings.Split(value, ","), "gpu")}
		case name == "options":
			var pairs []string
			pairs, err = release.OptionFields(value)
			for _, pair := range pairs {
				name, value, _ := strings.Cut(pair, "=")
				r.Options[name] = value
			}
		default:
			return r, fmt.Errorf("%q is not understood", field)
		}
		if err != nil {
			return r, err
		}
	}
	return r, err
}

func gpuText(r container.DeviceRequest) string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+"="+value)
		}
	}
	add("driver", r.Driver)
	switch {
	case r.Count == -1:
		add("count", "all")
	case r.Count != 0:
		add("count", strconv.Itoa(r.Count))
	}
	add("device", strings.Join(r.DeviceIDs, ","))
	if len(r.Capabilities) == 1 {
		asked := r.Capabilities[0]
		if n := len(asked); n > 0 && asked[n-1] == "gpu" {
			asked = asked[:n-1]
		}
		add("capabilities", strings.Join(asked, ","))
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(r.Options)) {
		pairs = append(pairs, name+"="+r.Options[name])
	}
	if len(pairs) > 0 {
		add("options", release.OptionLine(pairs))
	}
	return release.OptionLine(fields)
}

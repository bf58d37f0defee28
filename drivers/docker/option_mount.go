package docker

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kamald/kamald/release"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
)

// mountOptions are about files and where they lie. Volumes have a place of their own in the spec.
var mountOptions = map[string]option{
	"read-only":     flag(func(_ *container.Config, h *container.HostConfig) *bool { return &h.ReadonlyRootfs }),
	"tmpfs":         pairs(func(h *container.HostConfig) *map[string]string { return &h.Tmpfs }, ":", false),
	"mount":         mounts(),
	"volume-driver": text(func(_ *container.Config, h *container.HostConfig) *string { return &h.VolumeDriver }),
	"volumes-from":  list(func(h *container.HostConfig) *[]string { return &h.VolumesFrom }),
}

// mounts are NAME=value with commas between, as docker run's --mount.
func mounts() option {
	return option{
		sinceValue: mountSince,
		set: func(r *request, values []string) (err error) {
			r.host.Mounts, err = each(values, parseMount)
			return err
		},
		get: func(l live) ([]string, bool) { return texts(l.host.Mounts, mountText), len(l.host.Mounts) == 0 },
	}
}

// mountSince is the newest thing that a mount needs of an engine.
func mountSince(value string) (version, what string) {
	fields, _ := release.OptionFields(value)
	newest := map[string]string{"bind-create-src": "1.42", "bind-recursive=writable": "1.44", "bind-recursive=readonly": "1.44", "volume-subpath": "1.45", "type=image": "1.48"}
	for _, field := range fields {
		name, _, _ := strings.Cut(field, "=")
		for _, part := range []string{name, field} {
			if v, ok := newest[part]; ok && (version == "" || older(version, v)) {
				version, what = v, part
			}
		}
	}
	return version, what
}

func parseMount(value string) (mount.Mount, error) {
	var m mount.Mount
	fields, err := release.OptionFields(value)
	if err != nil {
		return m, err
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		if err := mountPart(&m, name, value); err != nil {
			return m, err
		}
	}
	return m, nil
}

func mountPart(m *mount.Mount, name, value string) (err error) {
	switch kind, _, _ := strings.Cut(name, "-"); {
	case name == "type":
		m.Type = mount.Type(value)
	case name == "source":
		m.Source = value
	case name == "target":
		m.Target = value
	case name == "readonly":
		m.ReadOnly = true
	case name == "consistency":
		m.Consistency = mount.Consistency(value)
	case kind == "bind":
		bindPart(m, name, value)
	case kind == "volume":
		volumePart(m, name, value)
	case name == "image-subpath":
		m.ImageOptions = &mount.ImageOptions{Subpath: value}
	case kind == "tmpfs":
		err = tmpfsPart(m, name, value)
	default:
		err = fmt.Errorf("a mount has no %q", name)
	}
	return err
}

func bindPart(m *mount.Mount, name, value string) {
	if m.BindOptions == nil {
		m.BindOptions = &mount.BindOptions{}
	}
	switch name + "=" + value {
	case "bind-create-src=":
		m.BindOptions.CreateMountpoint = true
	case "bind-recursive=disabled":
		m.BindOptions.NonRecursive = true
	case "bind-recursive=writable":
		m.BindOptions.ReadOnlyNonRecursive = true
	case "bind-recursive=readonly":
		m.BindOptions.ReadOnlyForceRecursive = true
	default:
		m.BindOptions.Propagation = mount.Propagation(value)
	}
}

func volumePart(m *mount.Mount, name, value string) {
	if m.VolumeOptions == nil {
		m.VolumeOptions = &mount.VolumeOptions{}
	}
	o := m.VolumeOptions
	if name == "volume-driver" || name == "volume-opt" {
		if o.DriverConfig == nil {
			o.DriverConfig = &mount.Driver{}
		}
	}
	key, text, _ := strings.Cut(value, "=")
	switch name {
	case "volume-subpath":
		o.Subpath = value
	case "volume-nocopy":
		o.NoCopy = true
	case "volume-label":
		o.Labels = with(o.Labels, key, text)
	case "volume-driver":
		o.DriverConfig.Name = value
	case "volume-opt":
		o.DriverConfig.Options = with(o.DriverConfig.Options, key, text)
	}
}

func tmpfsPart(m *mount.Mount, name, value string) (err error) {
	if m.TmpfsOptions == nil {
		m.TmpfsOptions = &mount.TmpfsOptions{}
	}
	if name == "tmpfs-size" {
		m.TmpfsOptions.SizeBytes, err = strconv.ParseInt(value, 10, 64)
		return err
	}
	bits, err := strconv.ParseUint(value, 8, 32)
	m.TmpfsOptions.Mode = os.FileMode(bits) // the bits as they are, as docker sends them
	return err
}

// mountText writes a mount as it is asked for.
func mountText(m mount.Mount) string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+"="+value)
		}
	}
	flag := func(name string, on bool) {
		if on {
			fields = append(fields, name)
		}
	}
	add("type", string(m.Type))
	add("source", m.Source)
	add("target", m.Target)
	flag("readonly", m.ReadOnly)
	add("consistency", string(m.Consistency))
	if o := m.BindOptions; o != nil {
		add("bind-propagation", string(o.Propagation))
		flag("bind-recursive=disabled", o.NonRecursive)
		flag("bind-recursive=writable", o.ReadOnlyNonRecursive)
		flag("bind-recursive=readonly", o.ReadOnlyForceRecursive)
		flag("bind-create-src", o.CreateMountpoint)
	}
	if o := m.VolumeOptions; o != nil {
		add("volume-subpath", o.Subpath)
		flag("volume-nocopy", o.NoCopy)
		fields = append(fields, named("volume-label", o.Labels)...)
		if o.DriverConfig != nil {
			add("volume-driver", o.DriverConfig.Name)
			fields = append(fields, named("volume-opt", o.DriverConfig.Options)...)
		}
	}
	if m.ImageOptions != nil {
		add("image-subpath", m.ImageOptions.Subpath)
	}
	if o := m.TmpfsOptions; o != nil {
		flag(fmt.Sprintf("tmpfs-size=%d", o.SizeBytes), o.SizeBytes != 0)
		flag(fmt.Sprintf("tmpfs-mode=%o", uint32(o.Mode)), o.Mode != 0)
	}
	return release.OptionLine(fields)
}

func named(name string, values map[string]string) []string {
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fields = append(fields, name+"="+key+"="+values[key])
	}
	return fields
}

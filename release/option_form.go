package release

import (
	"fmt"
	"slices"
)

// optionForm is how the values of one option are written.
type optionForm struct {
	// read checks one value and writes it canonically: none when docker takes it for not given, several where one stands for
	// several (a range of ports). Its error goes on after the option's name: "is a size …, not …".
	read func(string) ([]string, error)
	many manyValues
	// key is what of a value may be given only once: the target of a mount. nil: the whole value, which may be repeated.
	key func(string) string
}

type manyValues int

const (
	justOne  manyValues = iota
	asSet               // several, order without meaning: sorted, each once
	inOrder             // several, in their order, each once
	verbatim            // several, as they stand
)

// optionForms is every option that a container's spec keeps, by docker's long name.
var optionForms = map[string]optionForm{
	// limits
	"memory":             one(readSize),
	"memory-reservation": one(readSize),
	"memory-swap":        one(readSwap),
	"memory-swappiness":  {read: readSwappiness},
	"shm-size":           one(readSize),
	"cpus":               one(nanoCPUs),
	"cpu-shares":         one(whole(0, 262144)),
	"cpu-period":         one(wholeOrZero(1000, 1000000)),
	"cpu-quota":          one(readQuota),
	"cpu-rt-period":      one(whole(0, maxInt)),
	"cpu-rt-runtime":     one(whole(0, maxInt)),
	"cpuset-cpus":        one(readCPUSet),
	"cpuset-mems":        one(readCPUSet),
	"pids-limit":         {read: readPids},
	"oom-kill-disable":   {read: readFlag},
	"oom-score-adj":      one(whole(-1000, 1000)),
	"blkio-weight":       one(wholeOrZero(10, 1000)),
	"cgroup-parent":      one(readText),
	"ulimit":             {read: alone(readUlimit), many: asSet, key: before("=")},
	"storage-opt":        {read: alone(readPair), many: asSet, key: before("=")},

	// devices
	"device":              {read: alone(readDevice), many: asSet},
	"device-cgroup-rule":  set(readDeviceRule),
	"device-read-bps":     {read: alone(readDeviceRate(readSize)), many: asSet, key: before(":")},
	"device-write-bps":    {read: alone(readDeviceRate(readSize)), many: asSet, key: before(":")},
	"device-read-iops":    {read: alone(readDeviceRate(whole(0, maxInt))), many: asSet, key: before(":")},
	"device-write-iops":   {read: alone(readDeviceRate(whole(0, maxInt))), many: asSet, key: before(":")},
	"blkio-weight-device": {read: alone(readDeviceRate(wholeOrZero(10, 1000))), many: asSet, key: before(":")},
	"gpus":                {read: alone(readGPUs), many: inOrder},

	// process
	"user":        one(readUser),
	"workdir":     one(readDirectory),
	"hostname":    one(readHostname),
	"domainname":  one(readText),
	"entrypoint":  {read: func(s string) ([]string, error) { return []string{s}, nil }, many: verbatim},
	"init":        one(readBool),
	"tty":         {read: readFlag},
	"interactive": {read: readFlag},
	"group-add":   set(readText),
	"runtime":     one(readText),
	"platform":    one(readPlatform),
	"pid":         one(mode("host", "container:")),
	"ipc":         one(mode("host", "none", "private", "shareable", "container:")),
	"uts":         one(mode("host")),
	"cgroupns":    one(mode("host", "private")),
	"isolation":   one(readIsolation),
	"annotation":  {read: alone(readPair), many: asSet, key: before("=")},

	// rights
	"privileged":   {read: readFlag},
	"cap-add":      set(readCapability),
	"cap-drop":     set(readCapability),
	"security-opt": set(readSecurity),
	"sysctl":       {read: alone(readSysctl), many: asSet, key: before("=")},
	"userns":       one(mode("host")),

	// files
	"read-only":     {read: readFlag},
	"tmpfs":         {read: alone(readTmpfs), many: asSet, key: before(":")},
	"mount":         {read: alone(readMount), many: asSet, key: mountTarget},
	"volume-driver": one(readText),
	"volumes-from":  {read: alone(readVolumesFrom), many: inOrder},

	// network
	"publish":       {read: readPublish, many: asSet},
	"publish-all":   {read: readFlag},
	"expose":        {read: readExpose, many: asSet},
	"add-host":      set(readHost),
	"dns":           {read: alone(readAddress), many: inOrder},
	"dns-option":    {read: alone(readText), many: inOrder},
	"dns-search":    {read: alone(readSearch), many: inOrder},
	"network-alias": set(readText),
	"ip":            one(readIPv4),
	"ip6":           one(readIPv6),
	"link-local-ip": set(readAddress),
	"mac-address":   one(readMAC),
	"link":          set(readLink),

	// docker's own check of health
	"health-cmd":            one(readText),
	"health-interval":       one(readInterval),
	"health-timeout":        one(readInterval),
	"health-start-period":   one(readInterval),
	"health-start-interval": one(readInterval),
	"health-retries":        one(whole(0, maxInt)),
	"no-healthcheck":        {read: readFlag},
}

// alone is a value that stands for one.
func alone(read func(string) (string, error)) func(string) ([]string, error) {
	return func(s string) ([]string, error) {
		canonical, err := read(s)
		if err != nil {
			return nil, err
		}
		return []string{canonical}, nil
	}
}

func one(read func(string) (string, error)) optionForm { return optionForm{read: alone(read)} }

func set(read func(string) (string, error)) optionForm {
	return optionForm{read: alone(read), many: asSet}
}

// together puts the canonical values of one option in order; given is how many were written.
func (f optionForm) together(all []string, given int) ([]string, error) {
	switch f.many {
	case justOne:
		if given != 1 {
			return nil, fmt.Errorf("takes one value, not %d", given)
		}
		return all, nil
	case verbatim:
		return all, nil
	case asSet:
		all = slices.Compact(slices.Sorted(slices.Values(all)))
	case inOrder:
		var kept []string
		for _, value := range all {
			if !slices.Contains(kept, value) {
				kept = append(kept, value)
			}
		}
		all = kept
	}
	if f.key == nil {
		return all, nil
	}
	first := map[string]string{}
	for _, value := range all {
		key := f.key(value)
		if other, twice := first[key]; twice {
			return nil, fmt.Errorf("says two things of %s: %q and %q", key, other, value)
		}
		first[key] = value
	}
	return all, nil
}

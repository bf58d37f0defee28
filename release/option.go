package release

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// defaultRestart is the restart policy of a container that says nothing of it.
const defaultRestart = "unless-stopped"

var restartPolicy = regexp.MustCompile(`\A(?:no|always|unless-stopped|on-failure(?::[0-9]+)?)\z`)

// optionKind is how the values of a docker option are written canonically.
type optionKind int

const (
	optionUnbuilt optionKind = iota // docker knows it, this build does not set it
	optionText
	optionSet   // several, order without meaning: sorted
	optionList  // several, in their order
	optionFlag  // "true", or nothing
	optionMaybe // "true" or "false", which the engine tells from not set
	optionSize  // bytes
	optionSwap  // bytes, or -1
	optionCPUs  // nano-CPUs
	optionInt
	optionUlimit
	optionRestart
	optionOurs // kamald decides it
)

// dockerOption is every long option of `docker run`, and how this build takes it.
var dockerOption = map[string]optionKind{
	"memory": optionSize, "memory-swap": optionSwap, "memory-reservation": optionSize, "shm-size": optionSize, "cpus": optionCPUs,
	"cpu-shares": optionInt, "cpuset-cpus": optionText, "cap-add": optionSet, "cap-drop": optionSet, "user": optionText,
	"init": optionMaybe, "read-only": optionFlag, "privileged": optionFlag, "add-host": optionSet, "dns": optionList,
	"publish": optionSet, "tmpfs": optionSet, "security-opt": optionSet, "sysctl": optionSet, "network-alias": optionSet,
	"pids-limit": optionInt, "ulimit": optionUlimit, "device": optionSet, "workdir": optionText, "entrypoint": optionText,
	"hostname": optionText, "restart": optionRestart,

	"attach": optionOurs, "cidfile": optionOurs, "detach": optionOurs, "detach-keys": optionOurs, "help": optionOurs,
	"interactive": optionOurs, "name": optionOurs, "pull": optionOurs, "quiet": optionOurs, "rm": optionOurs, "sig-proxy": optionOurs,

	"annotation": 0, "blkio-weight": 0, "blkio-weight-device": 0, "cgroup-parent": 0, "cgroupns": 0, "cpu-count": 0,
	"cpu-percent": 0, "cpu-period": 0, "cpu-quota": 0, "cpu-rt-period": 0, "cpu-rt-runtime": 0, "cpuset-mems": 0,
	"device-cgroup-rule": 0, "device-read-bps": 0, "device-read-iops": 0, "device-write-bps": 0, "device-write-iops": 0,
	"disable-content-trust": 0, "dns-opt": 0, "dns-option": 0, "dns-search": 0, "domainname": 0, "env": 0, "env-file": 0, "expose": 0,
	"gpus": 0, "group-add": 0, "health-cmd": 0, "health-interval": 0, "health-retries": 0, "health-start-interval": 0,
	"health-start-period": 0, "health-timeout": 0, "io-maxbandwidth": 0, "io-maxiops": 0, "ip": 0, "ip6": 0, "ipc": 0, "isolation": 0,
	"kernel-memory": 0, "label": 0, "label-file": 0, "link": 0, "link-local-ip": 0, "log-driver": 0, "log-opt": 0, "mac-address": 0,
	"memory-swappiness": 0, "mount": 0, "net": 0, "net-alias": 0, "network": 0, "no-healthcheck": 0, "oom-kill-disable": 0,
	"oom-score-adj": 0, "pid": 0, "platform": 0, "publish-all": 0, "runtime": 0, "stop-signal": 0, "stop-timeout": 0, "storage-opt": 0,
	"tty": 0, "use-api-socket": 0, "userns": 0, "uts": 0, "volume": 0, "volume-driver": 0, "volumes-from": 0,
}

// dockerOptions are a block's options, canonical.
type dockerOptions struct {
	kept    map[string][]string // nil when there are none
	restart string
}

// compileOptions checks `options` and writes them as state.Spec keeps them.
func (c *compiler) compileOptions(v *value, title string) dockerOptions {
	options := dockerOptions{restart: defaultRestart}
	for _, name := range v.keys() {
		rng := v.rangeOf(name)
		kind, known := dockerOption[name]
		switch {
		case !known:
			c.errorf(rng, "Unknown option", "docker run has no option %q.%s", name, didYouMean(strings.ReplaceAll(name, "_", "-"), optionNames()))
			continue
		case kind == optionOurs:
			c.errorf(rng, "Option not allowed", "%s is decided by kamald and cannot stand in options.", name)
			continue
		case kind == optionUnbuilt:
			c.addUnbuilt(fmt.Sprintf("%s.options.%s", title, name), rng, whenPlan)
			continue
		}
		if slices.ContainsFunc(v.dict[name], func(t text) bool { return t.unknown }) {
			continue
		}
		values, problem := canonical(kind, v.dict[name])
		switch {
		case problem != "":
			c.errorf(rng, "Bad option", "%s %s.", name, problem)
		case kind == optionRestart:
			options.restart = values[0]
		case len(values) > 0:
			if options.kept == nil {
				options.kept = map[string][]string{}
			}
			options.kept[name] = values
		}
	}
	return options
}

func optionNames() []string {
	var names []string
	for name := range dockerOption {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// canonical writes an option's values in the one way that state.Spec keeps them, or says what is wrong.
func canonical(kind optionKind, given []text) (values []string, problem string) {
	several := kind == optionSet || kind == optionList || kind == optionUlimit
	if !several && len(given) != 1 {
		return nil, fmt.Sprintf("takes one value, not %d", len(given))
	}
	for _, t := range given {
		s, problem := canonicalOne(kind, t.s)
		if problem != "" {
			return nil, problem
		}
		if s != "" && !slices.Contains(values, s) {
			values = append(values, s)
		}
	}
	if kind == optionSet || kind == optionUlimit {
		slices.Sort(values)
	}
	return values, ""
}

func canonicalOne(kind optionKind, s string) (string, string) {
	switch kind {
	case optionFlag, optionMaybe:
		if s != "true" && s != "false" {
			return "", fmt.Sprintf("is true or false, not %q", s)
		}
		if kind == optionFlag && s == "false" {
			return "", ""
		}
	case optionSize, optionSwap:
		if kind == optionSwap && s == "-1" {
			return s, ""
		}
		n, err := units.RAMInBytes(s)
		if err != nil || n < 0 {
			return "", fmt.Sprintf("is a size such as \"512m\" or \"2g\", not %q", s)
		}
		return strconv.FormatInt(n, 10), ""
	case optionCPUs:
		return nanoCPUs(s)
	case optionInt:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return "", fmt.Sprintf("is a whole number, not %q", s)
		}
		return strconv.FormatInt(n, 10), ""
	case optionUlimit:
		limit, err := units.ParseUlimit(s)
		if err != nil {
			return "", fmt.Sprintf("is name=soft[:hard], such as \"nofile=1024:2048\", not %q", s)
		}
		return limit.String(), ""
	case optionRestart:
		if s == "on-failure:0" {
			return "on-failure", "" // what the engine makes of it
		}
		if !restartPolicy.MatchString(s) {
			return "", fmt.Sprintf("is \"no\", \"always\", \"unless-stopped\" or \"on-failure[:N]\", not %q", s)
		}
	default:
		if s == "" {
			return "", "is empty"
		}
	}
	return s, ""
}

var cpuCount = regexp.MustCompile(`\A[0-9]{0,6}(?:\.[0-9]{1,9})?\z`)

// nanoCPUs writes a number of CPUs as billionths, which is what the engine keeps.
func nanoCPUs(s string) (string, string) {
	n, ok := new(big.Rat).SetString(s)
	if !cpuCount.MatchString(s) || !ok || n.Sign() <= 0 {
		return "", fmt.Sprintf("is a number of CPUs such as 2 or 0.5, not %q", s)
	}
	n.Mul(n, big.NewRat(1_000_000_000, 1))
	return n.Num().String(), ""
}

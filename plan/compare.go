package plan

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Updatable are the options that the engine changes on a container that runs, so that drift of them needs no new container.
var Updatable = []string{"memory", "memory-swap", "memory-reservation", "cpus", "cpu-shares", "cpuset-cpus", "pids-limit"}

// unasked are options whose presence is drift although nobody asked for them: they widen or narrow what the container may do.
var unasked = append([]string{"cap-add", "privileged"}, Updatable...)

// diff is what differs between two specs that were asked for: before and after a change.
func diff(before, after state.Spec) []Field {
	var d differ
	d.text("image", before.Image, after.Image)
	if before.Digest != "" && after.Digest != "" && before.Image == after.Image {
		d.text("image digest", before.Digest, after.Digest)
	}
	d.list("cmd", before.Cmd, after.Cmd)
	d.pairs("env ", before.Env, after.Env, func(name string) bool { return injected[name] })
	d.secrets(before.Secrets, after.Secrets, true)
	d.pairs("label ", before.Labels, after.Labels, nil)
	d.list("volumes", withoutSets(before), withoutSets(after))
	d.text("network", before.Network, after.Network)
	d.text("restart", before.Restart, after.Restart)
	d.text("log driver", before.LogDriver, after.LogDriver)
	d.pairs("log option ", before.LogOptions, after.LogOptions, nil)
	d.text("stop signal", before.StopSignal, after.StopSignal)
	d.text("stop grace", span(before.StopGrace), span(after.StopGrace))
	d.options(before.Options, after.Options, nil)
	d.files(before.Files, after.Files)
	return d.fields
}

// drift is what differs between what was asked for and what is live, on the fields that were asked for. What the image itself
// brings is not drift, nor is what the engine fills in.
func drift(asked state.Spec, c state.Container, image state.Image) []Field {
	var d differ
	live := c.Live
	if asked.Digest != "" && image.ID != "" && !bears(image, asked.Digest) {
		d.text("image digest", asked.Digest, identity(image))
	}
	if asked.Cmd != nil {
		d.list("cmd", asked.Cmd, live.Cmd)
	} else if image.Inspected && len(asked.Options["entrypoint"]) == 0 { // an entrypoint of one's own drops the image's command
		d.list("cmd", image.Cmd, live.Cmd)
	}
	d.liveEnv(asked, live, image)
	d.subset("label ", asked.Labels, live.Labels)
	d.list("volumes", slices.Sorted(slices.Values(asked.Volumes)), slices.Sorted(slices.Values(live.Volumes)))
	if _, attached := c.IPs[asked.Network]; asked.Network != "" && !attached {
		d.text("network", asked.Network, "")
	}
	d.text("restart", asked.Restart, live.Restart)
	if asked.LogDriver != "" {
		d.text("log driver", asked.LogDriver, live.LogDriver)
		d.pairs("log option ", asked.LogOptions, live.LogOptions, nil)
	}
	if asked.StopSignal != "" {
		d.text("stop signal", asked.StopSignal, live.StopSignal)
	}
	d.options(asked.Options, withoutImage(asked, live.Options, image), unasked)
	return d.fields
}

// withoutImage leaves out the ports that the image exposes by itself.
func withoutImage(asked state.Spec, live map[string][]string, image state.Image) map[string][]string {
	ports, own := live["expose"], func(port string) bool {
		number, tcp := strings.CutSuffix(port, "/tcp")
		n, err := strconv.Atoi(number)
		return tcp && err == nil && slices.Contains(image.Ports, n) && !slices.Contains(asked.Options["expose"], port)
	}
	if !slices.ContainsFunc(ports, own) {
		return live
	}
	live = maps.Clone(live)
	live["expose"] = slices.DeleteFunc(slices.Clone(ports), own)
	return live
}

// inPlace tells whether the engine can put the drift right without another container: it sets limits, and takes few away.
func inPlace(asked state.Spec, fields []Field) bool {
	for _, f := range fields {
		option, isOption := strings.CutPrefix(f.Path, "option ")
		switch {
		case f.Path == "network":
		case !isOption || !slices.Contains(Updatable, option):
			return false
		case len(asked.Options[option]) > 0 || option == "cpu-shares" || option == "pids-limit":
		case option == "memory-swap" && len(asked.Options["memory"]) > 0:
		default:
			return false
		}
	}
	return true
}

// bears tells whether the image is the pinned one.
func bears(image state.Image, pin string) bool {
	return image.ID == pin || slices.ContainsFunc(image.Digests, func(d string) bool { return strings.HasSuffix(d, "@"+pin) })
}

// identity is how an image is best named to a person.
func identity(image state.Image) string {
	if len(image.Digests) > 0 {
		_, digest, _ := strings.Cut(image.Digests[0], "@")
		return digest
	}
	return image.ID
}

// differ collects fields in a stable order.
type differ struct{ fields []Field }

func (d *differ) text(path, before, after string) {
	if before != after {
		d.fields = append(d.fields, Field{Path: path, Before: before, After: after})
	}
}

func (d *differ) list(path string, before, after []string) {
	if !slices.Equal(before, after) {
		d.fields = append(d.fields, Field{Path: path, Before: words(before), After: words(after)})
	}
}

func (d *differ) pairs(prefix string, before, after map[string]string, skip func(string) bool) {
	for _, name := range names(before, after) {
		if skip != nil && skip(name) {
			continue
		}
		b, hadIt := before[name]
		a, hasIt := after[name]
		if hadIt != hasIt || a != b {
			d.fields = append(d.fields, Field{Path: prefix + name, Before: present(b, hadIt), After: present(a, hasIt)})
		}
	}
}

// subset compares only what was asked for.
func (d *differ) subset(prefix string, asked, live map[string]string) {
	for _, name := range names(asked) {
		value, there := live[name]
		if !there || value != asked[name] {
			d.fields = append(d.fields, Field{Path: prefix + name, Before: present(asked[name], true), After: present(value, there)})
		}
	}
}

// secrets compares by digest and shows no value. A digest that is not known compares equal.
func (d *differ) secrets(before, after map[string]string, both bool) {
	for _, name := range names(before, after) {
		b, hadIt := before[name]
		a, hasIt := after[name]
		switch {
		case hadIt && !hasIt && both:
			d.fields = append(d.fields, Field{Path: "secret " + name, Before: "(secret)"})
		case !hadIt && hasIt && both:
			d.fields = append(d.fields, Field{Path: "secret " + name, After: "(secret)"})
		case hadIt && !hasIt:
			d.fields = append(d.fields, Field{Path: "secret " + name, Before: "(secret)"})
		case hadIt && hasIt && !state.SameSecret(a, b):
			d.fields = append(d.fields, Field{Path: "secret " + name, Before: "(secret)", After: "(another secret)"})
		}
	}
}

// liveEnv compares the environment of a container that runs. The driver keeps no value of a name that is not known to be
// clear, so an added variable shows as a name only.
func (d *differ) liveEnv(asked, live state.Spec, image state.Image) {
	d.subset("env ", asked.Env, live.Env)
	d.secrets(asked.Secrets, only(live.Secrets, asked.Secrets), false)
	for _, name := range names(live.Env, live.Secrets) {
		_, clear := asked.Env[name]
		_, secret := asked.Secrets[name]
		_, own := image.Env[name]
		if !clear && !secret && !own && image.Inspected {
			d.fields = append(d.fields, Field{Path: "env " + name, After: "(added by hand)"})
		}
	}
}

// options compares canonical options: all of them, or when extra is given those asked for and those in extra.
func (d *differ) options(before, after map[string][]string, extra []string) {
	all := map[string]bool{}
	for name := range before {
		all[name] = true
	}
	for name := range after {
		if extra == nil || slices.Contains(extra, name) {
			all[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !sameOption(name, before[name], after[name]) {
			d.fields = append(d.fields, Field{Path: "option " + name, Before: option(name, before[name]), After: option(name, after[name])})
		}
	}
}

// sameOption compares what the values mean: a container that another version of kamald made may bear them in other words.
func sameOption(name string, a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	first, err := release.CanonicalOption(name, a)
	second, other := release.CanonicalOption(name, b)
	return err == nil && other == nil && len(a) > 0 && len(b) > 0 && slices.Equal(first, second)
}

// names is the sorted union of the maps' keys.
func names(all ...map[string]string) []string {
	n := 0
	for _, m := range all {
		n += len(m)
	}
	union := make([]string, 0, n)
	for _, m := range all {
		for name := range m {
			union = append(union, name)
		}
	}
	slices.Sort(union)
	return slices.Compact(union)
}

// only keeps the entries of m whose names are in by.
func only(m, by map[string]string) map[string]string {
	kept := map[string]string{}
	for name, value := range m {
		if _, ok := by[name]; ok {
			kept[name] = value
		}
	}
	return kept
}

func present(value string, there bool) string {
	if there && value == "" {
		return `""`
	}
	return value
}

func words(list []string) string { return strings.Join(list, " ") }

func span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// option writes canonical values as a person would: sizes in the largest unit that fits, CPUs as a number.
func option(name string, values []string) string {
	if name == "security-opt" {
		values = shortProfiles(values)
	}
	if len(values) != 1 {
		return strings.Join(values, ", ")
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	switch {
	case err != nil:
		return values[0]
	case name == "cpus":
		return strconv.FormatFloat(float64(n)/1e9, 'f', -1, 64)
	case strings.HasPrefix(name, "memory") || name == "shm-size":
		return size(n)
	}
	return values[0]
}

// shortProfiles has a digest for each seccomp profile, which is a long file.
func shortProfiles(values []string) []string {
	short := slices.Clone(values)
	for i, value := range short {
		if profile, found := strings.CutPrefix(value, "seccomp={"); found {
			short[i] = fmt.Sprintf("seccomp=(profile %.8x)", sha256.Sum256([]byte("{"+profile)))
		}
	}
	return short
}

func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "g"}, {1 << 20, "m"}, {1 << 10, "k"}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", n/unit.bytes, unit.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

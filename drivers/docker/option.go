package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/kamald/kamald/release"
)

// option translates one `docker run` option, both ways. Its values are in the canonical form of release.CanonicalOption.
type option struct {
	since string // the API version that knows it; "" for every one that this client speaks
	// sinceValue is the version that knows one value, and what of it is new; "" for every one. nil: no value needs more.
	sinceValue func(value string) (version, what string)
	// set puts the values into what is sent to the engine.
	set func(r *request, values []string) error
	// get reads the effective values; unset tells that they are what the engine fills in by itself.
	get func(l live) (values []string, unset bool)
}

// request is what is sent to the engine at creation.
type request struct {
	config   container.Config
	host     container.HostConfig
	endpoint network.EndpointSettings // of the container's network
	platform string                   // os/architecture[/variant]; "": the image's own
}

// live is what the engine says of a container.
type live struct {
	id       string
	config   *container.Config
	host     *container.HostConfig
	networks map[string]*network.EndpointSettings
	platform string              // as far as the engine tells it
	ours     bool                // it bears the label of its spec: what was asked for is known
	asked    map[string][]string // the options of the spec's label
}

// options is every option that is understood. One that is not here is refused at creation, by name.
var options = merge(resourceOptions, deviceOptions, processOptions, networkOptions, mountOptions, securityOptions, healthOptions)

func merge(tables ...map[string]option) map[string]option {
	all := map[string]option{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

// apply puts options into a request, in the order of their names.
func (r *request) apply(values map[string][]string, api string) []error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := r.applyOne(name, values[name], api); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

func (r *request) applyOne(name string, values []string, api string) error {
	o, known := options[name]
	canonical, err := release.CanonicalOption(name, values)
	switch {
	case !known:
		return fmt.Errorf("option %q is not understood; known are %s", name, strings.Join(slices.Sorted(maps.Keys(options)), ", "))
	case o.since != "" && older(api, o.since):
		return fmt.Errorf("option %q needs engine API %s, and this engine speaks %s: it would drop it silently", name, o.since, api)
	case err != nil:
		return fmt.Errorf("option %s = %q: %w", name, values, err)
	case len(canonical) == 0: // what docker takes for not given
		return nil
	}
	for _, value := range canonical {
		if o.sinceValue == nil {
			break
		}
		if version, what := o.sinceValue(value); older(api, version) {
			return fmt.Errorf("option %q with %s needs engine API %s, and this engine speaks %s: it would drop or refuse it", name, what, version, api)
		}
	}
	if err := o.set(r, canonical); err != nil {
		return fmt.Errorf("option %s = %q: %w", name, values, err)
	}
	return nil
}

// options reads a container's options in the form that they were asked for in, where they say the same; what the engine filled
// in by itself is left out unless it was asked for.
func (l live) options() map[string][]string {
	var found map[string][]string
	for name, o := range options {
		values, unset := o.get(l)
		canonical := canonicalOr(name, values)
		if want, wanted := l.asked[name]; wanted {
			unset = false
			if slices.Equal(canonical, canonicalOr(name, want)) {
				canonical = want
			}
		}
		if !unset && len(canonical) > 0 {
			if found == nil {
				found = map[string][]string{}
			}
			found[name] = canonical
		}
	}
	return found
}

// canonicalOr leaves values as they are that have no canonical form: an engine may say what nobody can ask for.
func canonicalOr(name string, values []string) []string {
	if canonical, err := release.CanonicalOption(name, values); err == nil {
		return canonical
	}
	return slices.Clone(values)
}

// older compares API versions, such as 1.41 and 1.9.
func older(api, than string) bool {
	a, b := versionOf(api), versionOf(than)
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

func versionOf(text string) [2]int {
	major, minor, _ := strings.Cut(strings.TrimPrefix(text, "v"), ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(minor)
	return [2]int{a, b}
}

// integer is an option that is one whole number at one place; standards are what the engine fills in when it is not set.
func integer(at func(*container.HostConfig) *int64, standards ...int64) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(&r.host), err = strconv.ParseInt(values[0], 10, 64)
			return err
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.host)
			return []string{strconv.FormatInt(value, 10)}, value == 0 || slices.Contains(standards, value)
		},
	}
}

// text is an option that is one string at one place; standards are what the engine fills in when it is not set.
func text(at func(*container.Config, *container.HostConfig) *string, standards ...string) option {
	return option{
		set: func(r *request, values []string) error {
			*at(&r.config, &r.host) = values[0]
			return nil
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.config, l.host)
			if value == "" {
				return nil, true
			}
			return []string{value}, slices.Contains(standards, value)
		},
	}
}

// flag is an option that is true, or not set.
func flag(at func(*container.Config, *container.HostConfig) *bool) option {
	return option{
		set: func(r *request, values []string) error {
			*at(&r.config, &r.host) = true // false is not among the canonical values
			return nil
		},
		get: func(l live) ([]string, bool) {
			if *at(l.config, l.host) {
				return []string{"true"}, false
			}
			return nil, true
		},
	}
}

// list is an option that may be given several times.
func list(at func(*container.HostConfig) *[]string) option {
	return option{
		set: func(r *request, values []string) error {
			*at(&r.host) = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) { return *at(l.host), len(*at(l.host)) == 0 },
	}
}

// pairs is an option of several NAME<separator>value at one place; a name may be without a value where it is not needed.
func pairs(at func(*container.HostConfig) *map[string]string, separator string, valueNeeded bool) option {
	return option{
		set: func(r *request, values []string) error {
			all := map[string]string{}
			for _, entry := range values {
				name, value, _ := strings.Cut(entry, separator)
				all[name] = value
			}
			*at(&r.host) = all
			return nil
		},
		get: func(l live) ([]string, bool) {
			var all []string
			for name, value := range *at(l.host) {
				if value != "" || valueNeeded {
					name += separator + value
				}
				all = append(all, name)
			}
			return all, len(all) == 0
		},
	}
}

// each makes a list of one thing of each value.
func each[T any](values []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, value := range values {
		one, err := parse(value)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// texts writes each thing of a list.
func texts[T any](all []T, text func(T) string) []string {
	var written []string
	for _, one := range all {
		written = append(written, text(one))
	}
	return written
}

// since marks an option that engines before an API version drop silently.
func since(version string, o option) option {
	o.since = version
	return o
}

package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// option translates one `docker run` option, both ways.
type option struct {
	since string // the API version that knows it; "" for every one
	// set puts the values into what is sent to the engine.
	set func(r *request, values []string) error
	// get reads the effective values; unset tells that they are what the engine fills in by itself.
	get func(l live) (values []string, unset bool)
	// canon makes values comparable; nil when they are as they stand.
	canon func(values []string) []string
}

// request is what is sent to the engine at creation.
type request struct {
	config  container.Config
	host    container.HostConfig
	aliases []string
}

// live is what the engine says of a container.
type live struct {
	id       string
	config   *container.Config
	host     *container.HostConfig
	networks map[string]*network.EndpointSettings
	asked    map[string][]string // the options of the spec's label
}

// options is every option that is understood. One that is not here is refused at creation, by name.
var options = merge(resourceOptions, processOptions, networkOptions, securityOptions)

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
		o, known := options[name]
		switch {
		case !known:
			problems = append(problems, fmt.Errorf("option %q is not understood; known are %s", name, strings.Join(slices.Sorted(maps.Keys(options)), ", ")))
		case o.since != "" && older(api, o.since):
			problems = append(problems, fmt.Errorf("option %q needs engine API %s, and this engine speaks %s: it would drop it silently", name, o.since, api))
		default:
			if err := o.set(r, values[name]); err != nil {
				problems = append(problems, fmt.Errorf("option %s = %q: %w", name, values[name], err))
			}
		}
	}
	return problems
}

// options reads a container's options in the form that they were asked for in, where they say the same; what the engine filled
// in by itself is left out unless it was asked for.
func (l live) options() map[string][]string {
	var found map[string][]string
	for name, o := range options {
		values, unset := o.get(l)
		canon := values
		if o.canon != nil {
			canon = o.canon(values)
		}
		want, wanted := l.asked[name]
		if wanted {
			canonWant := want
			if o.canon != nil {
				canonWant = o.canon(want)
			}
			if slices.Equal(canon, canonWant) {
				canon, unset = want, false
			}
		}
		if !unset {
			if found == nil {
				found = map[string][]string{}
			}
			found[name] = canon
		}
	}
	return found
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

// one takes the only value of an option.
func one(values []string) (string, error) {
	if len(values) != 1 {
		return "", fmt.Errorf("it takes one value, not %d", len(values))
	}
	return values[0], nil
}

// sorted is for lists whose order means nothing.
func sorted(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// integer is an option that is one whole number at one place; standard is what the engine fills in when it is not set.
func integer(at func(*container.HostConfig) *int64, standard int64) option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			if err != nil {
				return err
			}
			*at(&r.host), err = strconv.ParseInt(text, 10, 64)
			return err
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.host)
			return []string{strconv.FormatInt(value, 10)}, value == 0 || value == standard
		},
	}
}

// text is an option that is one string at one place.
func text(at func(*container.Config, *container.HostConfig) *string) option {
	return option{
		set: func(r *request, values []string) (err error) {
			*at(&r.config, &r.host), err = one(values)
			return err
		},
		get: func(l live) ([]string, bool) {
			value := *at(l.config, l.host)
			return []string{value}, value == ""
		},
	}
}

// flag is an option that is true or false, and false when not set.
func flag(at func(*container.HostConfig) *bool) option {
	return option{
		set: func(r *request, values []string) error {
			text, err := one(values)
			if err != nil {
				return err
			}
			*at(&r.host), err = strconv.ParseBool(text)
			return err
		},
		get: func(l live) ([]string, bool) {
			return []string{strconv.FormatBool(*at(l.host))}, !*at(l.host)
		},
	}
}

// list is an option that may be given several times; ordered tells whether the order means something.
func list(at func(*container.HostConfig) *[]string, ordered bool) option {
	o := option{
		set: func(r *request, values []string) error {
			*at(&r.host) = slices.Clone(values)
			return nil
		},
		get: func(l live) ([]string, bool) { return *at(l.host), len(*at(l.host)) == 0 },
	}
	if !ordered {
		o.canon = sorted
	}
	return o
}

// pairs is an option of several NAME<separator>value at one place.
func pairs(at func(*container.HostConfig) *map[string]string, separator string, valueNeeded bool) option {
	return option{
		set: func(r *request, values []string) error {
			all := map[string]string{}
			for _, entry := range values {
				name, value, found := strings.Cut(entry, separator)
				if name == "" || valueNeeded && !found {
					return fmt.Errorf("%q is not name%svalue", entry, separator)
				}
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
		canon: sorted,
	}
}

// since marks an option that engines before an API version drop silently.
func since(version string, o option) option {
	o.since = version
	return o
}

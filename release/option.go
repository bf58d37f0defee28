package release

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// defaultRestart is the restart policy of a container that says nothing of it.
const defaultRestart = "unless-stopped"

// CanonicalOption writes an option of `docker run` in the one way that state.Spec keeps it: bytes, billionths of a CPU, sorted
// lists, one entry a port. What is canonical stays as it is; no values are what docker takes for not given. The name must be
// one that OptionNames lists. A seccomp profile is JSON here, never a file's name.
func CanonicalOption(name string, values []string) ([]string, error) {
	form, ok := optionForms[name]
	if !ok {
		return nil, fmt.Errorf("option %q is not understood.%s", name, didYouMean(strings.ReplaceAll(name, "_", "-"), OptionNames()))
	}
	var all []string
	for _, value := range values {
		read, err := form.read(value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", name, err)
		}
		all = append(all, read...)
	}
	all, err := form.together(all, len(values))
	if err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return all, nil
}

// OptionNames are the options of `docker run` that a container's spec keeps, sorted. Those that mean the same as another
// setting (label, volume) are not among them: they become that setting.
func OptionNames() []string { return slices.Sorted(maps.Keys(optionForms)) }

// OptionPlace says where an option of `docker run`, by its long name, stands in deploy.hcl: "options", or the setting that has
// its place, such as "network". place is "" where it stands nowhere, and why says the reason. known is false when docker run
// has no such option.
func OptionPlace(name string) (place, why string, known bool) {
	if other, ok := optionAlias[name]; ok {
		name = other
	}
	if _, ok := optionForms[name]; ok {
		return "options", "", true
	}
	if _, ok := mergedOptions[name]; ok {
		return "options", "", true
	}
	refused, known := refusedOptions[name]
	return refused.place, refused.why, known
}

// dockerOptions are a block's options.
type dockerOptions struct {
	kept   map[string][]string // canonical; nil when there are none
	merged map[string][]text   // those that mean the same as another setting, as they are written
	rng    hcl.Range
}

// compileOptions checks `options` and writes them as state.Spec keeps them.
func (c *compiler) compileOptions(v *value, title string) dockerOptions {
	var options dockerOptions
	if v != nil {
		options.rng = v.rng
	}
	given := map[string]string{} // by the name that docker has for the same
	for _, written := range v.keys() {
		rng, name := v.rangeOf(written), written
		if other, ok := optionAlias[written]; ok {
			name = other
		}
		if first, twice := given[name]; twice {
			c.errorf(rng, "Option twice", "%s and %s are two names of one option of docker run; keep one of them.", first, written)
			continue
		}
		given[name] = written
		values := c.profiles(name, v.dict[written])
		known := !slices.ContainsFunc(values, func(t text) bool { return t.unknown })
		form, kept := optionForms[name]
		_, merged := mergedOptions[name]
		switch {
		case kept && known:
			options.keep(name, c.canonical(name, form, values, rng))
		case merged && known:
			if options.merged == nil {
				options.merged = map[string][]text{}
			}
			options.merged[name] = values
		case !kept && !merged:
			c.refuseOption(written, title, rng)
		}
	}
	c.checkTogether(v, options.kept)
	return options
}

func (o *dockerOptions) keep(name string, values []string) {
	if len(values) == 0 {
		return
	}
	if o.kept == nil {
		o.kept = map[string][]string{}
	}
	o.kept[name] = values
}

// canonical reports every bad value at its own place.
func (c *compiler) canonical(name string, form optionForm, given []text, rng hcl.Range) []string {
	var all []string
	bad := false
	for _, t := range given {
		read, err := form.read(t.s)
		if err != nil {
			c.errorf(t.rng, "Bad option", "%s", sentence(name, err))
			bad = true
		}
		all = append(all, read...)
	}
	if bad {
		return nil
	}
	all, err := form.together(all, len(given))
	if err != nil {
		c.errorf(rng, "Bad option", "%s", sentence(name, err))
	}
	return all
}

// sentence ends what goes on after an option's name; a question is an end already.
func sentence(name string, err error) string {
	text := name + " " + err.Error()
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// profiles puts the content of a seccomp profile in the place of its file's name, as docker does: the file lies where kamald
// runs, beside deploy.hcl.
func (c *compiler) profiles(name string, values []text) []text {
	if name != "security-opt" {
		return values
	}
	values = slices.Clone(values)
	for i, t := range values {
		path, found := seccompFile(t.s)
		if !found || t.unknown {
			continue
		}
		values[i].s = "seccomp={}"
		if c.lenient {
			continue // what files hold is not known, and that is no error
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.path), path)
		}
		data, err := c.opts.ReadFile(path)
		if err != nil {
			c.errorf(t.rng, "Bad option", "security-opt names a seccomp profile that cannot be read on this machine: %v.", err)
			continue
		}
		values[i].s = "seccomp=" + string(data)
	}
	return values
}

// refuseOption says why an option cannot stand there, or that there is none of the name.
func (c *compiler) refuseOption(name, title string, rng hcl.Range) {
	if long, ok := shortOptions[name]; ok {
		where := "write " + long
		if _, why, _ := OptionPlace(long); why != "" {
			where = "that is " + long + ": " + why
		}
		c.errorf(rng, "Unknown option", "options go by their long names: %s is short; %s.", name, where)
		return
	}
	refused, known := refusedOptions[name]
	switch {
	case !known:
		c.errorf(rng, "Unknown option", "docker run has no option %q.%s", name, didYouMean(strings.ReplaceAll(name, "_", "-"), allOptions()))
	case refused.place != "":
		c.errorf(rng, "Option elsewhere", "%s cannot stand in the options of %s: %s.", name, title, refused.why)
	default:
		c.errorf(rng, "Option not allowed", "%s cannot stand in options: %s.", name, refused.why)
	}
}

// allOptions is every long option that docker run has.
func allOptions() []string {
	all := slices.Concat(OptionNames(), slices.Collect(maps.Keys(mergedOptions)), slices.Collect(maps.Keys(refusedOptions)))
	slices.Sort(all)
	return all
}

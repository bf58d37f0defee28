package release

import (
	"slices"

	"github.com/kamald/kamald/state"
)

// Outline is what can be said of a file without git, secrets, the environment and other files, and however wrong the rest of it is.
type Outline struct {
	App          state.App
	Destinations []string
	Hosts        []string
	Roles        []string
	Accessories  []string
	Aliases      []Alias
}

// ReadOutline reads what a file has, with a destination laid over it where there is such a one. Of opts it uses Destination, ReadFile
// and ReadDir.
func ReadOutline(path string, opts Options) Outline {
	opts.Git, opts.Commands = nil, nil
	l := newLoader(path, opts)
	l.lenient = true
	var o Outline
	base, ok := l.parse(path)
	if !ok {
		return o
	}
	v := &view{}
	for _, other := range l.destinations(base) {
		o.Destinations = append(o.Destinations, other.name)
		if other.name == opts.Destination {
			v = other
		}
	}
	ctx := l.context(base, v.name, v.over)
	v.root = l.decode(base.body, deploySpec, ctx)
	if v.over != nil {
		v.own = l.decode(v.over.body, destinationSpec, ctx)
		v.root = overlay(v.root, v.own)
	}
	o.App = state.App{Service: v.root.get("service").text(), Destination: v.name}
	o.Roles, o.Accessories = v.root.labels("role"), v.root.labels("accessory")
	o.Hosts = v.root.labels("host")
	for _, kind := range []string{"role", "accessory"} {
		for _, b := range v.root.children(kind) {
			hosts, _ := v.hostsOf(b)
			o.Hosts = append(o.Hosts, hosts...)
		}
	}
	o.Hosts = unique(o.Hosts)
	c := newCompiler(l, v, []*view{v})
	c.compileAliases()
	o.Aliases = c.rel.Aliases
	return o
}

// unique keeps the first of each.
func unique(list []string) []string {
	var kept []string
	for _, one := range list {
		if !slices.Contains(kept, one) {
			kept = append(kept, one)
		}
	}
	return kept
}

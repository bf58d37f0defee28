package release

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// The commands that refuse what this build does not do. `plan` refuses what a release would lack; what only a later command
// needs does not stand in a plan's way.
const (
	whenPlan = "plan"
	whenRun  = "run"
)

// unbuilt is the one table of what the vocabulary has and this build does not do: paths of blocks and attributes without
// their labels, and the command that refuses them. An attribute counts when it says something: not false, zero or empty.
// Nothing is in it now: what a later vocabulary has before it is built comes here.
var unbuilt = map[string]string{}

// unbuiltBastion is the same for kamald.hcl.
var unbuiltBastion = map[string]string{}

// UnbuiltFor is what the file uses and the given commands must refuse: "plan" for whatever looks at or changes servers, and
// "run" for that command too.
func (r Release) UnbuiltFor(commands ...string) []Unbuilt {
	var refused []Unbuilt
	for _, use := range r.Unbuilt {
		if slices.Contains(commands, use.When) {
			refused = append(refused, use)
		}
	}
	return refused
}

// unbuiltUse is a use and where it stands.
type unbuiltUse struct {
	Unbuilt
	rng hcl.Range
}

// collectUnbuilt walks the file for what stands in the table.
func (c *compiler) collectUnbuilt() {
	c.walkUnbuilt(c.root, "", "")
	slices.SortStableFunc(c.unbuilt, func(a, b unbuiltUse) int {
		return cmp.Or(strings.Compare(a.rng.Filename, b.rng.Filename), a.rng.Start.Byte-b.rng.Start.Byte)
	})
	for _, use := range c.unbuilt {
		if !slices.Contains(c.rel.Unbuilt, use.Unbuilt) {
			c.rel.Unbuilt = append(c.rel.Unbuilt, use.Unbuilt)
		}
	}
}

func (c *compiler) walkUnbuilt(b *block, path, title string) {
	for _, as := range b.spec.attrs {
		v := b.get(as.name)
		if when, ok := unbuilt[path+as.name]; ok && !v.zero() {
			c.addUnbuilt(title+as.name, v.rng, when)
		}
	}
	for _, child := range b.blocks {
		if when, ok := unbuilt[path+child.spec.name]; ok {
			c.addUnbuilt(title+child.title(), child.rng, when)
			continue
		}
		c.walkUnbuilt(child, path+child.spec.name+".", title+child.title()+".")
	}
}

func (c *compiler) addUnbuilt(what string, rng hcl.Range, when string) {
	entry := Unbuilt{What: what, Where: fmt.Sprintf("%s:%d", rng.Filename, rng.Start.Line), When: when}
	c.unbuilt = append(c.unbuilt, unbuiltUse{entry, rng})
}

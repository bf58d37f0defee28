package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// percent reads "25%": 25, or -1 when it is not a share from 0 to 100.
func percent(s string) int64 {
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > 100 || strings.HasPrefix(digits, "+") {
		return -1
	}
	return n
}

func (c *conversion) integer(s string) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		c.fail(c.expr.Range(), "Wrong type", "%s takes a whole number, not %q.", c.spec.name, s)
	case n < c.spec.min || c.spec.max > 0 && n > c.spec.max:
		bounds := fmt.Sprintf("at least %d", c.spec.min)
		if c.spec.max > 0 {
			bounds = fmt.Sprintf("from %d to %d", c.spec.min, c.spec.max)
		}
		c.fail(c.expr.Range(), "Out of range", "%s is %s, not %d.", c.spec.name, bounds, n)
	}
	c.value.number = n
}

// limit keeps a share in number and a count in text, told apart by listed.
func (c *conversion) limit(s string) {
	if n := percent(s); n > 0 {
		c.value.number, c.value.listed = n, true
		return
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		c.fail(c.expr.Range(), "Bad limit", "%s takes a number of hosts from 1, or a share from \"1%%\" to \"100%%\", not %q.", c.spec.name, s)
	}
	c.value.number = n
}

// allowed holds a text to the attribute's closed set, where it has one.
func (c *conversion) allowed(t text) {
	if c.spec.enum == nil || t.unknown || slices.Contains(c.spec.enum, t.s) {
		return
	}
	c.fail(t.rng, "Unknown value", "%s is one of %s, not %q.%s", c.spec.name, quoted(c.spec.enum), t.s, didYouMean(t.s, c.spec.enum))
}

func (c *conversion) wrongType(val cty.Value, rng hcl.Range) {
	c.fail(rng, "Wrong type", "%s takes %s, not %s.", c.spec.name, c.spec.kind.expected(), typeName(val.Type()))
}

// typeName is a value's type in the words of this vocabulary.
func typeName(t cty.Type) string {
	switch {
	case t == cty.String:
		return "a string"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case isSequence(t):
		return "a list"
	case t.IsObjectType() || t.IsMapType():
		return "names and values in braces"
	}
	return "this"
}

func (c *conversion) fail(rng hcl.Range, summary, format string, args ...any) {
	c.failed = true
	c.loader.errorf(rng, summary, format, args...)
}

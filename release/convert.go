package release

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// decodeAttr evaluates one attribute and converts it to what its kind keeps. A value that is wrong is reported and stands as
// an unknown one, so that nothing is said twice.
func (l *loader) decodeAttr(attr *hclsyntax.Attribute, spec attrSpec, ctx *hcl.EvalContext) *value {
	wrong := &value{name: attr.Name, rng: attr.Expr.Range(), unknown: true}
	if !l.localsExist(attr.Expr, attributeNames(ctx.Variables["local"])) || !l.gitHas(attr.Expr) {
		return wrong
	}
	val, diags := attr.Expr.Value(ctx)
	if diags.HasErrors() && spec.hides() {
		l.conceal(attr.Expr.Range()) // what HCL says of it would quote it
		l.errorf(attr.Expr.Range(), "Not a reference", "%s takes %s, and what stands here cannot be read as that. A secret's name has letters, digits, _ . and -, and its value stands in .kamald/secrets.",
			spec.name, spec.kind.expected())
		return wrong
	}
	l.report(diags)
	if diags.HasErrors() {
		return wrong
	}
	if spec.kind.text() {
		l.warnNumbers(attr)
	}
	c := &conversion{loader: l, spec: spec, expr: attr.Expr, value: &value{name: attr.Name, rng: attr.Expr.Range()}}
	if !c.convert(val) {
		if spec.hides() {
			l.conceal(attr.Expr.Range())
		}
		return wrong
	}
	if c.value.unknown && !l.lenient && spec.name != "version" {
		l.unknownValue(attr)
		return wrong
	}
	return c.value
}

func (l *loader) unknownValue(attr *hclsyntax.Attribute) {
	if l.gitErr != nil && readsGit(attr.Expr) {
		l.errorf(attr.Expr.Range(), "No git repository", "git cannot be read: %v.", l.gitErr)
		return
	}
	l.errorf(attr.Expr.Range(), "Value not known", "What %s depends on is not known here.", attr.Name)
}

func attributeNames(object cty.Value) []string {
	var names []string
	for name := range object.Type().AttributeTypes() {
		names = append(names, name)
	}
	return names
}

// warnNumbers warns of numbers that do not print back as they are written: 1.10 becomes 1.1 where text is kept.
func (l *loader) warnNumbers(attr *hclsyntax.Attribute) {
	file := l.files[attr.SrcRange.Filename]
	_ = hclsyntax.VisitAll(attr.Expr, func(node hclsyntax.Node) hcl.Diagnostics {
		literal, ok := node.(*hclsyntax.LiteralValueExpr)
		if !ok || literal.Val.IsNull() || literal.Val.Type() != cty.Number || !literal.SrcRange.CanSliceBytes(file.Bytes) {
			return nil
		}
		written := string(literal.SrcRange.SliceBytes(file.Bytes))
		if printed := literal.Val.AsBigFloat().Text('f', -1); printed != written {
			l.warnf(literal.SrcRange, "Number changes its spelling", "%s is a number and becomes %s; write %q in quotes to keep it.", written, printed, written)
		}
		return nil
	})
}

// conversion turns an evaluated expression into a value of a kind.
type conversion struct {
	loader *loader
	spec   attrSpec
	expr   hcl.Expression
	value  *value
	failed bool
}

// convert fills the value; false when it is wrong, which has been reported then.
func (c *conversion) convert(marked cty.Value) bool {
	val, marks := marked.Unmark()
	if val.IsNull() {
		c.value.null = true
		return true
	}
	if !val.IsKnown() {
		c.value.unknown = true
		c.reference(text{rng: c.expr.Range()}, marks)
		return !c.failed
	}
	switch c.spec.kind {
	case kindByName:
		c.byName(val, marks)
	case kindStrings, kindSecrets:
		c.list(val, marks)
	case kindCommand, kindSSHConfig:
		c.listOrScalar(val, marks)
	case kindStringMap, kindEnvMap, kindOptions:
		c.dict(val, marks)
	default:
		c.value.one = c.scalar(val, marks, c.expr.Range())
		c.value.unknown = c.value.one.unknown
		if !c.failed && !c.value.unknown {
			c.interpret(c.value.one.s, val.Type())
		}
	}
	return !c.failed
}

func (c *conversion) listOrScalar(val cty.Value, marks cty.ValueMarks) {
	if isSequence(val.Type()) {
		c.value.listed = true
		c.list(val, marks)
		return
	}
	c.value.one = c.scalar(val, marks, c.expr.Range())
	c.value.unknown = c.value.one.unknown
	if c.failed || c.value.unknown {
		return
	}
	if c.spec.kind == kindSSHConfig {
		c.value.flag = val.Type() == cty.Bool && val.True()
		if val.Type() != cty.Bool {
			c.value.list = []text{c.value.one}
		}
		return
	}
	words, err := splitCommand(c.value.one.s)
	if err != nil {
		c.fail(c.expr.Range(), "Bad command", "%s cannot be split into words: %v. A list is run as it is.", c.spec.name, err)
		return
	}
	for _, word := range words {
		c.value.list = append(c.value.list, text{s: word, rng: c.expr.Range()})
	}
}

// byName takes one value for all, or one for each name.
func (c *conversion) byName(val cty.Value, marks cty.ValueMarks) {
	if val.Type().IsObjectType() || val.Type().IsMapType() {
		c.dict(val, marks)
		return
	}
	c.value.one = c.scalar(val, marks, c.expr.Range())
	c.value.unknown = c.value.one.unknown
}

func isSequence(t cty.Type) bool { return t.IsTupleType() || t.IsListType() || t.IsSetType() }

func (c *conversion) list(val cty.Value, marks cty.ValueMarks) {
	if !isSequence(val.Type()) {
		c.wrongType(val, c.expr.Range())
		return
	}
	c.value.list = c.elements(val, marks, c.expr)
	for _, t := range c.value.list {
		c.value.unknown = c.value.unknown || t.unknown
		c.allowed(t)
	}
}

// elements are a sequence's scalars, each with its own place where the file writes them out.
func (c *conversion) elements(val cty.Value, marks cty.ValueMarks, expr hcl.Expression) []text {
	all := []text{}
	tuple, written := expr.(*hclsyntax.TupleConsExpr)
	i := 0
	for it := val.ElementIterator(); it.Next(); i++ {
		_, element := it.Element()
		rng := c.expr.Range()
		if expr != nil {
			rng = expr.Range()
		}
		if written && i < len(tuple.Exprs) {
			rng = tuple.Exprs[i].Range()
		}
		element, own := element.Unmark()
		if element.IsNull() {
			c.fail(rng, "Null in a list", "%s takes %s; null has no meaning within it.", c.spec.name, c.spec.kind.expected())
			continue
		}
		all = append(all, c.scalar(element, union(marks, own), rng))
	}
	return all
}

func union(a, b cty.ValueMarks) cty.ValueMarks {
	if len(a) == 0 {
		return b
	}
	all := cty.ValueMarks{}
	for m := range a {
		all[m] = struct{}{}
	}
	for m := range b {
		all[m] = struct{}{}
	}
	return all
}

// dict reads names and their values; a name whose value is null keeps a nil entry for the overlay to see.
func (c *conversion) dict(val cty.Value, marks cty.ValueMarks) {
	if !val.Type().IsObjectType() && !val.Type().IsMapType() {
		c.wrongType(val, c.expr.Range())
		return
	}
	c.value.dict = map[string][]text{}
	written := writtenItems(c.expr)
	for it := val.ElementIterator(); it.Next(); {
		k, element := it.Element()
		key := k.AsString()
		expr := c.expr
		if own, ok := written[key]; ok {
			expr = own
		}
		element, own := element.Unmark()
		all := union(marks, own)
		switch {
		case element.IsNull():
			c.value.dict[key] = nil
		case c.spec.kind == kindOptions && element.IsKnown() && isSequence(element.Type()):
			c.value.dict[key] = c.elements(element, all, expr)
		default:
			c.value.dict[key] = []text{c.scalar(element, all, expr.Range())}
		}
		for _, t := range c.value.dict[key] {
			c.value.unknown = c.value.unknown || t.unknown
		}
	}
}

// writtenItems are the values of an object that the file writes out, by their literal keys.
func writtenItems(expr hcl.Expression) map[string]hcl.Expression {
	items := map[string]hcl.Expression{}
	object, ok := expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		return items
	}
	for _, item := range object.Items {
		if key, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && key.Type() == cty.String && key.IsWhollyKnown() && !key.IsNull() && !key.IsMarked() {
			items[key.AsString()] = item.ValueExpr
		}
	}
	return items
}

// scalar reads one value as text, and sees to it that references stand only where they may and whole.
func (c *conversion) scalar(val cty.Value, marks cty.ValueMarks, rng hcl.Range) text {
	t := text{rng: rng}
	if !val.IsKnown() {
		t.unknown = true
		return t
	}
	switch val.Type() {
	case cty.String:
		t.s = val.AsString()
	case cty.Number:
		if !fits(val.AsBigFloat()) {
			c.fail(rng, "Number too large", "No setting takes a number of this size.")
			return t
		}
		t.s = val.AsBigFloat().Text('f', -1)
	case cty.Bool:
		t.s = fmt.Sprint(val.True())
	default:
		c.wrongType(val, rng)
		return t
	}
	if strings.ContainsRune(t.s, 0) {
		c.fail(rng, "Zero byte", "%s holds a zero byte, which no setting of a container can.", c.spec.name)
	}
	return c.reference(t, marks)
}

func (c *conversion) reference(t text, marks cty.ValueMarks) text {
	takesSecret := c.spec.kind == kindSecret || c.spec.kind == kindSecrets || c.spec.kind == kindStringOrSecret
	name, whole := markSecret.name(t.s)
	_, secret := marks[markSecret]
	_, hostEnv := marks[markHostEnv]
	switch {
	case secret && !takesSecret:
		c.fail(t.rng, "Secret not allowed here", "%s takes %s. A secret's value never enters the release: secret(\"NAME\") can stand only where a reference is taken (registry, key_data, certificate, private_key), and containers get secrets by env { secret = [\"NAME\"] }.", c.spec.name, c.spec.kind.expected())
	case secret && !whole:
		c.fail(t.rng, "Secret used in part", "%s takes secret(\"NAME\") by itself; it cannot be joined or changed, because its value is not known here.", c.spec.name)
	case secret:
		t.s, t.secret = name, true
	case hostEnv && c.spec.kind != kindEnvMap:
		c.fail(t.rng, "host_env not allowed here", "host_env(\"NAME\") can stand only in env { clear = { … } }.")
	case hostEnv:
		host, whole := hostText(t.s)
		if whole {
			t.host = host
		} else {
			c.fail(t.rng, "host_env changed", "host_env(\"NAME\") can be joined with other text, and not changed: its value is known on the host only.")
		}
	case c.value.unknown:
	case c.spec.kind == kindSecret || c.spec.kind == kindSecrets:
		c.fail(t.rng, "Secret written out", "%s takes %s: put the value in .kamald/secrets and its name here.", c.spec.name, c.spec.kind.expected())
	}
	return t
}

// interpret reads a scalar by its kind.
func (c *conversion) interpret(s string, t cty.Type) {
	var err error
	rng := c.expr.Range()
	switch c.spec.kind {
	case kindBool:
		if s != "true" && s != "false" {
			c.fail(rng, "Wrong type", "%s takes true or false, not %q.", c.spec.name, s)
		}
		c.value.flag = s == "true"
	case kindInt:
		c.integer(s)
	case kindDuration:
		c.value.duration, err = time.ParseDuration(s)
		if err != nil || c.value.duration < 0 || t != cty.String {
			hint := ""
			if days, isDays := strings.CutSuffix(s, "d"); isDays {
				if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 1000 {
					hint = fmt.Sprintf(" Did you mean \"%dh\"?", 24*n)
				}
			}
			if _, notNumber := time.ParseDuration(s + "s"); notNumber == nil {
				hint = fmt.Sprintf(" Did you mean \"%ss\"?", strings.TrimPrefix(s, "-"))
			}
			c.fail(rng, "Bad duration", "%s takes a duration in a string, such as \"30s\", \"5m\" or \"1h30m\", not %s.%s", c.spec.name, literal(s, t), hint)
		} else if c.value.duration < time.Duration(c.spec.min) {
			c.fail(rng, "Out of range", "%s is %s, not %q.", c.spec.name, strings.TrimPrefix(c.spec.bounds(), "that is "), s)
		}
	case kindSize:
		if c.value.number, err = units.RAMInBytes(s); err != nil || c.value.number < 0 {
			c.fail(rng, "Bad size", "%s takes a size such as \"512m\" or \"2g\", not %q.", c.spec.name, s)
		}
	case kindShare:
		if c.value.number = percent(s); c.value.number < 0 {
			c.fail(rng, "Bad share", "%s takes a share from \"0%%\" to \"100%%\", such as \"25%%\", not %s.", c.spec.name, literal(s, t))
		}
	case kindLimit:
		c.limit(s)
	default:
		c.allowed(c.value.one)
		return
	}
	c.value.one.s = "" // what was read stands in the value's own field
}

// literal prints a scalar about as the file has it.
func literal(s string, t cty.Type) string {
	if t == cty.String {
		return fmt.Sprintf("%q", s)
	}
	return s
}

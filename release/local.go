package release

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// context is what the expressions of one view of the file can read: its functions, and git, destination and local. The locals
// of the overlay replace the base's of the same name before anything is evaluated, so that they reach the base.
func (l *loader) context(base *source, destination string, over *source) *hcl.EvalContext {
	ctx := &hcl.EvalContext{
		Variables: map[string]cty.Value{"git": l.gitValue(), "destination": cty.StringVal(destination), "local": cty.EmptyObjectVal},
		Functions: l.functions(filepath.Dir(l.path)),
	}
	named := map[string]*hclsyntax.Attribute{}
	for _, s := range []*source{base, over} {
		if s == nil {
			continue
		}
		for _, b := range s.body.Blocks {
			if b.Type == "locals" {
				maps.Copy(named, b.Body.Attributes)
			}
		}
	}
	e := localEvaluation{loader: l, ctx: ctx, named: named, values: map[string]cty.Value{}, busy: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		e.evaluate(name)
	}
	ctx.Variables["local"] = cty.ObjectVal(e.values)
	return ctx
}

// localEvaluation evaluates locals that may read each other.
type localEvaluation struct {
	loader *loader
	ctx    *hcl.EvalContext
	named  map[string]*hclsyntax.Attribute
	values map[string]cty.Value
	busy   map[string]bool
}

func (e *localEvaluation) evaluate(name string) {
	if _, done := e.values[name]; done {
		return
	}
	attr := e.named[name]
	e.busy[name] = true
	defer delete(e.busy, name)
	e.values[name] = cty.DynamicVal
	scope := map[string]cty.Value{}
	for _, other := range localsIn(attr.Expr) {
		if _, known := e.named[other.name]; !known {
			continue // reported below, with the names that there are
		}
		if e.busy[other.name] {
			e.loader.errorf(attr.SrcRange, "Locals in a circle", "local.%s needs local.%s, which needs it in turn.", name, other.name)
			return
		}
		e.evaluate(other.name)
		scope[other.name] = e.values[other.name]
	}
	if !e.loader.localsExist(attr.Expr, slices.Collect(maps.Keys(e.named))) || !e.loader.gitHas(attr.Expr) {
		return
	}
	ctx := e.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"local": cty.ObjectVal(scope)}
	val, diags := attr.Expr.Value(ctx)
	e.loader.report(diags)
	if !diags.HasErrors() {
		e.values[name] = val
	}
}

// localName is one use of a local.
type localName struct {
	name string
	rng  hcl.Range
}

func localsIn(expr hcl.Expression) []localName {
	var names []localName
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" || len(traversal) < 2 {
			continue
		}
		if step, ok := traversal[1].(hcl.TraverseAttr); ok {
			names = append(names, localName{step.Name, step.SrcRange})
		}
	}
	return names
}

// localsExist reports locals that nobody declares; false when there is one.
func (l *loader) localsExist(expr hcl.Expression, known []string) bool {
	slices.Sort(known)
	ok := true
	for _, local := range localsIn(expr) {
		if !slices.Contains(known, local.name) {
			l.errorf(local.rng, "Unknown local", "No locals block has %q.%s", local.name, didYouMean(local.name, known))
			ok = false
		}
	}
	return ok
}

package release

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// decode evaluates a body against the vocabulary. What is wrong is reported and left out, so that the rest is still looked at.
func (l *loader) decode(body *hclsyntax.Body, spec *blockSpec, ctx *hcl.EvalContext) *block {
	b := &block{spec: spec, attrs: map[string]*value{}, rng: body.SrcRange}
	attrs := slices.SortedFunc(maps.Values(body.Attributes), func(a, b *hclsyntax.Attribute) int {
		return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte
	})
	for _, attr := range attrs {
		as, ok := spec.attr(attr.Name)
		if !ok {
			l.unknownAttribute(attr, spec)
			b.meant = append(b.meant, nearest(attr.Name, spec.names()))
			continue
		}
		if v := l.decodeAttr(attr, as, ctx); v != nil {
			b.attrs[attr.Name] = v
		}
	}
	first := map[string]hcl.Range{}
	for _, hb := range body.Blocks {
		switch child := l.decodeBlock(hb, spec, first, ctx); {
		case child != nil:
			b.blocks = append(b.blocks, child)
		case hb.Type == "destination": // a view of its own
		case spec.block(hb.Type) != nil:
			l.concealWithin(hb.Body)
			b.meant = append(b.meant, hb.Type)
		default:
			l.concealWithin(hb.Body)
			b.meant = append(b.meant, nearest(hb.Type, spec.names()))
		}
	}
	return b
}

// decodeBlock decodes one nested block; nil for what is unknown, double, or handled elsewhere.
func (l *loader) decodeBlock(hb *hclsyntax.Block, spec *blockSpec, first map[string]hcl.Range, ctx *hcl.EvalContext) *block {
	bs := spec.block(hb.Type)
	if bs == nil {
		l.unknownBlock(hb, spec)
		return nil
	}
	if hb.Type == "locals" || hb.Type == "destination" {
		return nil // locals are evaluated before all else, destinations are views of their own
	}
	if !l.labelFits(hb, bs) {
		return nil
	}
	label := ""
	if bs.label != "" {
		label = hb.Labels[0]
	}
	key := hb.Type + "\x00" + label
	if before, double := first[key]; double && !bs.repeats {
		l.errorf(hb.DefRange(), "Duplicate block", "%s stands at %s:%d already; write both as one.", (&block{spec: bs, label: label}).title(),
			before.Filename, before.Start.Line)
		return nil
	}
	first[key] = hb.DefRange()
	child := l.decode(hb.Body, bs, ctx)
	child.label, child.rng = label, hb.DefRange()
	return child
}

func (l *loader) labelFits(hb *hclsyntax.Block, bs *blockSpec) bool {
	switch {
	case bs.label == "" && len(hb.Labels) > 0:
		l.errorf(hb.LabelRanges[0], "Label not expected", "%s takes no label: write %s { … }.", hb.Type, hb.Type)
	case bs.label != "" && len(hb.Labels) == 0:
		l.errorf(hb.TypeRange, "Label missing", "%s takes its %s as a label: write %s \"…\" { … }.", hb.Type, bs.label, hb.Type)
	case len(hb.Labels) > 1:
		l.errorf(hb.LabelRanges[1], "Too many labels", "%s takes one label, its %s.", hb.Type, bs.label)
	case bs.label != "" && hb.Labels[0] == "":
		l.errorf(hb.LabelRanges[0], "Empty label", "%s needs its %s here.", hb.Type, bs.label)
	case bs.known != nil && !slices.Contains(bs.known, hb.Labels[0]):
		l.errorf(hb.LabelRanges[0], "Unknown label", "%s is one of %s, not %q.%s", hb.Type, quoted(bs.known), hb.Labels[0], didYouMean(hb.Labels[0], bs.known))
	default:
		return true
	}
	return false
}

func (l *loader) unknownAttribute(attr *hclsyntax.Attribute, spec *blockSpec) {
	l.concealUnknown(attr)
	if bs := spec.block(attr.Name); bs != nil {
		label := ""
		if bs.label != "" {
			label = ` "…"`
		}
		l.errorf(attr.NameRange, "Block expected", "%s is a block: write %s%s { … }, without \"=\".", attr.Name, attr.Name, label)
		return
	}
	if spec.name == "host" && attr.Name == dialLimit {
		l.errorf(attr.NameRange, "Unknown attribute", "dial_limit is about all hosts together: it stands in ssh { }, not in a host's block.")
		return
	}
	l.errorf(attr.NameRange, "Unknown attribute", "%s has no attribute %q.%s", within(spec), attr.Name, l.belongs(attr.Name, false, spec))
}

func (l *loader) unknownBlock(hb *hclsyntax.Block, spec *blockSpec) {
	if as, ok := spec.attr(hb.Type); ok {
		l.errorf(hb.TypeRange, "Attribute expected", "%s is an attribute: write %s = …; it takes %s.", hb.Type, hb.Type, as.kind.expected())
		return
	}
	if hb.Type == "destination" {
		l.errorf(hb.TypeRange, "Unknown block", "A destination cannot stand within another.")
		return
	}
	l.errorf(hb.TypeRange, "Unknown block", "%s has no block %q.%s", within(spec), hb.Type, l.belongs(hb.Type, true, spec))
}

// within is how a message calls the place.
func within(spec *blockSpec) string {
	if spec.name == "" {
		return "The file"
	}
	text := withArticle(spec.name) + " block"
	return strings.ToUpper(text[:1]) + text[1:]
}

// checkRequired reports attributes that must be there and are not, in a block and all below it.
func (l *loader) checkRequired(b *block) {
	for _, as := range b.spec.attrs {
		if as.required && !b.get(as.name).set() && !slices.Contains(b.meant, as.name) {
			where := "The file"
			if b.spec.name != "" {
				where = b.title()
			}
			rng := b.rng
			if v := b.get(as.name); v != nil {
				rng = v.rng // null
			}
			l.errorf(rng, "Attribute missing", "%s needs %s: %s.", where, as.name, as.wanted())
		}
	}
	for _, child := range b.blocks {
		l.checkRequired(child)
	}
}

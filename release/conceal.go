package release

import (
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What stands where a secret belongs is never shown, in no snippet: also when the file cannot be parsed, and when the name is misspelt.

// telling are names that a secret probably stands behind, whoever made them up.
var telling = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|private|api_?key|key_data|certificate`)

// hides tells whether the attribute's value may be a secret that somebody wrote out.
func (a attrSpec) hides() bool {
	return a.kind == kindSecret || a.kind == kindSecrets || a.name == "hash"
}

// hiding are the names of all attributes that hide their values.
var hiding = hidingNames(deploySpec, bastionSpec)

func hidingNames(specs ...*blockSpec) []string {
	var names []string
	for _, spec := range specs {
		for _, as := range spec.attrs {
			if as.hides() {
				names = append(names, as.name)
			}
		}
		names = append(names, hidingNames(spec.blocks...)...)
	}
	return names
}

// innocent are all names of the vocabulary that hide nothing: they are not misspelt, only in another's place.
var innocent = innocentNames(deploySpec, bastionSpec)

func innocentNames(specs ...*blockSpec) []string {
	var names []string
	for _, spec := range specs {
		for _, as := range spec.attrs {
			if !slices.Contains(hiding, as.name) {
				names = append(names, as.name)
			}
		}
		for _, within := range spec.blocks {
			names = append(names, within.name)
		}
		names = append(names, innocentNames(spec.blocks...)...)
	}
	return names
}

// tells whether a name speaks of a secret, or is nearly one that does.
func tells(name string) bool {
	return telling.MatchString(name) || !slices.Contains(innocent, name) && nearest(name, hiding) != ""
}

// conceal hides a place from every snippet.
func (l *loader) conceal(rng hcl.Range) { l.hidden = append(l.hidden, rng) }

// concealUnknown hides what stands behind a name that is unknown here and speaks of a secret.
func (l *loader) concealUnknown(attr *hclsyntax.Attribute) {
	if tells(attr.Name) {
		l.conceal(attr.Expr.Range())
	}
}

// concealWithin does so for all of a block that is not decoded.
func (l *loader) concealWithin(body *hclsyntax.Body) {
	// The visitor reports nothing: nothing comes back from the walk.
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if attr, ok := node.(*hclsyntax.Attribute); ok {
			l.concealUnknown(attr)
		}
		return nil
	})
}

// concealBroken hides, in a file that cannot be parsed, what stands behind such names: to the end of the line, or of the brackets
// that begin on it.
func (l *loader) concealBroken(path string, data []byte) {
	tokens, _ := hclsyntax.LexConfig(data, path, hcl.InitialPos) // what is wrong was said by the parser
	for i := 0; i+2 < len(tokens); i++ {
		name := string(tokens[i].Bytes)
		if tokens[i].Type != hclsyntax.TokenIdent || !tells(name) {
			continue
		}
		from, depth := i+1, 0
		for i++; i < len(tokens) && (depth > 0 || tokens[i].Type != hclsyntax.TokenNewline); i++ {
			switch tokens[i].Type {
			case hclsyntax.TokenOBrack, hclsyntax.TokenOHeredoc, hclsyntax.TokenOParen:
				depth++
			case hclsyntax.TokenCBrack, hclsyntax.TokenCHeredoc, hclsyntax.TokenCParen:
				depth--
			}
		}
		l.conceal(hcl.RangeBetween(tokens[from].Range, tokens[min(i, len(tokens)-1)].Range))
	}
}

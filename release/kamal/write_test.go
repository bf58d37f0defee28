package kamal

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/kamald/kamald/release"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"
)

var awkward = rapid.StringOf(rapid.RuneFrom([]rune("$%{}\"\\\n\t\r a~é#/*`'")))

func TestATextIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := awkward.Draw(t, "text")
		if got := evaluated(t, quote(text)); got != text {
			t.Fatalf("%q is written %s and read as %q", text, quote(text), got)
		}
	})
}

func TestATextWithExpressionsIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pieces []release.Piece
		want := ""
		for range rapid.IntRange(1, 5).Draw(t, "pieces") {
			if rapid.Bool().Draw(t, "expression") {
				pieces, want = append(pieces, release.Piece{Text: "x", Expression: true}), want+"<x>"
				continue
			}
			text := awkward.Draw(t, "text")
			pieces, want = append(pieces, release.Piece{Text: text}), want+text
		}
		if got := evaluated(t, release.Template(pieces)); got != want {
			t.Fatalf("%q is written %s and read as %q", want, release.Template(pieces), got)
		}
	})
}

func TestAKeyIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(awkward, rapid.SampledFrom([]string{"for", "null", "true", "if", "in", "a-b", "a.b", "1", "-a", "_", "é"})).Draw(t, "key")
		expr, diags := hclsyntax.ParseExpression([]byte("{ "+keyText(key)+" = 1 }"), "x", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatalf("%q is written %s: %v", key, keyText(key), diags)
		}
		val, diags := expr.Value(nil)
		if diags.HasErrors() || !val.Type().HasAttribute(key) {
			t.Fatalf("%q is written %s and read as %#v", key, keyText(key), val)
		}
	})
}

func evaluated(t *rapid.T, source string) string {
	expr, diags := hclsyntax.ParseExpression([]byte(source), "x", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%s: %v", source, diags)
	}
	val, diags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"x": cty.StringVal("<x>")}})
	if diags.HasErrors() || val.Type() != cty.String {
		t.Fatalf("%s: %v %#v", source, diags, val)
	}
	return val.AsString()
}

package release

import (
	"bytes"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds that no file written for people comes near. HCL's parser and evaluator recurse once for every bracket and operator,
// and Go ends a process whose stack is full; numbers are written out in decimal however large they are.
const (
	maxFileBytes  = 1 << 20
	maxDepth      = 200
	maxOperators  = 5000
	maxNumberBits = 1024
)

// isText refuses what is no UTF-8, once: the parser would complain of every character of it.
func (l *loader) isText(path string, data []byte) bool {
	if utf8.Valid(data) {
		return true
	}
	at := 0
	for rest := data; len(rest) > 0; rest = data[at:] {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	place := hcl.Pos{Line: 1 + bytes.Count(data[:at], []byte("\n")), Column: 1, Byte: at}
	detail := fmt.Sprintf("The file is to be UTF-8, and byte %d of it (0x%02X) is none.", at+1, data[at])
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		detail = "The file is UTF-16: save it as UTF-8."
	}
	l.errorf(hcl.Range{Filename: path, Start: place, End: place}, "No UTF-8", "%s", detail)
	return false
}

// boundsKept refuses, before anything is parsed, files that could not be parsed or evaluated in bounds.
func (l *loader) boundsKept(path string, data []byte) bool {
	if len(data) > maxFileBytes {
		l.report(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Cannot read " + path, Detail: "The file is larger than 1 MiB."}})
		return false
	}
	tokens, _ := hclsyntax.LexConfig(data, path, hcl.InitialPos) // what cannot be read is reported by the parser
	depth, operators := 0, 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
			hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
			hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth = max(depth-1, 0)
		case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenPercent,
			hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
			hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenBang,
			hclsyntax.TokenQuestion, hclsyntax.TokenTemplateControl:
			operators++
		}
		if depth > maxDepth || operators > maxOperators {
			l.errorf(token.Range, "Too deep", "Nothing may be nested deeper than %d brackets, and a file may have %d operators.", maxDepth, maxOperators)
			return false
		}
	}
	return true
}

// numbersFit refuses numbers that would take forever to write out.
func (l *loader) numbersFit(body *hclsyntax.Body) bool {
	ok := true
	// The visitor reports by itself: nothing comes back from the walk.
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		literal, is := node.(*hclsyntax.LiteralValueExpr)
		if !is || literal.Val.IsNull() || literal.Val.Type() != cty.Number {
			return nil
		}
		if !fits(literal.Val.AsBigFloat()) {
			ok = false
			l.errorf(literal.SrcRange, "Number too large", "No setting takes a number of this size.")
		}
		return nil
	})
	return ok
}

func fits(n *big.Float) bool {
	if n.IsInf() {
		return false
	}
	exponent := n.MantExp(nil)
	return exponent < maxNumberBits && exponent > -maxNumberBits
}

package ruby

import (
	"fmt"
	"strings"
)

// renderer writes a template out as ERB does, with placeholders for what is not known.
type renderer struct {
	file         string
	origin       *origin
	placeholders *placeholders
	problems     []Problem
	out          strings.Builder
}

func (r *renderer) render() error {
	tokens, err := tokenize(r.origin.source)
	if err != nil {
		return fmt.Errorf("%s:%w", r.file, err)
	}
	for _, t := range tokens {
		switch t.kind {
		case textToken:
			r.origin.segments = append(r.origin.segments, segment{rendered: r.out.Len(), source: t.at, copied: true})
			r.out.WriteString(t.text)
		case outputToken:
			r.origin.segments = append(r.origin.segments, segment{rendered: r.out.Len(), source: t.at})
			line, _ := r.origin.position(t.at)
			r.out.WriteString(r.placeholders.add(&mark{expr: &Expr{Source: strings.TrimSpace(t.text), Line: line}, written: r.origin.source[t.at:t.to], line: line}))
		case codeToken:
			line, _ := r.origin.position(t.at)
			r.problems = append(r.problems, Problem{File: r.file, Line: line, What: shorten(t.text), Why: "Ruby that is not understood: it is left out"})
		}
	}
	return nil
}

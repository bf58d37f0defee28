package ruby

import (
	"fmt"
	"regexp"
	"strings"
)

// token is a stretch of a template.
type token struct {
	kind   tokenKind
	text   string // what is printed, or Ruby
	at, to int    // offsets in the file, of a tag those of the whole
}

type tokenKind int

const (
	textToken   tokenKind = iota
	codeToken             // <% %>
	outputToken           // <%= %>
	remarkToken           // <%# %>
)

var (
	opening = regexp.MustCompile(`(?m)^[ \t]*<%-|<%[-%=#]?`)
	closing = regexp.MustCompile(`-%>|%%>|%>`)
	newline = regexp.MustCompile(`^(?:\r?\n|\z)`)
)

// tokenize cuts a template as ERB does with the trim mode "-". The error says the line of a tag that is not closed.
func tokenize(source string) ([]token, error) {
	var tokens []token
	for at := 0; at < len(source); {
		m := opening.FindStringIndex(source[at:])
		if m == nil {
			return append(tokens, token{kind: textToken, text: source[at:], at: at, to: len(source)}), nil
		}
		from, to := at+m[0], at+m[1]
		if from > at {
			tokens = append(tokens, token{kind: textToken, text: source[at:from], at: at, to: from})
		}
		tag := source[from:to]
		if tag == "<%%" {
			tokens = append(tokens, token{kind: textToken, text: "<%", at: from, to: from + 2})
			at = to
			continue
		}
		t := token{at: from + strings.Index(tag, "<%"), kind: codeToken}
		switch tag[len(tag)-1] {
		case '=':
			t.kind = outputToken
		case '#':
			t.kind = remarkToken
		}
		var ok bool
		if t.text, at, ok = untilClosed(source, to); !ok {
			return nil, fmt.Errorf("%d: <%% has no %%> that ends it", strings.Count(source[:from], "\n")+1)
		}
		t.to = at
		if strings.HasSuffix(source[:at], "-%>") {
			at += len(newline.FindString(source[at:]))
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// untilClosed gives a tag's Ruby and where the tag ends.
func untilClosed(source string, at int) (code string, end int, ok bool) {
	for {
		m := closing.FindStringIndex(source[at:])
		if m == nil {
			return "", 0, false
		}
		code += source[at : at+m[0]]
		found := source[at+m[0] : at+m[1]]
		at += m[1]
		if found != "%%>" {
			return code, at, true
		}
		code += "%>"
	}
}

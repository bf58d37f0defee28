package ruby

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// span is a stretch of the rendered text in which "#" begins no comment.
type span struct{ from, to int }

// literal notes where a scalar in quotes or in a block stands. parent is the column of the collection around it.
func (d *document) literal(y *yaml.Node, parent int) {
	if y.Style&(quotes|block) == 0 {
		return
	}
	from := d.properties(d.offset(y))
	to := from
	switch {
	case from >= len(d.text):
	case y.Style&yaml.DoubleQuotedStyle != 0:
		for to = from + 1; to < len(d.text) && d.text[to] != '"'; to++ {
			if d.text[to] == '\\' {
				to++
			}
		}
	case y.Style&yaml.SingleQuotedStyle != 0:
		for to = from + 1; to < len(d.text); to++ {
			if d.text[to] != '\'' {
				continue
			}
			if !strings.HasPrefix(d.text[to+1:], "'") {
				break
			}
			to++
		}
	default:
		from, to = d.blockSpan(from, parent)
	}
	d.literals = append(d.literals, span{from: from, to: min(to, len(d.text))})
}

// properties skips a node's anchor and tag.
func (d *document) properties(at int) int {
	for at < len(d.text) && (d.text[at] == '&' || d.text[at] == '!') {
		for at < len(d.text) && !strings.ContainsRune(" \t\r\n", rune(d.text[at])) {
			at++
		}
		for at < len(d.text) && strings.ContainsRune(" \t\r\n", rune(d.text[at])) {
			at++
		}
	}
	return at
}

// blockSpan is the lines of a block scalar, which begin behind its header and end before the first line that is indented less than
// the first that has something, or no more than the collection around it.
func (d *document) blockSpan(header, parent int) (from, to int) {
	end := strings.IndexByte(d.text[header:], '\n')
	if end < 0 {
		return header, header
	}
	from = header + end + 1
	indent := 0
	for _, c := range strings.TrimRight(d.text[header:from], "\r\n") {
		if c == '#' {
			break
		}
		if c >= '1' && c <= '9' {
			indent = max(parent-1, 0) + int(c-'0')
		}
	}
	for to = from; to < len(d.text); {
		line, rest, _ := strings.Cut(d.text[to:], "\n")
		spaces := len(line) - len(strings.TrimLeft(line, " "))
		if strings.TrimSpace(line) != "" {
			if indent == 0 {
				indent = max(spaces, parent)
			}
			if spaces < indent || indent == 0 && (strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...")) {
				return from, to
			}
		}
		to = len(d.text) - len(rest)
	}
	return from, to
}

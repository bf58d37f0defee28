package ruby

import (
	"regexp"
	"strings"
)

const shownLength = 120 // of a problem's source

const secretive = `(?i:pass|token|key|secret|credential|auth|private|dsn|url)`

var (
	// given is a name like a secret's and the value behind it, to the end of the line, as YAML and Ruby write it.
	given = regexp.MustCompile(`^(\s*(?:<%[-=]?\s*)?(?:-\s+)?["':]?[\w.-]*` + secretive + `[\w.-]*["']?\s*(?::|=>|\|\|=|=)\s+)\S.*$`)
	// fallen is a literal behind such a name within a line of Ruby.
	fallen = regexp.MustCompile(`(` + secretive + `[\w.-]*["']?\s*[\])]?\s*(?:,|\|\||=>|:|=|\)?\s*\{)\s*)("[^"]*"|'[^']*')`)
)

// shorten makes a source presentable: on one line, not too long, and without the value of what looks like a secret.
func shorten(source string) string {
	lines := strings.Split(strings.TrimSpace(source), "\n")
	for i, line := range lines {
		line = fallen.ReplaceAllString(line, "$1…")
		lines[i] = strings.TrimSpace(given.ReplaceAllString(line, "$1…"))
	}
	text := []rune(strings.Join(lines, " ⏎ "))
	if len(text) > shownLength {
		return string(text[:shownLength-1]) + "…"
	}
	return string(text)
}

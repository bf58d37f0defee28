package ruby

import (
	"regexp"
	"strings"
)

const shownLength = 120 // of a problem's source

// secretive are names whose values are not shown.
var secretive = regexp.MustCompile(`(?i)(pass|token|key|secret|credential|auth|private|dsn|url)`)

// assigned finds a name and the value behind it, as YAML and Ruby write it.
var assigned = regexp.MustCompile(`^(\s*(?:-\s+)?["':]?([\w.-]+)["']?\s*(?::|=>|=)\s+)(\S.*)$`)

// shorten makes a source presentable: on one line, not too long, and without the value of what looks like a secret.
func shorten(source string) string {
	lines := strings.Split(strings.TrimSpace(source), "\n")
	for i, line := range lines {
		if m := assigned.FindStringSubmatch(line); m != nil && secretive.MatchString(m[2]) {
			line = m[1] + "…"
		}
		lines[i] = strings.TrimSpace(line)
	}
	text := []rune(strings.Join(lines, " ⏎ "))
	if len(text) > shownLength {
		return string(text[:shownLength-1]) + "…"
	}
	return string(text)
}

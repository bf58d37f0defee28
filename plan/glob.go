package plan

import (
	"path"
	"strings"
)

// globs tells whether a name is as a pattern says: a glob in which {a,b} stands for either, also within another.
func globs(pattern, name string) (bool, error) {
	matches := false
	for _, one := range alternatives(pattern) {
		is, err := path.Match(one, name)
		if err != nil {
			return false, err
		}
		matches = matches || is
	}
	return matches, nil
}

// alternatives writes out the first braces of a pattern, and those of what comes of that. A brace without its other half, or
// behind a backslash, is itself.
func alternatives(pattern string) []string {
	open, depth, cuts := -1, 0, []int(nil)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '{':
			if depth++; depth == 1 {
				open, cuts = i, []int{i}
			}
		case c == ',' && depth == 1:
			cuts = append(cuts, i)
		case c == '}' && depth > 0:
			if depth--; depth > 0 {
				continue
			}
			cuts = append(cuts, i)
			var all []string
			for n := range len(cuts) - 1 {
				all = append(all, alternatives(pattern[:open]+pattern[cuts[n]+1:cuts[n+1]]+pattern[i+1:])...)
			}
			return all
		}
	}
	return []string{strings.NewReplacer("{", `\{`, "}", `\}`, `\{`, `\{`, `\}`, `\}`).Replace(pattern)}
}

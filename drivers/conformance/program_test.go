package conformance_test

import "fmt"

// command is what the image runs.
func (p program) command() []string {
	if p.cmd != nil {
		return p.cmd
	}
	return []string{"app", "web"}
}

// logs is what the program writes that a case looks at.
func (p program) logs() (lines []string) {
	for n := range p.lines {
		lines = append(lines, fmt.Sprintf("boot line %d", n+1))
	}
	return lines
}

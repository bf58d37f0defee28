package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Check is a check whose problems can be ignored: it judges by what can be known beforehand, and may be wrong. The set is closed.
type Check string

// The checks that can be ignored.
const (
	CheckDisk   Check = "disk"   // room for the image
	CheckPorts  Check = "ports"  // ports of the host that others hold
	CheckEngine Check = "engine" // it is for Linux, and has what the options ask for
)

// Checks are all that can be ignored, in the order of the documentation.
var Checks = []Check{CheckDisk, CheckPorts, CheckEngine}

// ParseChecks reads the names of checks.
func ParseChecks(names []string) ([]Check, error) {
	var checks []Check
	for _, name := range names {
		check := Check(strings.TrimSpace(name))
		if !slices.Contains(Checks, check) {
			return nil, fmt.Errorf("%q is no check that can be ignored: those are %s", name, list(Checks))
		}
		checks = append(checks, check)
	}
	return checks, nil
}

func list(checks []Check) string {
	var names []string
	for _, check := range checks {
		names = append(names, string(check))
	}
	return strings.Join(names, ", ")
}

// ignored says how to go on all the same.
func (c Check) ignored() string { return fmt.Sprintf("`--ignore %s` goes on all the same", c) }

// object adds a problem, or warns of it where its check is ignored.
func (p *Plan) object(ignore []Check, problem Problem) {
	if problem.Check != "" && slices.Contains(ignore, problem.Check) {
		p.warn("%s: %s; --ignore %s goes on all the same", problem.where(), problem.Summary, problem.Check)
		return
	}
	p.Problems = append(p.Problems, problem)
}

// warn adds a warning once.
func (p *Plan) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
		p.Warnings = append(p.Warnings, text)
	}
}

// sortProblems puts problems into the order of their hosts, once each.
func (p *Plan) sortProblems(order map[string]int) {
	slices.SortStableFunc(p.Problems, func(x, y Problem) int {
		return cmp.Or(cmp.Compare(order[x.Host], order[y.Host]), cmp.Compare(x.Role, y.Role), cmp.Compare(x.Summary, y.Summary))
	})
	p.Problems = slices.Compact(p.Problems)
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// slowShown is how many of the slowest tests a report names, and slowFrom the seconds below which nobody would ask.
const (
	slowShown = 20
	slowFrom  = 5
)

// slowest keeps what tests took, so that whoever must make a run shorter knows where its time goes. Of a test and its parts only the
// test counts.
type slowest []timed

type timed struct {
	name    string
	seconds float64
}

func (s *slowest) take(e event) {
	if e.Elapsed >= slowFrom && !strings.Contains(e.Test, "/") {
		*s = append(*s, timed{e.Package + " " + e.Test, e.Elapsed})
	}
}

func (s slowest) print(out io.Writer) {
	if len(s) == 0 {
		return
	}
	slices.SortStableFunc(s, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintln(out, "\nthe slowest tests, in seconds, others beside them included:")
	for _, t := range s[:min(slowShown, len(s))] {
		fmt.Fprintf(out, "  %7.1f  %s\n", t.seconds, t.name)
	}
}

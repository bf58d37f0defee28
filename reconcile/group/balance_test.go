package group

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kamald/kamald/state"
)

// Whoever leads and whoever waits: handing over one app at a time ends, evenly, and never goes back and forth.
func TestAppsAreSharedEvenlyInTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		daemons := rapid.IntRange(1, 4).Draw(t, "daemons")
		apps := rapid.IntRange(0, 12).Draw(t, "apps")
		standing := map[state.App][]string{}
		var all []string
		for n := range daemons {
			all = append(all, fmt.Sprintf("bastion-%d", n))
		}
		for n := range apps {
			standing[state.App{Service: fmt.Sprintf("s%d", n)}] = rapid.Permutation(all).Draw(t, "order")
		}
		for rounds := 0; ; rounds++ {
			if rounds > 10*apps+10 {
				t.Fatalf("it does not end: %v", standing)
			}
			moved := false
			for _, name := range all {
				if list := surplus(standing, name); len(list) > 0 {
					names := standing[list[0]]
					standing[list[0]] = append(slices.Clone(names[1:]), name) // it stands again, behind the others
					moved = true
				}
			}
			if !moved {
				break
			}
		}
		leads := map[string]int{}
		for _, names := range standing {
			leads[names[0]]++
		}
		if daemons == 2 && (leads[all[0]]-leads[all[1]] > 1 || leads[all[1]]-leads[all[0]] > 1) {
			t.Fatalf("one leads %d and the other %d", leads[all[0]], leads[all[1]])
		}
	})
}

func TestNothingIsHandedOverWhereThatHelpsNobody(t *testing.T) {
	a, b := state.App{Service: "a"}, state.App{Service: "b"}
	for _, c := range []struct {
		standing map[state.App][]string
		want     []state.App
	}{
		{nil, nil},
		{map[state.App][]string{a: {"one"}, b: {"one"}}, nil},
		{map[state.App][]string{a: {"one", "two"}}, nil},
		{map[state.App][]string{a: {"one", "two"}, b: {"two", "one"}}, nil},
		{map[state.App][]string{a: {"one", "one"}, b: {"one", "one"}}, nil},
		{map[state.App][]string{a: {"one", "two"}, b: {"one", "two"}}, []state.App{b, a}},
		{map[state.App][]string{a: {"one", "two"}, b: {"one"}}, []state.App{a}},
	} {
		if got := surplus(c.standing, "one"); !slices.Equal(got, c.want) {
			t.Errorf("of %v one hands over %v, and not %v", c.standing, got, c.want)
		}
	}
}

package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kamald/kamald/plan"
)

// section is a part of the tree: a phase, or groups of hosts that are through or still to come.
type section struct {
	label string
	steps []*step
	rows  []row // what is worth a line of its own, the most important first
}

// sections cuts the steps by group and phase, in their order. Of many groups only those under way are shown by phase.
func (t *Tree) sections() []section {
	type key struct {
		group int
		phase plan.Phase
	}
	parts := map[key][]*step{}
	for _, s := range counted(t.steps) {
		k := key{s.group, s.phase}
		parts[k] = append(parts[k], s)
	}
	keys := make([]key, 0, len(parts))
	for k := range parts {
		keys = append(keys, k)
	}
	rank := func(k key) int { // what is for all hosts stands around the groups
		switch {
		case k.group > 0:
			return 1
		case k.phase > plan.PhasePrepare:
			return 2
		}
		return 0
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.group, b.group), cmp.Compare(a.phase, b.phase))
	})
	var list []section
	folded := 0 // the group that the last section begins with, when it is of whole groups
	for i := 0; i < len(keys); i++ {
		k := keys[i]
		if t.groups < 2 || k.group == 0 {
			list, folded = append(list, section{label: k.phase.String(), steps: parts[k]}), 0
			continue
		}
		last := i
		var all []*step
		for ; last < len(keys) && keys[last].group == k.group; last++ {
			all = append(all, parts[keys[last]]...)
		}
		whole := section{steps: all}
		if st := whole.status(); st != done && st != waiting {
			for ; i < last; i++ {
				list = append(list, section{label: fmt.Sprintf("%s %d/%d", keys[i].phase, k.group, t.groups), steps: parts[keys[i]]})
			}
			folded = 0
		} else if end := len(list) - 1; folded > 0 && list[end].status() == whole.status() {
			list[end].steps = append(list[end].steps, all...)
			list[end].label = fmt.Sprintf("groups %d-%d", folded, k.group)
		} else {
			list, folded = append(list, section{label: fmt.Sprintf("group %d/%d", k.group, t.groups), steps: all}), k.group
		}
		i = last - 1
	}
	return list
}

// status of a section is the worst of its steps.
func (s section) status() status {
	n := map[status]int{}
	for _, one := range s.steps {
		n[one.status]++
	}
	switch {
	case n[failed] > 0:
		return failed
	case n[running] > 0:
		return running
	case n[waiting] == 0 && n[skipped] > 0:
		return skipped
	case n[waiting] == 0:
		return done
	case n[waiting] == len(s.steps):
		return waiting
	}
	return running
}

// hosts counts those that are through, and all.
func (s section) hosts() (through, all int, broken []string) {
	open := map[string]bool{}
	for _, one := range s.steps {
		if one.host == "" {
			continue
		}
		open[one.host] = open[one.host] || one.status != done
		if one.status == failed && !slices.Contains(broken, one.host) {
			broken = append(broken, one.host)
		}
	}
	for _, is := range open {
		if !is {
			through++
		}
	}
	return through, len(open), broken
}

// elapsed is how long it has taken so far.
func (s section) elapsed(now time.Time) time.Duration {
	var first, last time.Time
	for _, one := range s.steps {
		if one.began.IsZero() {
			continue
		}
		if first.IsZero() || one.began.Before(first) {
			first = one.began
		}
		end := one.began.Add(one.took)
		if one.status == running {
			end = now
		}
		if end.After(last) {
			last = end
		}
	}
	return max(0, last.Sub(first))
}

// text says how far it is.
func (s section) text() string {
	through, all, broken := s.hosts()
	switch st := s.status(); {
	case all == 0:
		return ""
	case st == failed:
		return fmt.Sprintf("failed on %s", strings.Join(broken, ", "))
	case st == skipped:
		return "given up"
	case st == running:
		return fmt.Sprintf("%d of %s", through, hosts(all))
	}
	return hosts(all)
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}

package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

// Everything that a seed decides, and nothing else, decides what a run does: without that no failure could be replayed.
func TestADisturbedReleaseIsTheSameEveryTimeItIsRunWithOneSeed(t *testing.T) {
	seeds := uint64(6)
	if long() {
		seeds = 500
	}
	different := map[string]bool{}
	for seed := range seeds {
		first, again := disturbedJournal(t, seed), disturbedJournal(t, seed)
		if first != again {
			t.Fatalf("two runs with seed %d differ:\n%s", seed, firstDifference(first, again))
		}
		if strings.Count(first, "\n") < 100 {
			t.Fatalf("that was no release:\n%s", first)
		}
		different[first] = true
	}
	if len(different) != int(seeds) {
		t.Errorf("%d seeds gave %d runs", seeds, len(different))
	}
}

// A random story makes as many calls, is found as good or bad, and ends at the same instant whenever it is told. Where several
// calls of a host end at one instant (a cut, a deadline), which of them an error names is the scheduler's choice; what is done
// then seldom depends on that, so that few stories may differ.
func TestAStoryIsTheSameEveryTimeItIsToldFromOneSeed(t *testing.T) {
	const few = 100 // one of so many
	seeds := uint64(4)
	if long() {
		seeds = 500
	}
	var differ []string
	for n := range seeds {
		var told [2]string
		for i := range told {
			synctest.Test(t, func(t *testing.T) {
				found, lines := play(t, 1_000_000+n)
				told[i] = strings.Join(append(found, lines[len(lines)-1]), "\n")
			})
		}
		if told[0] != told[1] {
			differ = append(differ, fmt.Sprintf("seed %d: %s", 1_000_000+n, firstDifference(told[0], told[1])))
		}
	}
	if len(differ) > max(1, int(seeds)/few) {
		t.Errorf("%d of %d stories differ:\n%s", len(differ), seeds, strings.Join(differ, "\n"))
	}
}

// disturbedJournal is every remote call of a release that meets trouble, with its instant, and what the servers are then.
func disturbedJournal(t *testing.T, seed uint64) (journal string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed)
		w.mustApply(w.release("v1"))
		first := w.Calls()
		troubles := []func(host string){
			func(host string) { w.Cut(host) }, func(host string) { w.BlackHole(host, true, true) },
			func(host string) { w.RestartEngine(host, time.Second) }, func(host string) { w.FreezeEngine(host) },
			func(host string) { w.RestartSSH(host) }, func(host string) { w.Reboot(host, 3*time.Second) },
			func(host string) { w.Slow(host, time.Second) },
		}
		var lines []string
		w.Before(func(c sim.Call) error {
			lines = append(lines, fmt.Sprintf("%s %s %t", c.At.Format(time.RFC3339Nano), c, c.Mutates))
			if n := c.N - first; n%40 == int(seed)%40 {
				host := fmt.Sprint("h", 1+(int(seed)+n/40)%3)
				troubles[(int(seed)+n/40)%len(troubles)](host)
				time.AfterFunc(4*time.Second, func() {
					w.Restore(host)
					w.ThawEngine(host)
				})
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		_, err := w.apply(ctx, w.release("v2"))
		lines = append(lines, fmt.Sprint(err))
		for _, c := range w.History() {
			lines = append(lines, c.String())
		}
		for _, host := range w.Hosts() {
			for _, c := range w.Containers(host, state.View{}) {
				lines = append(lines, fmt.Sprintf("%s %s %s %s %s %d %s", host, c.ID, c.Name, c.Status, c.Started, c.ExitCode, c.IPs))
			}
			lines = append(lines, w.FileNames(host)...)
		}
		journal = strings.Join(slices.DeleteFunc(lines, func(line string) bool { return line == "" }), "\n")
	})
	return journal
}

// firstDifference shows where two texts part, with a few lines before.
func firstDifference(a, b string) string {
	before, after := strings.Split(a, "\n"), strings.Split(b, "\n")
	i := 0
	for i < min(len(before), len(after)) && before[i] == after[i] {
		i++
	}
	cut := func(lines []string) string { return strings.Join(lines[max(0, i-5):min(len(lines), i+5)], "\n") }
	return fmt.Sprintf("line %d\n%s\n---\n%s", i, cut(before), cut(after))
}

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// contest is what the rounds gave, a trial a round for each way.
type contest struct {
	hand, loose, kamald []trial
}

// compareReleases measures releases by hand and by kamald in turns, and prints the figures.
func compareReleases(ctx context.Context, s *site, rounds int) error {
	for i := 1; i <= rounds; i++ {
		for _, service := range []string{byHand, unordered, byKamald} {
			if err := s.build(ctx, service, version(service, i)); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nA release on two web hosts and one workers host, %d MiB to pull; %d rounds, each way in turn; load %s\n\n", padMiB, rounds, load())
	var c contest
	for i := 1; i <= rounds; i++ {
		hand, err := s.raw(ctx, byHand, version(byHand, i))
		if err != nil {
			return err
		}
		loose, err := s.raw(ctx, unordered, version(unordered, i))
		if err != nil {
			return err
		}
		kamald, err := s.apply(ctx, version(byKamald, i))
		if err != nil {
			return err
		}
		c.hand, c.loose, c.kamald = append(c.hand, hand), append(c.loose, loose), append(c.kamald, kamald)
	}
	c.print()
	fmt.Printf("\nload at the end: %s\n", load())
	return nil
}

// version names a round's version of a service; no two services share one, since the layer that is new depends on it.
func version(service string, round int) string { return service + "-v" + strconv.Itoa(round) }

func (c contest) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "WAY\tMEDIAN\tMIN\tMAX\tKAMALD / IT, PAIR BY PAIR")
	for _, row := range []struct {
		name   string
		trials []trial
	}{{"by hand, in a release's order", c.hand}, {"by hand, in no order", c.loose}, {"kamald apply", c.kamald}} {
		times := durations(row.trials, func(t trial) time.Duration { return t.took })
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\n", row.name, ms(median(times)), ms(slices.Min(times)), ms(slices.Max(times)), ratio(c.kamald, row.trials))
	}
	_, _ = fmt.Fprintln(w, "\nSTAGE\tBY HAND\tKAMALD\tMORE")
	for i, s := range stages {
		hand := median(durations(c.hand, func(t trial) time.Duration { return t.split()[i] }))
		kamald := median(durations(c.kamald, func(t trial) time.Duration { return t.split()[i] }))
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.name, ms(hand), ms(kamald), ms(kamald-hand))
	}
	_, _ = fmt.Fprintln(w, "\nSLOWEST CALL\tBY HAND\tKAMALD\tMORE")
	for _, method := range methods(c.kamald) {
		hand := median(durations(c.hand, func(t trial) time.Duration { return t.slowest(method) }))
		kamald := median(durations(c.kamald, func(t trial) time.Duration { return t.slowest(method) }))
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", method, ms(hand), ms(kamald), ms(kamald-hand))
	}
	_ = w.Flush()
}

// methods are those that were called, in alphabetical order.
func methods(trials []trial) []string {
	seen := map[string]bool{}
	for _, t := range trials {
		for _, c := range t.calls {
			seen[c.method] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ratio is the median of what each pair of trials gives.
func ratio(over, under []trial) float64 {
	var all []float64
	for i := range over {
		all = append(all, float64(over[i].took)/float64(under[i].took))
	}
	return median(all)
}

func durations(trials []trial, of func(trial) time.Duration) []time.Duration {
	var all []time.Duration
	for _, t := range trials {
		all = append(all, of(t))
	}
	return all
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + " ms" }

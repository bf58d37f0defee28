package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// cell is one measurement that rounds repeat.
type cell struct {
	conns int
	body  int
	rates map[string][]float64
	p99s  map[string][]float64 // in milliseconds
	costs map[string][]float64 // in microseconds of processor time
}

var bodies = []int{200, 1 << 20}

// measureLoad measures every number of connections and body with every contender, round by round, and prints the medians.
func (b *bench) measureLoad(ctx context.Context) error {
	var all []*contender
	defer func() {
		for _, c := range all {
			c.end()
		}
	}()
	for _, name := range b.settings.contenders {
		c, err := b.start(ctx, name, false)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	var cells []*cell
	for _, body := range bodies {
		for _, conns := range b.settings.conns {
			cells = append(cells, &cell{conns, body, map[string][]float64{}, map[string][]float64{}, map[string][]float64{}})
		}
	}
	for round := range b.settings.rounds {
		for _, c := range cells {
			for i := range all {
				if err := b.measure(ctx, c, all[(i+round)%len(all)]); err != nil {
					return err
				}
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.settings.rounds)
	}
	b.printLoad(cells)
	fmt.Fprintln(b.out, "\nPeak memory under this load:")
	for _, c := range all {
		if c.process != nil {
			fmt.Fprintf(b.out, "- %s: %s\n", c.name, size(c.process.peak()))
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context, c *cell, who *contender) error {
	path := fmt.Sprintf("/bytes/%d", c.body)
	saturate(ctx, who.address, path, c.conns, b.settings.length/5) // connections are made, caches are warm
	before := who.spent()
	full := saturate(ctx, who.address, path, c.conns, b.settings.length)
	if err := full.check(who.name); err != nil {
		return err
	}
	cost := who.spent() - before
	half := paced(ctx, who.address, path, c.conns, b.settings.length, full.rate/2)
	if err := half.check(who.name); err != nil {
		return err
	}
	c.rates[who.name] = append(c.rates[who.name], full.rate)
	c.p99s[who.name] = append(c.p99s[who.name], float64(half.p99)/float64(time.Millisecond))
	c.costs[who.name] = append(c.costs[who.name], float64(cost)/float64(time.Microsecond)/float64(full.answers))
	return ctx.Err()
}

// printLoad prints medians, and the medians of the ratios, which are taken round by round.
func (b *bench) printLoad(cells []*cell) {
	names := b.settings.contenders
	for _, part := range []struct {
		costs         bool
		title, format string
		of            func(*cell) map[string][]float64
	}{
		{false, "Requests a second at saturation", "%.0f", func(c *cell) map[string][]float64 { return c.rates }},
		{true, "Processor time of the proxy for each request at saturation, in microseconds", "%.0f", func(c *cell) map[string][]float64 { return c.costs }},
		{false, "99th percentile at half of each one's own saturation, in milliseconds", "%.2f", func(c *cell) map[string][]float64 { return c.p99s }},
	} {
		fmt.Fprintf(b.out, "\n%s:\n\n| connections | body | %s |", part.title, strings.Join(names, " | "))
		rivals := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "kamald-proxy" || !slices.Contains(names, "kamald-proxy") })
		if part.costs {
			rivals = slices.DeleteFunc(rivals, func(n string) bool { return n == "bare" }) // no proxy, no time of one
		}
		for _, rival := range rivals {
			fmt.Fprintf(b.out, " kamald / %s |", rival)
		}
		fmt.Fprintf(b.out, "\n|%s\n", strings.Repeat("---:|", 2+len(names)+len(rivals)))
		for _, c := range cells {
			values := part.of(c)
			fmt.Fprintf(b.out, "| %d | %s |", c.conns, size(int64(c.body)))
			for _, name := range names {
				fmt.Fprintf(b.out, " "+part.format+" |", median(values[name]))
			}
			for _, rival := range rivals {
				fmt.Fprintf(b.out, " %.2f |", median(ratios(values["kamald-proxy"], values[rival])))
			}
			fmt.Fprintln(b.out)
		}
	}
}

func ratios(ours, theirs []float64) []float64 {
	var all []float64
	for i := range min(len(ours), len(theirs)) {
		all = append(all, ours[i]/theirs[i])
	}
	return all
}

// median is the middle value, or between the two middle ones; 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.3g MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.3g KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// Command bench measures kamald on the lab. It prints side by side, from one run, what a release costs by hand (the floor: the
// bare engine calls, in parallel) and by `kamald apply`; and how many dependent round trips a plan takes. What counts are the
// ratios and the counts: the times are those of the machine at hand.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	rounds := flag.Int("n", 5, "how many times each release is measured")
	bin := flag.String("bin", "bin/kamald", "the built program")
	only := flag.String("only", "", "measure one part: release or plan")
	limit := flag.Duration("limit", 30*time.Minute, "give up after this time, waiting for the lab included")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if err := run(ctx, *bin, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, rounds int, only string) error {
	if rounds < 1 {
		return fmt.Errorf("-n is %d: at least one round is needed", rounds)
	}
	s, err := newSite(ctx, bin)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Println(machine())
	if err := s.first(ctx); err != nil {
		return err
	}
	if only != "plan" {
		if err := compareReleases(ctx, s, rounds); err != nil {
			return err
		}
	}
	if only != "release" {
		return measurePlans(ctx, s, rounds)
	}
	return nil
}

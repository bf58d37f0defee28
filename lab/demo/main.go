// Command demo shows the whole loop on this machine and checks every word of it: a plan, a release, a second one while a
// client keeps asking, a broken one that the barrier holds back, drift found and healed, a rollback. It uses this machine's
// Docker engine as host `local`, with names, ports and a network of its own, and removes what it made; without an engine it
// plays the same on simulated hosts. It exits 0 only when everything that it expects came true.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1) // after everything was cleaned up: run has returned
	}
}

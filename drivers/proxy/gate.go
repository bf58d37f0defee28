package proxy

import (
	"context"
	"fmt"
	"time"
)

// Pause holds the route's requests, each at most so long, and returns when those in flight have ended, at most after drain.
func (d *Driver) Pause(ctx context.Context, container, name string, drain, most time.Duration) error {
	if drain < 0 || most <= 0 {
		return fmt.Errorf("route %s is not paused: it is paused for more than 0 at most and drains for 0 or more, not %s and %s", name, most, drain)
	}
	return d.gate(ctx, container, name, "pause", drain, "--drain-timeout="+drain.String(), "--max-pause="+most.String())
}

// Stop answers the route's requests with 503 and the message, and returns when those in flight have ended, at most after drain.
func (d *Driver) Stop(ctx context.Context, container, name, message string, drain time.Duration) error {
	if drain < 0 {
		return fmt.Errorf("route %s is not stopped: the drain timeout must not be negative, not %s", name, drain)
	}
	flags := []string{"--drain-timeout=" + drain.String()}
	if message != "" {
		flags = append(flags, "--message="+message)
	}
	return d.gate(ctx, container, name, "stop", drain, flags...)
}

// Resume ends a pause and a stop.
func (d *Driver) Resume(ctx context.Context, container, name string) error {
	return d.gate(ctx, container, name, "resume", 2*margin)
}

// gate runs one of the commands; what it does to a route that is so already is the same again.
func (d *Driver) gate(ctx context.Context, container, name, verb string, waits time.Duration, flags ...string) error {
	_, err := d.run(ctx, container, name, verb, waits, append([]string{verb, name}, flags...)...)
	return err
}

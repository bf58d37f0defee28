package main

import (
	"context"
	"fmt"
	"os"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
	"golang.org/x/time/rate"
)

// bandwidthVariable is the environment variable that --bandwidth takes its place from when it is not given.
const bandwidthVariable = "KAMALD_BANDWIDTH"

// bandwidth is how many bytes of images may be sent from this machine a second, to all hosts together; 0 is as many as go.
type bandwidth int64

// bandwidthFlag adds --bandwidth.
func (p *program) bandwidthFlag(f *pflag.FlagSet) {
	f.Var(&p.bandwidth, "bandwidth", "bytes a second that images may take which are carried from here, all hosts together, such as 20M (default: no limit, or $"+bandwidthVariable+")")
}

// Set implements pflag.Value. Sizes are Docker's: k, m and g are powers of 1024.
func (b *bandwidth) Set(text string) error {
	bytes, err := units.RAMInBytes(text)
	if err != nil || bytes <= 0 {
		return fmt.Errorf("%q is no size: give bytes a second, such as 512k or 20M", text)
	}
	*b = bandwidth(bytes)
	return nil
}

// String implements pflag.Value.
func (b *bandwidth) String() string {
	if *b == 0 {
		return ""
	}
	return units.BytesSize(float64(*b))
}

// Type implements pflag.Value.
func (b *bandwidth) Type() string { return "size" }

// fromEnvironment takes the variable's value where the flag was not given.
func (b *bandwidth) fromEnvironment(f *pflag.FlagSet) error {
	text := os.Getenv(bandwidthVariable)
	if f.Changed("bandwidth") || text == "" {
		return nil
	}
	if err := b.Set(text); err != nil {
		return fmt.Errorf("%s: %w", bandwidthVariable, err)
	}
	return nil
}

// burst is how much is let through at once after a pause: little, for others share the line.
const burst = 64 << 10

// throttle waits until so many more bytes may be sent; nil where there is no limit.
func (b bandwidth) throttle() func(context.Context, int) error {
	if b == 0 {
		return nil
	}
	limiter := rate.NewLimiter(rate.Limit(b), burst)
	return func(ctx context.Context, bytes int) error {
		for bytes > 0 {
			part := min(bytes, burst)
			if err := limiter.WaitN(ctx, part); err != nil {
				return err
			}
			bytes -= part
		}
		return nil
	}
}

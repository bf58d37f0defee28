package proxy

import (
	"context"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	// garbageRoom is how much garbage may lie about when little is in use. Go's own rule, as much as is in use, has a proxy that
	// holds some MiB collect dozens of times a second under load.
	garbageRoom = 32 << 20
	// collectorLook is the time between two looks at what is in use.
	collectorLook = time.Second
)

// tuneCollector lets garbage be as much as is in use, as Go does, or garbageRoom, until ctx ends. A GOGC of the user's stays.
func tuneCollector(ctx context.Context, env environment) {
	if env["GOGC"] != "" {
		return
	}
	live := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(collectorLook)
	defer ticker.Stop()
	for set := 0; ; {
		runtimemetrics.Read(live)
		if percent := collectorPercent(live[0].Value.Uint64()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// collectorPercent is GOGC for a heap with so many bytes in use, in steps, for setting it stops the program for a moment.
func collectorPercent(live uint64) int {
	percent := garbageRoom * 100 / max(live, 4<<20)
	return int(max(100, percent/50*50))
}

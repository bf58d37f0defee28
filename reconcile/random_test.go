package reconcile_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Random fleets, operations and faults: from one seed everything derives. KAMALD_SEED=n takes one seed, KAMALD_LONG 10,000.
func TestRandom(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("KAMALD_SEED"), 10, 64); err == nil {
		t.Logf("%d violations", replayed(t, seed))
		return
	}
	seeds := 30
	if long() {
		seeds = envInt("KAMALD_SEEDS", 10_000)
	}
	wander(t, "random", uint64(envInt("KAMALD_FIRST", 1)), func(n uint64) bool { return n < uint64(seeds) })
}

// KAMALD_SOAK=n goes on with new seeds for n seconds (`make soak SECONDS=n`).
func TestSoak(t *testing.T) {
	seconds := envInt("KAMALD_SOAK", 0)
	if seconds == 0 {
		t.Log("nothing is asked for: make soak SECONDS=n")
		return
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	wander(t, "soak", uint64(time.Now().UnixNano()), func(uint64) bool { return time.Now().Before(end) })
}

// wander plays seeds from first on, on all processors, as long as it may, and says how many.
func wander(t *testing.T, name string, first uint64, more func(n uint64) bool) {
	began := time.Now()
	var next, seeds, violations atomic.Uint64
	t.Run("seeds", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1) - 1; more(n); n = next.Add(1) - 1 {
					violations.Add(uint64(replayed(t, first+n)))
					seeds.Add(1)
				}
			})
		}
	})
	took := time.Since(began)
	said := fmt.Sprintf("%d seeds from %d, %d violations, %.0f seeds a second on %d processors", seeds.Load(), first, violations.Load(),
		float64(seeds.Load())/took.Seconds(), runtime.GOMAXPROCS(0))
	t.Log(said)
	figures(t, name, fmt.Sprintf("%s (%s): %s.", name, took.Round(time.Second), said))
}

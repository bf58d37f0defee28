package loop_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/state/bolt"
)

// mostHeap is what a daemon may keep in memory of a host that is idle, in bytes.
const mostHeap = 64 << 10

// TestAnIdleDaemonCostsLittle: nothing happens for an hour, and what that costs a host is counted. What runs here besides the daemon are
// the simulated servers: their work is in the processor time, their growth in the memory.
func TestAnIdleDaemonCostsLittle(t *testing.T) {
	scale := 10
	if os.Getenv("KAMALD_LONG") != "" {
		scale = 1
	}
	t.Log("figure idle: | apps | hosts of each | heap a host | stacks a host | goroutines a host | calls a host, an hour | processor time a host, an hour | allocated a host, an hour |")
	t.Log("figure idle: |---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, fleet := range []struct{ apps, hosts int }{{1, 1000 / scale}, {100 / scale, 10}} {
		synctest.Test(t, func(t *testing.T) { measureIdle(t, fleet.apps, fleet.hosts) })
	}
}

func measureIdle(t *testing.T, apps, hosts int) {
	f := newServers(t, 3, apps, hosts)
	store, err := bolt.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	all := uint64(apps * hosts)
	before := costs(f)
	f.begin(store)
	time.Sleep(20 * time.Minute) // it has looked at everything, also when it was strange
	began := costs(f)
	time.Sleep(time.Hour)
	ended := costs(f)
	heap := grown(before.heap, ended.heap) / all
	calls := uint64(ended.calls-began.calls) / all
	t.Logf("figure idle: | %d | %d | %.1f KiB | %.1f KiB | %.1f | %d | %.1f ms | %.1f MiB |", apps, hosts, float64(heap)/1024, float64(grown(before.stacks, ended.stacks)/all)/1024,
		float64(ended.goroutines-before.goroutines)/float64(all), calls, float64((ended.cpu-began.cpu).Microseconds())/float64(all)/1000, float64((ended.allocated-began.allocated)/all)/(1<<20))
	if heap > mostHeap {
		t.Errorf("%d apps on %d hosts each: %d bytes of memory a host, more than %d", apps, hosts, heap, mostHeap)
	}
	if most := uint64(13*20 + 60); calls == 0 || calls > most { // a look every five minutes, and a sign of life every minute
		t.Errorf("%d apps on %d hosts each: %d calls a host in an idle hour, want at most %d", apps, hosts, calls, most)
	}
	if grows := grown(began.heap, ended.heap) / all; grows > 2<<10 {
		t.Errorf("%d apps on %d hosts each: memory grows by %d bytes a host in an idle hour", apps, hosts, grows)
	}
	f.stop()
}

// cost is what the process has used by a moment.
type cost struct {
	heap, stacks, allocated uint64
	goroutines, calls       int
	cpu                     time.Duration
}

func costs(f *fleet) cost {
	runtime.GC()
	runtime.GC() // what pools have kept goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		f.t.Fatal(err)
	}
	return cost{heap: m.HeapAlloc, stacks: m.StackInuse, allocated: m.TotalAlloc, goroutines: runtime.NumGoroutine(), calls: f.Calls(),
		cpu: time.Duration(used.Utime.Nano() + used.Stime.Nano())}
}

func grown(from, to uint64) uint64 { return to - min(from, to) }

package plan_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/kamald/kamald/plan"
)

// TestFiguresOfThePlanner states what a plan over a fleet costs, in the form of docs/performance.md. It judges no time: that
// allocations grow with the fleet and no faster is a test of its own.
func TestFiguresOfThePlanner(t *testing.T) {
	sizes := []int{10, 100}
	if os.Getenv("KAMALD_LONG") != "" {
		sizes = []int{10, 100, 1000, 10000}
	} else if err := flag.Set("test.benchtime", "5x"); err != nil {
		t.Fatal(err)
	}
	t.Log("figure planner: | hosts | containers | plan | time | a container | memory | allocations | steps |")
	t.Log("figure planner: |---:|---:|---|---:|---:|---:|---:|---:|")
	for _, version := range []string{"v2", "v3"} {
		what := map[string]string{"v2": "nothing to do", "v3": "a release"}[version]
		for _, hosts := range sizes {
			in := fleet(hosts, version).input()
			steps := len(plan.New(in).Steps)
			r := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					plan.New(in)
				}
			})
			ms := float64(r.NsPerOp()) / 1e6
			t.Logf("figure planner: | %d | %d | %s | %.1f ms | %.1f µs | %s | %d | %d |", hosts, hosts*5, what, ms,
				ms*1000/float64(hosts*5), mebibytes(r.AllocedBytesPerOp()), r.AllocsPerOp(), steps)
		}
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

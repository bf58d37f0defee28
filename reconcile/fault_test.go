package reconcile_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// sampled is every how manieth call of a scenario is disturbed when the full counts are not wanted, by every other fault. It shares no
// factor with the shape of a release, and each pair of scenario and fault begins elsewhere.
const sampled = 211

// For every n: whatever happens to the n-th remote call of a release, I1 to I11 hold, and two rounds later all is as it
// should be. `make long` takes every call; KAMALD_FAULT="scenario/fault/n" takes one.
func TestEveryCallMayFail(t *testing.T) {
	one := strings.Split(os.Getenv("KAMALD_FAULT"), "/")
	step := sampled
	if long() {
		step = envInt("KAMALD_STEP", 1)
	}
	var total tally
	for i, s := range scenarios {
		for j, f := range faults {
			if len(one) == 3 && (one[0] != s.name || one[1] != f.name) || len(one) != 3 && step == sampled && (i+j)%2 == 1 {
				continue
			}
			t.Run(s.name+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				if len(one) == 3 {
					n, _ := strconv.Atoi(one[2])
					disturb(t, s, f, n)
					return
				}
				runs := 0
				for n := 1 + (5*i+3*j)%step; disturb(t, s, f, n); n += step {
					runs++
				}
				total.add(s.name, f.name, runs, t.Failed())
			})
		}
	}
	t.Cleanup(func() { t.Logf("%s", &total); figures(t, "faults", total.table()) })
}

// disturb runs one trial in virtual time; false when the scenario has fewer than n calls.
func disturb(t *testing.T, s scenario, f fault, n int) (met bool) {
	var found []string
	synctest.Test(t, func(t *testing.T) { found, met = trial(t, s, f, n) })
	for _, v := range found {
		t.Errorf("n=%d: %s\n  replay: KAMALD_FAULT='%s/%s/%d' go test ./reconcile -run TestEveryCallMayFail -v", n, v, s.name, f.name, n)
	}
	return met
}

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// tally counts runs.
type tally struct {
	mu     sync.Mutex
	runs   map[string]map[string]int // scenario → fault → runs
	failed int
}

func (l *tally) add(scenario, fault string, runs int, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[string]map[string]int{}
	}
	if l.runs[scenario] == nil {
		l.runs[scenario] = map[string]int{}
	}
	l.runs[scenario][fault] += runs
	if failed {
		l.failed++
	}
}

func (l *tally) String() string {
	sum := 0
	for _, byFault := range l.runs {
		for _, runs := range byFault {
			sum += runs
		}
	}
	return fmt.Sprintf("%d runs of %d scenarios, pairs of scenario and fault with violations: %d (%d processors)", sum, len(l.runs), l.failed, runtime.GOMAXPROCS(0))
}

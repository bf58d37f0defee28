package e2e

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C or SIGTERM at any moment: what was begun is finished or taken back, no lock is left, nothing half-made stays without
// being named, the next plan is right, and no request is lost.
func TestInterruptedAtAnyMoment(t *testing.T) {
	f := newFixture(t)
	chances := rand.New(rand.NewPCG(seeded(t), 1))
	f.deploy(settings{timeout: "20s"})
	f.image("v1", nil)
	f.must(0, "apply", "--version", "v1")
	f.image("v2", map[string]string{"APP_START_DELAY": "500ms"})
	load := startLoad(t, 30, 50*time.Minute, f.host(1), f.host(2))
	whole := f.must(0, "apply", "--version", "v2").took
	serves, count := "v2", 2
	if long() {
		count = 100
	}
	interrupted := 0
	for n := range count {
		wanted := "v1"
		if serves == "v1" {
			wanted = "v2"
		}
		moment := time.Duration(chances.Int64N(int64(whole)))
		signal := []os.Signal{os.Interrupt, syscall.SIGTERM}[chances.IntN(2)]
		t.Logf("%d: from %s to %s, %s after %s", n, serves, wanted, signal, moment.Round(time.Millisecond))
		if f.interruptedAt(signal, moment, serves, wanted) {
			interrupted++
		}
		if f.running(f.host(1))[0] == "shop-web-"+wanted {
			serves = wanted
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d of %d were interrupted before they were done", interrupted, count)
	load.end(t)
	f.must(0, "apply", "--version", serves)
	f.must(0, "plan", "--version", serves, "--detailed-exitcode")
	f.whole(serves)
}

// interruptedAt begins a release of a version, interrupts it, and wants what stands to be all old or all new, or to be said.
func (f *fixture) interruptedAt(signal os.Signal, moment time.Duration, old, wanted string) (interrupted bool) {
	f.t.Helper()
	before := f.standing()
	p := f.begin("apply", "--version", wanted)
	time.Sleep(moment)
	p.signal(signal)
	r := p.wait()
	if r.code == 0 {
		f.whole(wanted)
		return false
	}
	// A signal that comes before the program's first line ends it as any other program: it has done nothing, as is seen below.
	if early := r.code == -1 && r.all() == ""; r.code != 130 && !early {
		f.t.Errorf("exit code %d, want 130", r.code)
	}
	after := f.standing()
	if slices.EqualFunc(before[:], after[:], slices.Equal) { // to the last container, and no lock
		f.wantLatest(old)
		f.must(0, "plan", "--version", old, "--detailed-exitcode")
		f.must(2, "plan", "--version", wanted, "--detailed-exitcode")
		return true
	}
	if strings.Contains(r.stdout, "every role runs what it ran before") {
		f.t.Errorf("it says that all is as before; before:\n%q\nafter:\n%q", before, after)
	}
	// The release served already: it is finished by the next apply.
	f.must(0, "apply", "--version", wanted)
	f.whole(wanted)
	f.must(0, "plan", "--version", wanted, "--detailed-exitcode")
	return true
}

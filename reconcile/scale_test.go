package reconcile_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// every is how many hosts there are for one that fails: 1 % of them do.
const every = 100

// fleetOf is a world of many hosts, each with the web role, and workers on every tenth.
func fleetOf(t *testing.T, hosts int) (*world, func(version string) release.Release) {
	w := &world{World: sim.New(1, sim.WithCredentials("deploy", "registry-password")), t: t, store: &memory{}}
	for n := 1; n <= 3; n++ {
		w.image(fmt.Sprintf("v%d", n), sim.Healthy(300*time.Millisecond))
	}
	var names, tenth []string
	for i := range hosts {
		name := fmt.Sprintf("host-%05d", i)
		w.AddHost(name)
		names = append(names, name)
		if i%10 == 0 {
			tenth = append(tenth, name)
		}
	}
	return w, func(version string) release.Release {
		desired := w.release(version)
		desired.Hosts = nil
		for _, name := range names {
			desired.Hosts = append(desired.Hosts, release.Host{Name: name, Address: name, SSH: desired.SSH})
		}
		desired.Roles[0].Hosts, desired.Roles[1].Hosts = names, tenth
		return desired
	}
}

// TestAReleaseOverAFleetWithFailuresEnds, and ends right: hosts that cannot be reached are left out and named, and converge when
// they are back; a version that does not start on some hosts is taken back on all. `make long` does it on 10,000 hosts.
func TestAReleaseOverAFleetWithFailuresEnds(t *testing.T) {
	hosts := 100
	if long() {
		hosts = 10000
	}
	began := time.Now()
	peak, stop := watchMemory()
	synctest.Test(t, func(t *testing.T) {
		w, at := fleetOf(t, hosts)
		w.fleetApply(at("v1"), reconcile.Options{}, state.OutcomeSucceeded, nil)
		w.fleetRuns("v1", nil)
		w.cutSome(at)
		w.failSome(at)
		t.Logf("%d calls", w.Calls())
	})
	stop()
	t.Logf("figure fleet: %d simulated hosts, a first release, one that leaves out %d hosts, the rest of it, one that fails on %d hosts "+
		"and is taken back on all: %.0f s on %d processors, at most %d MiB of memory.",
		hosts, hosts/every, hosts/every, time.Since(began).Seconds(), runtime.GOMAXPROCS(0), *peak>>20)
}

// cutSome releases while 1 % of the hosts cannot be reached, and once more when they are back.
func (w *world) cutSome(at func(string) release.Release) {
	cut := failing(w.Hosts())
	for _, host := range cut {
		w.Cut(host)
	}
	w.fleetApply(at("v2"), reconcile.Options{SkipUnreachable: true}, state.OutcomePartial, cut)
	w.fleetRuns("v2", map[string][]string{"v1": cut})
	for _, host := range cut {
		w.Restore(host)
	}
	w.fleetApply(at("v2"), reconcile.Options{}, state.OutcomeSucceeded, nil)
	w.fleetRuns("v2", nil)
}

// failSome releases a version that does not start on 1 % of the hosts.
func (w *world) failSome(at func(string) release.Release) {
	broken := failing(w.Hosts())
	w.Before(func(c sim.Call) error {
		if c.Method == "Engine.Start" && slices.Contains(broken, c.Host) && !strings.Contains(w.versionOf(c), "v2") {
			return errors.New("no space left on device")
		}
		return nil
	})
	report := w.fleetApply(at("v3"), reconcile.Options{}, state.OutcomeFailed, nil)
	w.ClearHooks()
	w.fleetRuns("v2", nil)
	if !report.Undone || len(report.Left) > 0 {
		w.t.Errorf("undone %t, left %v", report.Undone, report.Left)
	}
	for _, row := range report.Rows {
		if row.Now != "v2" || row.Before != "v2" || row.Wanted != "v3" || row.Why == "" {
			w.t.Fatalf("the report says %+v", row)
		}
	}
}

// versionOf is the name of the container that a call starts.
func (w *world) versionOf(c sim.Call) string {
	for _, there := range w.Containers(c.Host, state.View{}) {
		if strings.Contains(c.Args, there.ID) || strings.Contains(c.Args, there.Name) {
			return there.Version()
		}
	}
	return ""
}

// failing is every hundredth host, and not the first: the primary host's lock comes before all others.
func failing(hosts []string) []string {
	var some []string
	for i, host := range hosts {
		if i%every == every/2 {
			some = append(some, host)
		}
	}
	return some
}

func (w *world) fleetApply(desired release.Release, options reconcile.Options, want state.Outcome, skipped []string) reconcile.Report {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	report, err := c.Apply(w.t.Context(), desired, options)
	if report.Outcome != want || (err != nil) != (want == state.OutcomeFailed) {
		w.t.Fatalf("%s: outcome %s, want %s: %.300v", desired.Version, report.Outcome, want, err)
	}
	var names []string
	for _, s := range report.Skipped {
		names = append(names, s.Host)
	}
	if !slices.Equal(names, skipped) {
		w.t.Fatalf("%s: skipped %v, want %v", desired.Version, names, skipped)
	}
	return report
}

// fleetRuns wants a version on every host, with latest at it, but for those that are given with another.
func (w *world) fleetRuns(version string, others map[string][]string) {
	w.t.Helper()
	on := map[string]string{}
	for other, hosts := range others {
		for _, host := range hosts {
			on[host] = other
		}
	}
	for _, host := range w.Hosts() {
		want := on[host]
		if want == "" {
			want = version
		}
		for _, c := range w.Containers(host, state.View{}) {
			if c.Role != "" && c.Running() && c.Version() != want {
				w.t.Fatalf("%s runs %s, want %s", host, c.Name, want)
			}
		}
		if got := w.latest(host); got != want {
			w.t.Fatalf("%s: latest is %s, want %s", host, got, want)
		}
	}
}

// watchMemory notes the most memory that the runtime has from the system, until it is stopped.
func watchMemory() (peak *uint64, stop func()) {
	var most uint64
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.Sys-m.HeapReleased)
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return &most, func() { close(quit); <-done }
}

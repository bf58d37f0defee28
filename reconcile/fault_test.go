package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/release"
)

// faults are what can happen to the n-th remote call of a run.
var faults = map[string]func(w *world, n int){
	"fails":           func(w *world, n int) { w.FailNth(n) },
	"hangs":           func(w *world, n int) { w.HangNth(n) },
	"reply is lost":   func(w *world, n int) { w.LostReplyNth(n) },
	"kamald killed":   func(w *world, n int) { w.KillNth(n) },
	"killed after it": func(w *world, n int) { w.KillAfterNth(n) },
}

// scenario is a release that is disturbed: what runs before, and what is asked for.
type scenario struct {
	name   string
	before func(w *world)
	want   func(w *world) release.Release
	after  string // what runs when it has converged
}

var scenarios = []scenario{
	{"first deploy", func(*world) {}, func(w *world) release.Release { return w.release("v1") }, allV1},
	{"v1 to v2", func(w *world) { w.mustApply(w.release("v1")) }, func(w *world) release.Release { return w.release("v2") }, allV2},
	{"groups", func(w *world) { w.mustApply(w.release("v1")) }, func(w *world) release.Release {
		desired := w.release("v2")
		desired.Rollout.Limit = release.Limit{Count: 1}
		return desired
	}, allV2},
	{"configuration only", func(w *world) { w.mustApply(w.release("v1")) }, func(w *world) release.Release {
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.Clear = map[string]string{"LOG_LEVEL": "debug"}
		}
		return desired
	}, allV1},
}

// For every n: whatever happens to the n-th remote call, no request fails for it, the servers are left on the old or the new
// release with latest unmoved or moved, and the next two rounds converge.
func TestEveryCallMayFail(t *testing.T) {
	step := 17 // a sample; `make long` takes every call
	if long() {
		step = 1
	}
	for _, s := range scenarios {
		for fault, inject := range faults {
			t.Run(s.name+"/"+fault, func(t *testing.T) {
				runs := 0
				for n := 1; ; n += step {
					if !disturbed(t, s, inject, n) {
						break
					}
					runs++
				}
				t.Logf("%d runs", runs)
			})
		}
	}
}

// disturbed runs one scenario with one fault; false when the run makes fewer than n calls.
func disturbed(t *testing.T, s scenario, inject func(*world, int), n int) (met bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, uint64(n))
		s.before(w)
		served := w.latest("h1") != ""
		first := w.Calls()
		w.log = nil
		inject(w, first+n)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		stop, failed := w.watch(served)
		_, err := w.apply(ctx, s.want(w))
		cancel()
		hit := w.Calls() >= first+n
		killed := w.Killed()
		w.ClearHooks()
		w.Revive()
		if hit {
			w.check(n, err, s, killed)
		}
		w.converge(n, s)
		if killed { // a lock that a killed run left stays until the next run that needs it
			w.mustApply(w.release("v3"))
		}
		w.noLocks(n)
		stop()
		if count := failed(); count > 0 {
			t.Errorf("n=%d: %d requests failed\n%s", n, count, w.progress())
		}
		met = hit
	})
	return met
}

// check holds the servers to the invariants after a disturbed run, before anything else is done.
func (w *world) check(n int, err error, s scenario, killed bool) {
	w.t.Helper()
	versions := w.versions()
	all := s.after
	moved := 0
	for _, host := range w.Hosts() {
		if w.latest(host) == strings.TrimPrefix(strings.Fields(all)[0], "h1/web=") {
			moved++
		}
	}
	if s.name == "v1 to v2" || s.name == "groups" {
		if moved > 0 && versions != allV2 { // I3
			w.t.Errorf("n=%d: latest moved on %d hosts while %s runs (%v)\n%s", n, moved, versions, err, w.progress())
		}
		if !killed && err != nil && versions != allV1 && versions != allV2 { // I4
			w.t.Errorf("n=%d: after a failed release %s runs: %v\n%s", n, versions, err, w.progress())
		}
	}
}

// converge wants two rounds to be enough once the faults have ended.
func (w *world) converge(n int, s scenario) {
	w.t.Helper()
	desired := s.want(w)
	_, err := w.apply(w.t.Context(), desired)
	if err != nil {
		_, err = w.apply(w.t.Context(), desired)
	}
	if err != nil {
		w.t.Errorf("n=%d: it does not converge: %v\n%s", n, err, w.progress())
		return
	}
	if got := w.versions(); got != s.after {
		w.t.Errorf("n=%d: converged to %s, want %s\n%s", n, got, s.after, w.progress())
	}
	w.mustBeEmpty(desired)
}

// noLocks wants no lock to be left anywhere.
func (w *world) noLocks(n int) {
	w.t.Helper()
	for _, host := range w.Hosts() {
		for _, name := range w.FileNames(host) {
			if strings.Contains(name, "/lock-") {
				w.t.Errorf("n=%d: %s: a lock is left: %s", n, host, name)
			}
		}
	}
}

// watch asks the web hosts all the time, once the app serves, and counts what fails.
func (w *world) watch(served bool) (stop func(), failed func() int) {
	quit, done := make(chan struct{}), make(chan int, 1)
	go func() {
		count := 0
		for {
			select {
			case <-quit:
				done <- count
				return
			case <-time.After(20 * time.Millisecond):
			}
			for _, host := range []string{"h1", "h2"} {
				if served && w.Request(host, "shop.example.com", "/") != 200 {
					count++
				}
			}
		}
	}()
	return func() { close(quit) }, func() int { return <-done }
}

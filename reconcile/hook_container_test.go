package reconcile_test

import (
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

func TestAMigrationRunsOnceForAVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		starts := w.startsOfHooks()
		desired := w.migrating("v2", sim.Exits(0, 90*time.Second))
		w.mustApply(desired)
		if got := starts(); !slices.Equal(got, []string{"h1/shop-hook.migrate-2"}) {
			t.Errorf("started %v", got)
		}
		for _, host := range w.Hosts() {
			for _, c := range w.Containers(host, state.View{}) {
				if c.Hook != "" {
					t.Errorf("%s is still on %s", c.Name, host)
				}
			}
		}
		records, _ := w.store.Releases(desired.App())
		if len(records[0].Hooks) != 1 || records[0].Hooks[0].Name != "migrate" || records[0].Hooks[0].Host != "h1" || records[0].Hooks[0].ExitCode != 0 {
			t.Errorf("the record says %+v", records[0].Hooks)
		}
		c := w.controller()
		defer func() { _ = c.Close() }()
		current := desired
		if _, err := c.Rollback(t.Context(), current, reconcile.Back{}, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if len(starts()) != 1 {
			t.Errorf("a rollback has started %v", starts()[1:])
		}
	})
}

func TestAMigrationThatFailsLeavesTheOldVersionServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		b := sim.Exits(3, time.Second)
		b.Logs = []string{"no such column", "password " + canary}
		desired := w.migrating("v2", b)
		report, err := w.apply(t.Context(), desired)
		if err == nil || !report.OwnFault || w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" {
			t.Fatalf("%v, own fault %v, runs %s", err, report.OwnFault, w.versions())
		}
		for _, want := range []string{"h1: hook migrate (pre-boot): shop-hook.migrate-2 on h1 ended: exit code 3", "| no such column", "| password (secret)", "docker logs shop-hook.migrate-2"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		for _, call := range w.History() {
			if call.Method == "Engine.Create" && strings.HasSuffix(call.Args, "-v2") {
				t.Errorf("%s", call)
			}
		}
		if c := w.hookContainers(); !slices.Equal(c, []string{"h1/shop-hook.migrate-2"}) {
			t.Errorf("its container is not kept for its logs: %v", c)
		}
		w.mustBeEmpty(w.release("v1")) // it is no orphan, and no drift
		if _, err := w.apply(t.Context(), desired); err == nil {
			t.Error("it succeeds the second time")
		}
		if c := w.hookContainers(); !slices.Equal(c, []string{"h1/shop-hook.migrate-3"}) {
			t.Errorf("there are %v: only the newest is kept", c)
		}
		w.mustApply(w.migrating("v3", sim.Exits(0, time.Second)))
		if c := w.hookContainers(); len(c) > 0 {
			t.Errorf("after a release that succeeded there is %v", c)
		}
	})
}

func TestAMigrationThatHangsIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		desired := w.migrating("v2", sim.Exits(0, time.Hour))
		_, err := w.apply(t.Context(), desired)
		if err == nil || !strings.Contains(err.Error(), "it did not end within 10m0s, and was stopped") || w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" {
			t.Errorf("%v, runs %s", err, w.versions())
		}
	})
}

func TestAReleaseThatFailsAfterItsMigrationSaysThatItStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		desired := w.migrating("v2", sim.Exits(0, time.Second))
		desired.Roles[1].Health = &release.Health{TCP: 9999, Interval: time.Second, Timeout: time.Second} // nobody listens there
		report, err := w.apply(t.Context(), desired)
		if err == nil || !report.Undone || !slices.Equal(report.Left, []string{"h1: hook migrate has run for v2, and what it did is not undone"}) {
			t.Errorf("%v, left %v", err, report.Left)
		}
		if c := w.hookContainers(); len(c) > 0 {
			t.Errorf("there is %v", c)
		}
	})
}

// hookContainers are those that are there: host/name.
func (w *world) hookContainers() (list []string) {
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Hook != "" {
				list = append(list, host+"/"+c.Name)
			}
		}
	}
	return list
}

// startsOfHooks gives the starts of hooks' containers that are carried out from now on: host/name.
func (w *world) startsOfHooks() func() []string {
	from := len(w.History())
	return func() (list []string) {
		last := map[string]string{} // host → the hook's container that was made last
		for _, c := range w.History()[from:] {
			switch {
			case c.Err != "":
			case c.Method == "Engine.Create" && strings.Contains(c.Args, "-hook."):
				last[c.Host] = c.Args
			case c.Method == "Engine.Create":
				delete(last, c.Host)
			case c.Method == "Engine.Start" && last[c.Host] != "":
				list = append(list, c.Host+"/"+last[c.Host])
			}
		}
		return list
	}
}

// For every call of a release: kamald is killed there, and another run goes on. The migration runs once, whatever is in between.
func TestAMigrationIsNeverRunTwiceAcrossAKill(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n += stepOf(3) {
			more := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, uint64(n))
				w.mustApply(w.release("v1"))
				starts, first := w.startsOfHooks(), w.Calls()
				desired := w.migrating("v2", sim.Exits(0, 90*time.Second))
				if after {
					w.KillAfterNth(first + n)
				} else {
					w.KillNth(first + n)
				}
				_, err := w.apply(t.Context(), desired)
				more = w.Killed()
				w.ClearHooks()
				w.Revive()
				time.Sleep(30 * time.Second) // the lease is over, and the migration is not
				if again, err := w.apply(t.Context(), desired); err != nil {
					t.Fatalf("n=%d: %s %v\n%s", n, again.Outcome, err, w.progress())
				}
				if got := starts(); len(got) != 1 {
					t.Errorf("n=%d after=%v: started %v; the first ended with %v", n, after, got, err)
				}
				if w.versions() != "h1/web=v2 h2/web=v2 h3/workers=v2" {
					t.Errorf("n=%d: runs %s", n, w.versions())
				}
			})
			if !more {
				break
			}
		}
	}
}

// For every call of a release: its reply is lost. Within one run the migration is started once.
func TestAMigrationIsNeverRunTwiceForALostReply(t *testing.T) {
	for n := 1; ; n += stepOf(3) {
		more := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, uint64(n))
			w.mustApply(w.release("v1"))
			starts, first := w.startsOfHooks(), w.Calls()
			desired := w.migrating("v2", sim.Exits(0, 20*time.Second))
			w.LostReplyNth(first + n)
			_, err := w.apply(t.Context(), desired)
			more = w.Calls() >= first+n
			if got := starts(); len(got) > 1 || err == nil && len(got) != 1 {
				t.Errorf("n=%d: started %v, ended with %v", n, got, err)
			}
		})
		if !more {
			break
		}
	}
}

// stepOf is how many calls are left out between two, unless all are wanted.
func stepOf(n int) int {
	if long() {
		return 1
	}
	return n
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// covers says which remote calls an intention covers on its host, until its outcome is noted. A step's covers its own undoing
// too. Appending to the audit file is the audit itself.
var covers = map[string][]string{
	"lock":        {"Files.Mkdir .kamal/lock-", "Files.Write .kamal/lock-", "Files.Touch .kamal/lock-", "Files.Remove .kamal/lock-", "Files.Write .kamal/apps/shop/kamald/fence"},
	"take-over":   {"Files.Rename .kamal/lock-", "Files.Remove .kamal/lock-"},
	"unlock":      {"Files.Remove .kamal/lock-"},
	"env-push":    {"Files.Write .kamal/proxy/apps-config/shop/tls/", "Files.Write .kamal/apps/shop/kamald/certificates/", "Files.Write .kamal/apps/shop/env/", "Files.Remove .kamal/apps/shop/env/", "Files.Write .kamal/apps/shop/kamald/key"},
	"env":         {"Files.Write .kamal/apps/shop/env/", "Files.Remove .kamal/apps/shop/env/", "Files.Write .kamal/apps/shop/kamald/key"},
	"certificate": {"Files.Write .kamal/proxy/apps-config/shop/tls/", "Files.Write .kamal/apps/shop/kamald/certificates/", "Files.Mkdir .kamal/proxy/", "Files.Chmod .kamal/proxy"},
	"network":     {"Engine.CreateNetwork"},
	"image":       {"Engine.Pull", "Engine.Tag", "Engine.Load", "Engine.RemoveImage " + repository + ":kamald-carried-"},
	"pull":        {"Engine.Pull"},
	"place":       {"Files.Write shop-redis/", "Files.Mkdir shop-redis/", "Files.Chmod shop-redis/", "Files.Chown shop-redis/"},
	"proxy":       {"Engine.Create", "Engine.Start", "Engine.ConnectNetwork", "Engine.Pull", "Engine.Load", "Engine.Exec", "Files.Mkdir .kamal/proxy/apps-config", "Files.Chmod .kamal/proxy/apps-config", "Engine.Upload", "Proxy.Upgrade", "Proxy.Deploy", "Proxy.Prepare"},
	"rename":      {"Engine.Rename"},
	"create":      {"Engine.Create", "Engine.Stop", "Engine.Remove"},
	"start":       {"Engine.Start", "Engine.Stop"},
	"prove":       {"Engine.Exec"},
	"canary":      {"Proxy.RolloutDeploy", "Proxy.RolloutSet", "Proxy.RolloutStop"},
	"end-canary":  {"Proxy.RolloutStop"},
	"switch":      {"Proxy.Deploy", "Proxy.Remove", "Proxy.RolloutStop", "Files.Write .kamal/apps/shop/kamald/certificates/"},
	"unroute":     {"Proxy.Remove", "Proxy.Deploy", "Proxy.Stop", "Proxy.Pause"},
	"stop":        {"Engine.Stop", "Engine.Start"},
	"update":      {"Engine.Update"},
	"connect":     {"Engine.ConnectNetwork"},
	"tag":         {"Engine.Tag"},
	"resume":      {"Files.Write .kamal/apps/shop/kamald/"},
	"adopt":       {"Files.Write .kamal/apps/shop/kamald/"},
	"hold":        {"Files.Write .kamal/apps/shop/kamald/"},
	"intent":      {"Files.Write .kamal/apps/shop/kamald/intents/"},
	"cancel":      {"Files.Write .kamal/apps/shop/kamald/cancel", "Files.Remove .kamal/apps/shop/kamald/cancel"},
	"mark":        {"Files.Mkdir .kamal/apps/shop/kamald/plans/", "Files.Remove .kamal/apps/shop/kamald/plans/"},
	"record":      {"Files.Write .kamal/apps/shop/kamald/releases/", "Files.Remove .kamal/apps/shop/kamald/releases/"}, // those beyond what is kept go with it
	"keep":        {"Files.Write .kamal/apps/shop/kamald/releases/"},
	"remove":      {"Engine.Remove"},
	"untag":       {"Engine.RemoveImage"},
	"clean":       {"Files.Remove .kamal/"},

	"accessory-stop":    {"Engine.Stop", "Proxy.Stop", "Proxy.Remove", "Files.Write .kamal/apps/shop/kamald/intents/"},
	"accessory-start":   {"Engine.Start", "Proxy.Deploy", "Proxy.Resume", "Files.Write .kamal/apps/shop/kamald/intents/", "Files.Write .kamal/apps/shop/kamald/certificates/"},
	"accessory-restart": {"Engine.Stop", "Engine.Start", "Proxy.Stop", "Proxy.Remove", "Proxy.Deploy", "Proxy.Resume", "Files.Write .kamal/apps/shop/kamald/intents/"},
}

// open gives the intentions on a host whose outcome is not noted.
func (m *memory) open(host string) []state.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]state.Event{}
	for _, e := range m.events {
		key := e.Nonce + " " + e.Step
		switch {
		case e.Host != host:
		case e.Outcome == state.EventIntended:
			found[key] = e
		default:
			delete(found, key)
		}
	}
	return slices.Collect(maps.Values(found))
}

// mustNote fails the test when a server is mutated without an intention that was in the store before.
func (w *world) mustNote() {
	w.Before(func(c sim.Call) error {
		if !c.Mutates || c.Method == "Files.Append" && strings.HasSuffix(c.Args, "-audit.log") {
			return nil
		}
		call := c.Method + " " + c.Args
		if !slices.ContainsFunc(w.store.open(c.Host), func(e state.Event) bool {
			return e.Who != "" && e.Where != "" && e.Nonce != "" && slices.ContainsFunc(covers[e.Kind], func(start string) bool { return strings.HasPrefix(call, start) })
		}) {
			w.t.Errorf("nothing in the store covers %s", c)
		}
		return nil
	})
}

func TestEveryMutationIsNotedBeforeItHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 801)
		w.mustNote()
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		w.image("v3", sim.Exits(3, time.Millisecond))
		if _, err := w.apply(t.Context(), w.release("v3")); err == nil {
			t.Error("a broken release succeeded")
		}
		w.UpdateMemory("h1", "shop-web-v2", "1000000000")
		w.mustApply(w.release("v2")) // heals
		w.mustRollBack(w.release("v2"))
		w.mustResume()
		for _, version := range []string{"v4", "v5", "v6"} { // the last ones prune
			w.mustApply(w.release(version))
		}
		c := w.controller()
		if _, err := c.PushEnv(t.Context(), w.release("v6"), plan.Filter{}); err != nil {
			t.Error(err)
		}
		w.MakeDir("h1", ".kamal/lock-shop")
		if taken, err := c.Unlock(t.Context(), w.release("v6")); err != nil || len(taken.Released) != 1 {
			t.Errorf("unlocked %v: %v", taken, err)
		}
		for _, host := range w.Hosts() {
			if open := w.store.open(host); len(open) > 0 {
				t.Errorf("%s: no outcome of %+v", host, open)
			}
		}
	})
}

func TestWhatAPersonDoesBesideReleasesIsNotedBeforeItHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 807)
		w.mustNote()
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		c := w.controller()
		must := func(what string, err error) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := c.Cordon(t.Context(), w.release("v2"), "h2", "a new disk", time.Time{})
		must("cordon", err)
		_, err = c.Uncordon(t.Context(), w.release("v2"), "h2")
		must("uncordon", err)
		must("lock", c.AcquireLock(t.Context(), w.release("v2"), "migration"))
		_, err = c.Unlock(t.Context(), w.release("v2"))
		must("unlock", err)
		_, err = c.Apply(t.Context(), w.release("v2"), reconcile.Options{Hold: true})
		must("hold", err)
		w.mustResume()
		planned, err := c.Plan(t.Context(), w.release("v3"), reconcile.Options{})
		must("plan", err)
		_, err = c.ApplySaved(t.Context(), c.SavePlan(planned, "1.0.0"), w.release("v3"))
		must("apply the file", err)
		w.cancelledOnce()
		for _, host := range w.Hosts() {
			if open := w.store.open(host); len(open) > 0 {
				t.Errorf("%s: no outcome of %+v", host, open)
			}
		}
	})
}

// cancelledOnce asks a release of v5 to end.
func (w *world) cancelledOnce() {
	result := make(chan rolled, 1)
	w.image("v5", sim.Healthy(5*time.Second))
	w.during(func(c sim.Call) bool { return c.Method == "Engine.Start" && c.Host == "h2" }, func() {
		result <- w.rollBack(w.t.Context(), w.release("v5"), reconcile.Back{})
	})
	report, err := w.apply(w.t.Context(), w.oneByOne("v5"))
	if back := <-result; report.Outcome != state.OutcomeCancelled || back.err != nil {
		w.t.Errorf("the release: %s %v; the rollback: %v", report.Outcome, err, back.err)
	}
	data, _ := w.File("h1", ".kamal/shop-audit.log")
	for _, line := range []string{"] Asked release ", "] Cordoned h2\n", "] Uncordoned h2\n"} {
		if !strings.Contains(string(data), line) {
			w.t.Errorf("no %q in the audit file of h1: %s", line, data)
		}
	}
}

func TestEveryMutationIsNotedWhateverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, 802)
		first.mustApply(first.release("v1"))
		before := first.Calls()
		first.mustApply(first.release("v2"))
		total := first.Calls() - before
		for n := 1; n <= total; n += 3 {
			w := newWorld(t, 802)
			w.mustNote()
			w.mustApply(w.release("v1"))
			at := w.Calls() + n
			switch n % 2 {
			case 0:
				w.FailNth(at)
			case 1:
				w.LostReplyNth(at)
			}
			_, _ = w.apply(t.Context(), w.release("v2"))
		}
	})
}

func TestAStoreThatCannotBeWrittenForbidsMutations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 803)
		w.mustApply(w.release("v1"))
		full := fmt.Errorf("the store: %w", syscall.ENOSPC)
		before := len(w.History())
		c := w.controller()
		w.store.full = full
		if _, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("apply: %v", err)
		}
		if _, err := c.PushEnv(t.Context(), w.release("v1"), plan.Filter{}); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "noted before") {
			t.Errorf("env push: %v", err)
		}
		w.MakeDir("h1", ".kamal/lock-shop")
		if _, err := c.Unlock(t.Context(), w.release("v1")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("unlock: %v", err)
		}
		if after := w.History(); len(after) != before {
			t.Errorf("servers were changed: %v", after[before:])
		}
	})
}

// When the store fills while a release is under way, what began is taken back all the same, and the locks go.
func TestAStoreThatFillsMidwayForbidsNoCompensation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 804)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Start" && c.Host == "h2" {
				w.store.mu.Lock()
				w.store.full = syscall.ENOSPC
				w.store.mu.Unlock()
				return sim.ErrFault
			}
			return nil
		})
		report, err := w.apply(t.Context(), w.release("v2"))
		w.ClearHooks()
		if !errors.Is(err, syscall.ENOSPC) || !report.Undone || len(report.Left) != 1 || !strings.Contains(report.Left[0], "store") {
			t.Errorf("undone %v, left %v: %v", report.Undone, report.Left, err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("what runs: %s", got)
		}
		for _, host := range w.Hosts() {
			for _, name := range w.FileNames(host) {
				if strings.Contains(name, "lock-") {
					t.Errorf("%s: %s stays", host, name)
				}
			}
		}
	})
}

func TestTheHostsAuditFileSaysWhatWasDoneInKamalsForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 805)
		w.mustApply(w.release("v1"))
		before := w.Calls()
		w.mustApply(w.release("v2"))
		appends := 0
		for _, c := range w.History() {
			if c.Method == "Files.Append" && c.Host == "h1" && c.N > before {
				appends++
			}
		}
		if appends > 6 {
			t.Errorf("%d appends for a release: more than one a phase", appends)
		}
		w.mustLog("h1", "[web] Created shop-web-v2", "[web] Booted app version v2", "[web] Switched traffic of shop-web", "[web] Stopped shop-web-v1",
			"] Tagged "+repository+":v2 as the latest image", "] Released version v2 (release 2)")
		w.image("v3", sim.Exits(3, time.Millisecond))
		_, _ = w.apply(context.Background(), w.release("v3"))
		w.mustLog("h1", "[web] Created shop-web-v3", "[web] Undone: remove shop-web-v3", "] Failed: release of version v3 (release 3): ")
	})
}

// mustLog wants lines in a host's audit file, in their order.
func (w *world) mustLog(host string, wanted ...string) {
	w.t.Helper()
	data, _ := w.File(host, ".kamal/shop-audit.log")
	rest := string(data)
	for _, line := range wanted {
		_, after, found := strings.Cut(rest, line)
		if !found {
			w.t.Errorf("%s: no line %q after the ones before it in\n%s", host, line, data)
		}
		rest = after
	}
}

// A full disk takes no line, and forbids nothing.
func TestAHostWhoseAuditFileCannotBeWrittenIsReleasedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 806)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Method == "Files.Append" && c.Host == "h1" {
				return syscall.ENOSPC
			}
			return nil
		})
		w.mustApply(w.release("v2"))
		if got := w.versions(); got != allV2 {
			t.Errorf("what runs: %s", got)
		}
		if !strings.Contains(w.progress(), "warn h1  its audit file could not be written") {
			t.Errorf("nobody was told:\n%s", w.progress())
		}
	})
}

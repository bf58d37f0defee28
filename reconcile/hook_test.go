package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// hereHooks are the commands of a test, by their first word: nothing is run.
type hereHooks struct {
	fails map[string]error
	says  map[string][]string
	takes time.Duration

	mu  sync.Mutex
	ran []string // command, host and what else is looked at
	env []map[string]string
}

func (h *hereHooks) Run(ctx context.Context, dir string, argv []string, env map[string]string, secrets map[string]release.Secret, say func(string)) error {
	h.mu.Lock()
	h.ran = append(h.ran, argv[0])
	seen := map[string]string{"DIR": dir}
	for name, value := range env {
		seen[name] = value
	}
	for name, secret := range secrets {
		seen[name] = secret.Reveal()
	}
	h.env = append(h.env, seen)
	h.mu.Unlock()
	for _, line := range h.says[argv[0]] {
		say(line)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(h.takes):
	}
	return h.fails[argv[0]]
}

func (h *hereHooks) given(argv string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.ran, argv)
	if i < 0 {
		return nil
	}
	return h.env[i]
}

// migrating pushes a version whose command bin/migrate behaves so, and gives the release that runs it.
func (w *world) migrating(version string, b sim.Behaviour) release.Release {
	w.Push(sim.Image{Ref: repository + ":" + version, Behaviour: sim.Healthy(300 * time.Millisecond), Labels: map[string]string{"service": "shop", "version": version},
		Commands: map[string]sim.Behaviour{"bin/migrate": b}})
	desired := w.release(version)
	desired.Hooks.List = []release.Hook{{Name: "migrate", At: release.HookPreBoot, Role: "web", Run: []string{"bin/migrate"}, On: []string{"release"},
		Timeout: 10 * time.Minute, Output: release.OutputShow}}
	return desired
}

// hooked has the hooks of a release run by a test's commands.
func (w *world) hooked(h *hereHooks) *reconcile.Controller {
	c := w.controller()
	c.Hooks, c.Command, c.Performer = h, "deploy", "someone@example.com"
	c.AllSecrets = func() (map[string]release.Secret, []error) {
		return map[string]release.Secret{"TOKEN": release.NewSecret(canary)}, nil
	}
	return c
}

// everywhere is a release with an executable at every moment of it.
func (w *world) everywhere(version string) release.Release {
	desired := w.release(version)
	desired.Hooks.Dir = "/srv/shop"
	for name, at := range map[string]string{"pre-deploy": release.HookPreDeploy, "pre-app-boot": release.HookPreBoot, "post-app-boot": release.HookPostBoot,
		"post-deploy": release.HookPostDeploy, "failure": release.HookFailure, "rollback": release.HookRollback} {
		desired.Hooks.List = append(desired.Hooks.List, release.Hook{Name: name, At: at, File: name, On: onRelease(at), Timeout: time.Minute, Output: release.OutputShow,
			AllSecrets: name == "pre-deploy"})
	}
	slices.SortFunc(desired.Hooks.List, func(a, b release.Hook) int { return strings.Compare(a.Name, b.Name) })
	return desired
}

func TestNothingOfASecretIsShownThatBeginsWithAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		c := w.hooked(&hereHooks{says: map[string][]string{"pre-deploy": {"it is p4ssword-and-more, not p4ssword"}}})
		defer func() { _ = c.Close() }()
		c.AllSecrets = func() (map[string]release.Secret, []error) {
			return map[string]release.Secret{"A": release.NewSecret("p4ssword"), "B": release.NewSecret("p4ssword-and-more")}, nil
		}
		if err := c.RunHooks(t.Context(), w.everywhere("v1"), release.HookPreDeploy, reconcile.HookAbout{Kind: "release"}); err != nil {
			t.Fatal(err)
		}
		if progress := w.progress(); !strings.Contains(progress, "it is (secret), not (secret)") {
			t.Errorf("shown:\n%s", progress)
		}
	})
}

func onRelease(at string) []string {
	if at == release.HookRollback {
		return nil
	}
	return []string{"release", "rollback", "config"}
}

func TestLocalHooksRunInOrderWithTheirVariables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		h := &hereHooks{says: map[string][]string{"pre-deploy": {"the token is " + canary}}}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := w.everywhere("v2")
		desired.Rollout.Limit = release.Limit{Count: 2}
		if _, err := c.Apply(t.Context(), desired, reconcile.Options{}); err != nil {
			t.Fatalf("%v\n%s", err, w.progress())
		}
		want := []string{"pre-deploy", "pre-app-boot", "post-app-boot", "pre-app-boot", "post-app-boot", "post-deploy"}
		if !slices.Equal(h.ran, want) {
			t.Errorf("ran %v, want %v", h.ran, want)
		}
		first := h.given("pre-deploy")
		for name, value := range map[string]string{"DIR": "/srv/shop", "KAMAL_COMMAND": "deploy", "KAMAL_SUBCOMMAND": "", "KAMAL_PERFORMER": "someone@example.com", "KAMAL_SERVICE": "shop",
			"KAMAL_VERSION": "v2", "KAMAL_SERVICE_VERSION": "shop@v2", "KAMAL_HOSTS": "h1,h2,h3", "KAMAL_LOCK": "true", "KAMAL_RUNTIME": "", "KAMAL_ROLES": "", "TOKEN": canary} {
			if first[name] != value {
				t.Errorf("%s is %q at pre-deploy, want %q", name, first[name], value)
			}
		}
		if _, err := time.Parse(time.RFC3339, first["KAMAL_RECORDED_AT"]); err != nil {
			t.Error(err)
		}
		boot := h.given("pre-app-boot")
		if _, secret := boot["TOKEN"]; secret || boot["KAMAL_HOSTS"] != "h1,h2" {
			t.Errorf("at pre-app-boot: %v", boot)
		}
		if h.given("post-deploy")["KAMAL_RUNTIME"] == "" {
			t.Error("post-deploy is not told how long it took")
		}
		if progress := w.progress(); strings.Contains(progress, canary) || !strings.Contains(progress, "pre-deploy | the token is (secret)") {
			t.Errorf("shown:\n%s", progress)
		}
		if _, err := c.Apply(t.Context(), desired, reconcile.Options{}); err != nil || len(h.ran) != len(want) {
			t.Errorf("with nothing to do %v ran, %v", h.ran[len(want):], err)
		}
	})
}

func TestAHookBeforeThatFailsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		before := len(w.History())
		h := &hereHooks{fails: map[string]error{"pre-deploy": errors.New("exit code 1")}, says: map[string][]string{"pre-deploy": {"the checks are red"}}}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		report, err := c.Apply(t.Context(), w.everywhere("v2"), reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), "hook pre-deploy: exit code 1") || !strings.Contains(err.Error(), "| the checks are red") || report.Outcome != state.OutcomeFailed {
			t.Errorf("%s: %v", report.Outcome, err)
		}
		if strings.Contains(reconcile.Brief(err), "red") {
			t.Errorf("what is kept has the hook's own words: %s", reconcile.Brief(err))
		}
		for _, call := range w.History()[before:] {
			if strings.HasPrefix(call.Method, "Engine.") || strings.HasPrefix(call.Method, "Proxy.") {
				t.Errorf("%s", call)
			}
		}
		if !slices.Equal(h.ran, []string{"pre-deploy", "failure"}) || !strings.Contains(h.given("failure")["KAMALD_REASON"], "exit code 1") {
			t.Errorf("ran %v, told %q", h.ran, h.given("failure")["KAMALD_REASON"])
		}
		if w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" {
			t.Errorf("runs %s", w.versions())
		}
	})
}

func TestAHookThatFailsLaterTakesTheReleaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		h := &hereHooks{fails: map[string]error{"post-app-boot": errors.New("exit code 1")}}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		report, err := c.Apply(t.Context(), w.everywhere("v2"), reconcile.Options{})
		if err == nil || !report.Undone || len(report.Left) > 0 || w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" || w.latest("h1") != "v1" {
			t.Errorf("%v, undone %v, left %v, runs %s", err, report.Undone, report.Left, w.versions())
		}
		if slices.Contains(h.ran, "post-deploy") || !slices.Contains(h.ran, "failure") {
			t.Errorf("ran %v", h.ran)
		}
	})
}

func TestAHookAtTheEndThatFailsUndoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		h := &hereHooks{fails: map[string]error{"post-deploy": errors.New("exit code 1")}}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := w.everywhere("v2")
		report, err := c.Apply(t.Context(), desired, reconcile.Options{})
		if err == nil || report.Undone || w.versions() != "h1/web=v2 h2/web=v2 h3/workers=v2" || w.latest("h1") != "v2" {
			t.Errorf("%v, undone %v, runs %s", err, report.Undone, w.versions())
		}
		if slices.Contains(h.ran, "failure") {
			t.Errorf("ran %v, and the release serves", h.ran)
		}
		w.mustBeEmpty(desired)
	})
}

func TestAHookThatHangsIsEndedWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		h := &hereHooks{takes: time.Hour}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		_, err := c.Apply(t.Context(), w.everywhere("v1"), reconcile.Options{})
		if err == nil || !strings.Contains(err.Error(), "it did not end within 1m0s, and was ended with all that it had begun") {
			t.Errorf("%v", err)
		}
	})
}

func TestARollbackRunsItsHooksAndHealingNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		w.mustApply(w.release("v2"))
		h := &hereHooks{}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		if _, err := c.Rollback(t.Context(), w.everywhere("v2"), reconcile.Back{}, reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		if h.ran[0] != "pre-deploy" || !slices.Contains(h.ran, "rollback") || h.ran[len(h.ran)-1] != "post-deploy" || w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v1" {
			t.Errorf("ran %v, runs %s", h.ran, w.versions())
		}
		h.ran = nil
		w.StopContainer("h3", "shop-workers-v1")
		if _, err := c.Apply(t.Context(), w.everywhere("v1"), reconcile.Options{}); err != nil || len(h.ran) > 0 {
			t.Errorf("%v, healing ran %v", err, h.ran)
		}
	})
}

func TestWhatComesBeforeTheFirstConnectionRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fails := range []error{nil, errors.New("exit code 1")} {
			w := newWorld(t, 1)
			h := &hereHooks{takes: time.Second, fails: map[string]error{"vpn": fails}}
			c := w.hooked(h)
			desired := w.release("v1")
			desired.Hooks.List = []release.Hook{{Name: "pre-connect", At: release.HookPreConnect, File: "vpn", Timeout: time.Minute, Output: release.OutputShow}}
			c.PreConnect(desired)
			_, err := c.Apply(t.Context(), desired, reconcile.Options{})
			if !slices.Equal(h.ran, []string{"vpn"}) || h.given("vpn")["KAMAL_LOCK"] != "false" {
				t.Errorf("ran %v", h.ran)
			}
			if fails == nil && err != nil || fails != nil && (err == nil || !strings.Contains(err.Error(), "hook pre-connect: exit code 1") || w.Calls() > 0) {
				t.Errorf("%v after %d calls", err, w.Calls())
			}
			_ = c.Close()
		}
	})
}

func TestASavedPlanRunsTheHooksThatTheFileHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		h := &hereHooks{}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := w.everywhere("v1")
		planned, err := c.Plan(t.Context(), desired, reconcile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		saved := c.SavePlan(planned, "test")
		other := desired
		other.Hooks.List = slices.Clone(desired.Hooks.List)
		i := slices.IndexFunc(other.Hooks.List, func(h release.Hook) bool { return h.Name == "pre-deploy" })
		other.Hooks.List[i].File = "elsewhere"
		var stale *reconcile.StaleError
		if _, err := c.ApplySaved(t.Context(), saved, other); !errors.As(err, &stale) || !strings.Contains(err.Error(), "the hook pre-deploy is another in the file here") || len(h.ran) > 0 {
			t.Errorf("%v, ran %v", err, h.ran)
		}
		if report, err := c.ApplySaved(t.Context(), saved, desired); err != nil || report.Kind != plan.KindRelease || h.ran[0] != "pre-deploy" {
			t.Errorf("%v, ran %v", err, h.ran)
		}
	})
}

func TestASecretThatAHookNamesMustBeAtHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		h := &hereHooks{}
		c := w.hooked(h)
		defer func() { _ = c.Close() }()
		desired := w.release("v1")
		hook := release.Hook{Name: "tell", At: release.HookPreDeploy, Run: []string{"tell"}, On: []string{"release"}, Timeout: time.Minute, Secrets: []string{"MISSING"}}
		desired.Hooks.List = []release.Hook{hook}
		if _, err := c.Apply(t.Context(), desired, reconcile.Options{}); err == nil || !strings.Contains(err.Error(), "secret MISSING is not at hand here: none of the test has it") || len(h.ran) > 0 {
			t.Errorf("%v, ran %v", err, h.ran)
		}
		desired.Hooks.List[0].Secrets = []string{"TOKEN"}
		if _, err := c.Apply(t.Context(), desired, reconcile.Options{}); err != nil || h.given("tell")["TOKEN"] != canary {
			t.Errorf("%v, given %v", err, fmt.Sprint(len(h.given("tell"))))
		}
	})
}

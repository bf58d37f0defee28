package loop_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/reconcile/loop"
	"github.com/kamald/kamald/release"
)

// commands are those of a test's hooks: nothing is run.
type commands struct {
	mu  sync.Mutex
	ran []string
}

func (c *commands) Run(_ context.Context, dir string, argv []string, env map[string]string, _ map[string]release.Secret, _ func(string)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran = append(c.ran, argv[0]+" "+dir+" "+env["KAMAL_COMMAND"]+" "+env["KAMALD_REASON"])
	return nil
}

func (c *commands) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ran)
}

// withHooks has the daemon run hooks of the source's file by a test's commands.
func (w *world) withHooks(c *commands) func(*loop.Options) {
	for _, at := range []string{release.HookDrift, release.HookPreDeploy} {
		w.source.release.Hooks.List = append(w.source.release.Hooks.List, release.Hook{Name: at, At: at, File: at, On: []string{"release", "rollback", "config"}, Timeout: time.Minute})
	}
	w.source.release.Hooks.Dir = "/srv"
	return func(o *loop.Options) {
		o.Open = func(r release.Release) (*reconcile.Controller, error) {
			controller, err := w.open(r)
			if err == nil {
				controller.Hooks, controller.Command = c, "run"
			}
			return controller, err
		}
	}
}

func TestDriftThatIsFoundRunsItsHookAndRepairsRunNone(t *testing.T) {
	inWorld(t, func(w *world) {
		c := &commands{}
		w.deployed("v1").start(w.withHooks(c)).settle()
		w.RemoveContainer("h1", "shop-web-v1")
		w.pass(10 * time.Second)
		w.want(all("v1"))
		if got := c.all(); len(got) != 1 || got[0][:len("drift /srv run ")] != "drift /srv run " || len(got[0]) == len("drift /srv run ") {
			t.Errorf("ran %q", got)
		}
		w.pass(20 * time.Minute)
		if got := c.all(); len(got) != 1 {
			t.Errorf("ran again: %q", got)
		}
	})
}

// Whoever sends a release to the daemon sends no commands: those are the source's. Without hooks there are none.
func TestAnOrderRunsTheHooksOfTheSource(t *testing.T) {
	for skips, want := range map[bool][]string{false: {"pre-deploy /srv run "}, true: nil} {
		inWorld(t, func(w *world) {
			c := &commands{}
			w.deployed("v1").start(w.withHooks(c)).settle()
			sent := w.wanted("v2")
			sent.Hooks.List = []release.Hook{{Name: "evil", At: release.HookPreDeploy, Run: []string{"evil"}, Timeout: time.Minute}}
			if _, err := w.loop.Order(loop.Order{Verb: loop.VerbRelease, App: shop, Version: "v2", Release: &sent, By: loopPerson("ada"), SkipHooks: skips}); err != nil {
				t.Fatal(err)
			}
			w.pass(2 * time.Minute)
			w.want(all("v2"))
			if got := c.all(); !slices.Equal(got, want) {
				t.Errorf("skips %v: ran %q", skips, got)
			}
		})
	}
}

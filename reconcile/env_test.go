package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

func TestAHostThatIsDownKeepsNoOtherFromItsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 808)
		w.mustApply(w.release("v1"))
		files := map[string]string{"h2/web": "web.env", "h3/workers": "workers.env"}
		for at, name := range files {
			host, _, _ := strings.Cut(at, "/")
			w.RemoveFile(host, ".kamal/apps/shop/env/roles/"+name)
		}
		w.Cut("h1")
		c := w.controller()
		defer func() { _ = c.Close() }()
		pushed, err := c.PushEnv(t.Context(), w.release("v1"), plan.Filter{})
		if err == nil || !strings.Contains(err.Error(), "h1: ") || strings.Contains(err.Error(), "h2") || !slices.Equal(pushed, []string{"h2/web", "h3/workers"}) {
			t.Errorf("pushed to %v: %v", pushed, err)
		}
		for at, name := range files {
			host, _, _ := strings.Cut(at, "/")
			if _, there := w.File(host, ".kamal/apps/shop/env/roles/"+name); !there {
				t.Errorf("%s has no secrets", at)
			}
		}
	})
}

func TestSecretsAreComparedWhereThereIsNoKeyYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 809)
		w.byKamal("v1")
		if p := w.mustPlan(w.release("v1")); !p.Empty() || p.Unrecorded == nil {
			t.Fatalf("what Kamal deployed is as written, and the plan has %+v, unrecorded %+v", p.Items, p.Unrecorded)
		}
		w.with("another-token", func(c *reconcile.Controller) error {
			planned, err := c.Plan(context.Background(), w.release("v1"), reconcile.Options{})
			var names []string
			for _, item := range planned.Plan.Items {
				for _, f := range item.Fields {
					names = append(names, item.Host+" "+f.Path)
				}
			}
			if !slices.Contains(names, "h1 secret TOKEN") || !slices.Contains(names, "h3 secret TOKEN") {
				t.Errorf("another secret at hand changes %v", names)
			}
			return err
		})
		if _, there := w.File("h1", keyFile); there {
			t.Fatal("a look has made a key")
		}
	})
}

func TestWithoutSecretsAtHandTheFirstContainerMakesTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 810)
		w.byKamal("v1")
		w.with("", func(c *reconcile.Controller) error {
			_, err := c.Apply(context.Background(), w.release("v2"), reconcile.Options{})
			return err
		})
		for _, host := range []string{"h1", "h2", "h3"} {
			key, there := w.File(host, keyFile)
			for _, c := range w.Containers(host, state.View{}) {
				if c.Role == "" || c.Asked == nil || !c.Running() {
					continue
				}
				if digest := c.Asked.Secrets["TOKEN"]; !there || digest != state.SecretDigest(key, canary) {
					t.Errorf("%s on %s bears %q", c.Name, host, digest)
				}
			}
		}
		if p := w.mustPlan(w.release("v2")); !p.Empty() {
			t.Errorf("the plan after it: %+v", p.Items)
		}
	})
}

const keyFile = ".kamal/apps/shop/kamald/key"

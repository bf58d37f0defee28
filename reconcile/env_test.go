package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
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

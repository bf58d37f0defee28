package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/release"
)

func TestEverySecretThatIsMissingIsNamedWithItsRolesAndWhereItWasLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 809)
		desired := w.release("v1")
		for i := range desired.Roles {
			desired.Roles[i].Env.Secrets = map[string]string{"A": "NOT_THERE", "TOKEN": "TOKEN"}
		}
		desired.Roles[1].Env.Secrets["B"] = "NOR_THAT"
		desired.Tags = []release.Tag{{Name: "x", Env: release.Env{Secrets: map[string]string{"C": "OF_A_TAG"}}}}
		desired.Hosts[0].Tags = []string{"x"}
		c := w.controller()
		defer func() { _ = c.Close() }()
		pushed, err := c.PushEnv(t.Context(), desired, plan.Filter{})
		if err == nil || len(pushed) > 0 {
			t.Fatalf("pushed to %v: %v", pushed, err)
		}
		for _, want := range []string{"secret NOT_THERE (env of web, workers) is in none of: the test", "secret NOR_THAT (env of workers)",
			"secret OF_A_TAG (env of web)", "add a line NOT_THERE=…"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in\n%v", want, err)
			}
		}
		if _, there := w.File("h2", ".kamal/apps/shop/env/roles/web.env"); there {
			t.Error("something was written before")
		}
	})
}

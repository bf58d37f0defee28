package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// with runs something with a value of TOKEN at hand; "" for none.
func (w *world) with(token string, do func(c *reconcile.Controller) error) {
	w.t.Helper()
	at := secrets{"REGISTRY_PASSWORD": "registry-password"}
	if token != "" {
		at["TOKEN"] = token
	}
	c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, at)
	defer func() { _ = c.Close() }()
	if err := do(c); err != nil {
		w.t.Fatal(err)
	}
}

// tokens gives the digests of TOKEN that serve.
func (w *world) tokens() map[string]string {
	found := map[string]string{}
	for _, host := range w.Hosts() {
		for _, c := range w.Containers(host, state.View{}) {
			if c.Running() && c.Role != "" {
				found[host] = c.Live.Secrets["TOKEN"] + c.Asked.Secrets["TOKEN"]
			}
		}
	}
	return found
}

// What was leaked or is worn out must not come back with an older release, though its container still stands there.
func TestARollbackIsWithTodaysSecrets(t *testing.T) {
	for name, token := range map[string]string{"at hand": "tok-2", "on the servers only": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 921)
				apply := func(version string) func(c *reconcile.Controller) error {
					return func(c *reconcile.Controller) error {
						_, err := c.Apply(t.Context(), w.release(version), reconcile.Options{})
						return err
					}
				}
				w.with("tok-1", apply("v1"))
				first := w.tokens()
				w.with("tok-2", apply("v2"))
				second := w.tokens()
				w.with(token, func(c *reconcile.Controller) error {
					_, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{})
					return err
				})
				if got := w.versions(); got != allV1 {
					t.Errorf("it runs %s", got)
				}
				for host, got := range w.tokens() {
					if got == "" || got != second[host] || got == first[host] {
						t.Errorf("%s: the token is %q, and was %q and then %q", host, got, first[host], second[host])
					}
				}
				w.with(token, func(c *reconcile.Controller) error {
					planned, err := c.Plan(t.Context(), w.release("v1"), reconcile.Options{})
					if planned.Plan.Kind != plan.KindNone {
						t.Errorf("afterwards: %+v", planned.Plan.Items)
					}
					return err
				})
			})
		})
	}
}

// What is pushed while a release is under way was not in its plan: the container is not made with it.
func TestSecretsThatAreChangedUnderAReleaseFailIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 922)
		w.mustApply(w.release("v1"))
		w.between("h1", "Engine.Pull", "", func() { w.env("h1", "web", map[string]string{"TOKEN": "somebody's"}) })
		_, err := w.apply(t.Context(), w.release("v2"))
		if err == nil || !strings.Contains(err.Error(), "secret TOKEN of web was changed on the host since the plan was made") || strings.Contains(err.Error(), "somebody's") {
			t.Errorf("%v", err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("it runs %s", got)
		}
	})
}

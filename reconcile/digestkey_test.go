package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// fields gives what the plan of a release changes with a value of TOKEN at hand: "h1 web secret TOKEN".
func (w *world) fields(token string, desired release.Release) (found []string) {
	w.with(token, func(c *reconcile.Controller) error {
		planned, err := c.Plan(w.t.Context(), desired, reconcile.Options{})
		for _, item := range planned.Plan.Items {
			for _, f := range item.Fields {
				found = append(found, fmt.Sprintf("%s %s %s", item.Host, item.Role, f.Path))
			}
		}
		for _, p := range planned.Plan.Problems {
			found = append(found, p.Summary)
		}
		return err
	})
	return found
}

// env writes a role's secrets file as Kamal's push does.
func (w *world) env(host, role string, values map[string]string) {
	secrets := map[string]release.Secret{}
	for name, value := range values {
		secrets[name] = release.NewSecret(value)
	}
	plain, _ := release.EncodeEnvFile(secrets)
	w.WriteFile(host, ".kamal/apps/shop/env/roles/"+role+".env", plain)
}

// kamals tells whether a running container of the app on the host is one that Kamal made.
func (w *world) kamals(host string) bool {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Role != "" && c.Running() && c.Asked == nil {
			return true
		}
	}
	return false
}

func TestRolesOfOneHostMayHaveDifferentValuesOfOneVariableWhereThereIsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 821)
		desired := w.release("v1")
		desired.Roles[1].Hosts = []string{"h1"}
		desired.Roles[1].Env.Secrets = map[string]string{"TOKEN": "WORKERS_TOKEN"}
		desired.Hosts = desired.Hosts[:2]
		w.mustApplyBoth(desired, "one", "two")
		for _, host := range []string{"h1", "h2"} {
			w.RemoveFile(host, ".kamal/apps/shop/kamald")
		}
		w.asKamals("h1", map[string]string{"web": "one", "workers": "two"})
		w.asKamals("h2", map[string]string{"web": "one"})
		w.store = &memory{}
		for name, c := range map[string]struct {
			web, workers string
			changed      string
		}{
			"as they are":  {"one", "two", ""},
			"swapped":      {"two", "one", "h1 web, h1 workers, h2 web"},
			"one is other": {"one", "three", "h1 workers"},
			"both the one": {"one", "one", "h1 workers"},
			"none at hand": {"", "", ""},
		} {
			w.both(c.web, c.workers, func(k *reconcile.Controller) error {
				planned, err := k.Plan(t.Context(), desired, reconcile.Options{})
				var changed []string
				for _, item := range planned.Plan.Items {
					if item.Resource == plan.ResourceContainer {
						changed = append(changed, item.Host+" "+item.Role)
					}
				}
				if got := strings.Join(changed, ", "); got != c.changed {
					t.Errorf("%s: changed %q, want %q", name, got, c.changed)
				}
				return err
			})
		}
	})
}

// both is with, with a value for each role.
func (w *world) both(web, workers string, do func(c *reconcile.Controller) error) {
	w.t.Helper()
	at := secrets{"REGISTRY_PASSWORD": "registry-password"}
	if web != "" {
		at["TOKEN"], at["WORKERS_TOKEN"] = web, workers
	}
	c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, at)
	defer func() { _ = c.Close() }()
	if err := do(c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) mustApplyBoth(desired release.Release, web, workers string) {
	w.t.Helper()
	w.both(web, workers, func(c *reconcile.Controller) error {
		_, err := c.Apply(w.t.Context(), desired, reconcile.Options{})
		return err
	})
}

// asKamals makes a host's containers anew as Kamal would have made them, with a value of TOKEN for each role.
func (w *world) asKamals(host string, tokens map[string]string) {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Asked == nil || !c.Running() || c.Role == "" {
			continue
		}
		spec := *c.Asked
		spec.Digest = ""
		w.RemoveContainer(host, c.Name)
		id := w.RunContainer(host, c.Name, spec, nil, map[string]release.Secret{"TOKEN": release.NewSecret(tokens[c.Role])})
		for _, route := range w.Routes(host) {
			if route.Name == "shop-"+c.Role {
				route.Targets = []string{state.ShortID(id) + ":3000"}
				w.SetRoute(host, route)
			}
		}
	}
}

func TestAfterAnAdoptionSecretsArePushedAndThenTheNextPlanRollsThemOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 822)
		w.byKamal("v1")
		w.mustAdopt("v1")
		push := func(token string) {
			w.with(token, func(c *reconcile.Controller) error {
				_, err := c.PushEnv(t.Context(), w.release("v1"), plan.Filter{})
				return err
			})
		}
		push(canary)
		if got := w.fields(canary, w.release("v1")); len(got) > 0 {
			t.Errorf("the same values were pushed, and the plan has %q", got)
		}
		push("another")
		if got := strings.Join(w.fields("another", w.release("v1")), ", "); got != "h1 web secret TOKEN, h2 web secret TOKEN, h3 workers secret TOKEN" {
			t.Errorf("others were pushed, and the plan has %q", got)
		}
		if !w.kamals("h1") || !w.kamals("h3") {
			t.Error("a push has restarted something")
		}
	})
}

func TestARollbackStartsTheContainerThatKamalMade(t *testing.T) {
	for name, same := range map[string]bool{"with the same secret": true, "with another secret since": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 823)
				w.byKamal("v1")
				w.mustAdopt("v1")
				w.mustRelease("v2")
				token := canary
				if !same {
					token = "another"
				}
				w.with(token, func(c *reconcile.Controller) error {
					_, err := c.Rollback(t.Context(), w.release("v2"), reconcile.Back{}, reconcile.Options{})
					return err
				})
				if got := w.versions(); got != allV1 || w.kamals("h1") != same || w.kamals("h3") != same {
					t.Errorf("it runs %s, Kamal's: %v %v", got, w.kamals("h1"), w.kamals("h3"))
				}
			})
		})
	}
}

func TestASavedPlanSaysThatTheKeyWasMadeSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 824)
		w.byKamal("v1")
		saved := w.save(w.release("v2"))
		w.with(canary, func(c *reconcile.Controller) error {
			_, err := c.PushEnv(t.Context(), w.release("v1"), plan.Filter{})
			return err
		})
		_, err := w.applySaved(saved)
		var stale *reconcile.StaleError
		if !errors.As(err, &stale) {
			t.Fatalf("%v", err)
		}
		if text := err.Error(); strings.Contains(text, "changed\n") || !strings.Contains(text, "its digest key was made") {
			t.Errorf("no secret changed, and it says %s", text)
		}
		if _, err := w.applySaved(w.save(w.release("v2"))); err != nil {
			t.Error(err)
		}
	})
}

func TestASavedPlanForAHostWithoutAKeyIsRefusedWithOtherSecretsOnIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 825)
		w.byKamal("v1")
		saved := w.save(w.release("v2"))
		w.env("h1", "web", map[string]string{"TOKEN": "somebody's"})
		if _, err := w.applySaved(saved); err == nil || !strings.Contains(err.Error(), "h1: secret TOKEN has another value") {
			t.Errorf("the secrets on h1 are others: %v", err)
		}
	})
}

func TestAPartialReleaseOfWhatKamalRunsLeavesTheOthersAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 826)
		w.byKamal("v1")
		if _, err := w.applyWith(w.release("v2"), reconcile.Options{Hosts: []string{"h1"}}); err != nil {
			t.Fatal(err)
		}
		if w.kamals("h1") || !w.kamals("h2") || !w.kamals("h3") {
			t.Errorf("Kamal's: h1 %v, h2 %v, h3 %v", w.kamals("h1"), w.kamals("h2"), w.kamals("h3"))
		}
		if _, there := w.File("h2", keyFile); there {
			t.Error("h2 was out of scope, and has a key")
		}
		w.mustApply(w.release("v2"))
	})
}

func TestAKeyFileThatIsEmptyIsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 827)
		w.byKamal("v1")
		w.WriteFile("h1", keyFile, nil)
		w.with("", func(c *reconcile.Controller) error {
			_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
			return err
		})
		for _, c := range w.Containers("h1", state.View{}) {
			if c.Asked != nil && c.Running() && c.Role != "" && c.Asked.Secrets["TOKEN"] == "" {
				t.Errorf("%s bears no digest of its secret: another value would never be noticed", c.Name)
			}
		}
	})
}

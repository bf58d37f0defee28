package reconcile_test

import (
	"context"
	"fmt"
	"slices"
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

// called notes which hosts are called from now on.
func (w *world) called() (hosts func() map[string]int) {
	var mu sync.Mutex
	calls := map[string]int{}
	w.Before(func(c sim.Call) error {
		mu.Lock()
		defer mu.Unlock()
		calls[c.Host]++
		return nil
	})
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		got := calls
		calls = map[string]int{}
		return got
	}
}

func TestAnEventOnOneHostOfManyCostsCallsToThatHostAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, at := fleetOf(t, 125)
		w.fleetApply(at("v1"), reconcile.Options{}, state.OutcomeSucceeded, nil)
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Drift(t.Context(), at("v1"), reconcile.Options{}); err != nil {
			t.Fatal(err)
		}
		const sick = "host-00100"
		w.RemoveContainer(sick, "shop-web-v1")
		asked := w.called()
		looks := map[string]func(context.Context, release.Release, reconcile.Options) (reconcile.Planned, error){"drift": c.Drift, "plan": c.Plan}
		for _, name := range []string{"drift", "plan"} {
			began := time.Now()
			planned, err := looks[name](t.Context(), at("v1"), reconcile.Options{Only: []string{sick}})
			if err != nil {
				t.Fatal(err)
			}
			if calls := asked(); len(calls) != 1 || calls[sick] == 0 {
				t.Errorf("%s: calls %v, want those to %s alone", name, calls, sick)
			}
			var hosts []string
			for _, item := range planned.Plan.Items {
				hosts = append(hosts, item.Host)
			}
			if len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return h != sick }) || len(planned.Plan.Problems) > 0 {
				t.Errorf("%s: items of %v, problems %v", name, hosts, planned.Plan.Problems)
			}
			for _, host := range planned.Snapshot.Hosts {
				if fresh := !host.SeenAt.Before(began); fresh != (host.Name == sick) || host.SeenAt.IsZero() {
					t.Fatalf("%s: %s was seen at %s, the look began at %s", name, host.Name, host.SeenAt, began)
				}
			}
		}
	})
}

// TestAHostThatTheLastLookLacksIsLookedAtInAnyCase, and all are where nothing is known yet.
func TestAHostThatTheLastLookLacksIsLookedAtInAnyCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		c := w.controller()
		defer func() { _ = c.Close() }()
		asked := w.called()
		if _, err := c.Plan(t.Context(), w.release("v1"), reconcile.Options{Only: []string{"h1"}}); err != nil {
			t.Fatal(err)
		}
		if calls := asked(); len(calls) != 3 {
			t.Errorf("calls %v, want those to every host", calls)
		}
		w.ClearHooks()
		w.mustApply(w.release("v1"))
		w.AddHost("h4")
		asked = w.called()
		wider := w.release("v1")
		wider.Hosts = append(wider.Hosts, release.Host{Name: "h4", Address: "h4", SSH: wider.SSH})
		wider.Roles[0].Hosts = append(slices.Clone(wider.Roles[0].Hosts), "h4")
		planned, err := c.Drift(t.Context(), wider, reconcile.Options{Only: []string{"h1"}})
		if err != nil {
			t.Fatal(err)
		}
		if calls := asked(); calls["h2"]+calls["h3"] > 0 || calls["h1"] == 0 {
			t.Errorf("drift: calls %v", calls)
		}
		if planned, err = c.Plan(t.Context(), wider, reconcile.Options{Only: []string{"h1"}}); err != nil {
			t.Fatal(err)
		}
		if host, ok := planned.Snapshot.Host("h4"); !ok || host.SeenAt.IsZero() || host.Engine.Version == "" {
			t.Errorf("h4: %+v", host)
		}
	})
}

// TestWhatIsDoneOnALookAtOneHostIsDoneOnALookAtAll: what has changed elsewhere since is found under the locks.
func TestWhatIsDoneOnALookAtOneHostIsDoneOnALookAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		w.RemoveContainer("h1", "shop-web-v1")
		w.RemoveContainer("h2", "shop-web-v1")
		c := w.controller()
		defer func() { _ = c.Close() }()
		report, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{Only: []string{"h1"}})
		if err != nil || report.Kind != plan.KindHeal {
			t.Fatalf("%s: %v", report.Kind, err)
		}
		if got, want := w.versions(), "h1/web=v1 h2/web=v1 h3/workers=v1"; got != want {
			t.Errorf("there runs %s, want %s", got, want)
		}
	})
}

// TestSecretsOfHostsThatAreNotLookedAtStayAsTheyAre: neither is one pushed anew, nor missed that is at hand.
func TestSecretsOfHostsThatAreNotLookedAtStayAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.mustApply(w.release("v1"))
		c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), w.store, secrets{"TOKEN": canary, "MORE": "more", "REGISTRY_PASSWORD": "registry-password"})
		defer func() { _ = c.Close() }()
		planned, err := c.Plan(t.Context(), w.release("v1"), reconcile.Options{Only: []string{"h1"}})
		if err != nil || !planned.Plan.Empty() {
			t.Errorf("%+v %v", planned.Plan.Items, err)
		}
		more := w.release("v1")
		for i := range more.Roles {
			more.Roles[i].Env.Secrets = map[string]string{"TOKEN": "TOKEN", "MORE": "MORE"}
		}
		whole, err := c.Plan(t.Context(), more, reconcile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		planned, err = c.Plan(t.Context(), more, reconcile.Options{Only: []string{"h1"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(planned.Plan.Problems) > 0 || summary(planned.Plan) != summary(whole.Plan) {
			t.Errorf("problems %v; it plans\n%s, and after a look at all\n%s", planned.Plan.Problems, summary(planned.Plan), summary(whole.Plan))
		}
	})
}

func summary(p plan.Plan) (text string) {
	for _, item := range p.Items {
		text += fmt.Sprintln(item.Action, item.Resource, item.Host, item.Role, item.Name)
	}
	return text
}

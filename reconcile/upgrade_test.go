package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// newer is the release with a newer proxy of kamald's own.
func (w *world) newer(version string) release.Release {
	desired := w.release(version)
	desired.ProxyServer.Image = "kamald/proxy:1.1.0"
	return desired
}

func (w *world) proxyID(host string) string {
	for _, c := range w.Containers(host, state.View{}) {
		if c.Name == "kamal-proxy" {
			return c.ID
		}
	}
	return ""
}

func upgradesOf(w *world) (hosts []string) {
	for _, c := range w.History() {
		if c.Method == "Proxy.Upgrade" && c.Err == "" {
			hosts = append(hosts, c.Host)
		}
	}
	return hosts
}

func TestAProxyOfAnEarlierVersionIsUpgradedInPlaceHostByHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 911)
		w.mustNote()
		w.mustApply(w.release("v1"))
		before := w.proxyID("h1")
		c := w.controller()
		planned, err := c.Plan(t.Context(), w.newer("v1"), reconcile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := planned.Plan
		if len(p.Items) != 2 || p.Items[0].Resource != plan.ResourceProxy || p.Items[0].Risk != plan.Safe || p.Items[0].Deferred != "" || p.Items[0].Reason != "upgrade in place, loses no request" {
			t.Fatalf("%+v", p.Items)
		}
		i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return s.ID == "proxy/h2" })
		if i < 0 || !slices.Contains(p.Steps[i].Needs, "proxy/h1") {
			t.Errorf("h2 does not wait for h1: %+v", p.Steps)
		}
		_ = c.Close()
		w.mustApply(w.newer("v1"))
		if got := upgradesOf(w); !slices.Equal(got, []string{"h1", "h2"}) {
			t.Errorf("upgraded %v", got)
		}
		if w.proxyID("h1") != before || w.ImageID("h1", "kamald/proxy:1.1.0") == "" {
			t.Error("the container was made anew, or its next image is not there")
		}
		if names := w.FileNames("h1"); slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "lock-proxy") }) {
			t.Errorf("the lock of the proxy stays: %v", names)
		}
		w.mustBeEmpty(w.release("v1")) // a file that asks for nothing takes no newer one back
	})
}

func TestAnUpgradeThatFailsLeavesTheOldServingAndStopsNoRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 912)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Method == "Proxy.Upgrade" {
				return errors.New("the new program does not start")
			}
			return nil
		})
		report, err := w.apply(t.Context(), w.newer("v2"))
		if err != nil || w.versions() != "h1/web=v2 h2/web=v2 h3/workers=v2" {
			t.Fatalf("%v: %s\n%s", err, w.versions(), w.progress())
		}
		left := strings.Join(report.Left, "\n")
		if !strings.Contains(left, "h1: the proxy was not upgraded to kamald/proxy:1.1.0") || !strings.Contains(left, "the new program does not start") || !strings.Contains(left, "h2: ") {
			t.Errorf("the report says %q", left)
		}
		if got := len(slices.DeleteFunc(w.History(), func(c sim.Call) bool { return c.Method != "Engine.Upload" })); got != 1 {
			t.Errorf("the program was brought to %d hosts after the first had refused it", got)
		}
		if _, err := w.apply(t.Context(), w.newer("v2")); err == nil || !strings.Contains(err.Error(), "serves on as it was") {
			t.Errorf("a plan of nothing but the upgrade: %v", err)
		}
		w.ClearHooks()
		w.mustApply(w.newer("v2"))
	})
}

func TestALostReplyOfAnUpgradeIsReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 913)
		w.mustApply(w.release("v1"))
		once := true
		w.After(func(c sim.Call) error {
			if c.Method == "Proxy.Upgrade" && once {
				once = false
				return state.ErrUnreachable
			}
			return nil
		})
		w.mustApply(w.newer("v1"))
		if got := upgradesOf(w); len(got) != 2 {
			t.Errorf("upgraded %v", got)
		}
	})
}

func TestAProxyThatCannotBeReplacedWhileItServesWaitsForAReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 914)
		old := sim.ProxyImage("kamald/proxy:1.0.0")
		old.Labels[sim.WithoutUpgrade] = "yes"
		for _, host := range w.Hosts() {
			w.Place(host, old)
		}
		w.mustApply(w.release("v1"))
		p := w.mustPlan(w.newer("v1"))
		if !p.Empty() || len(p.Items) != 2 || !strings.Contains(p.Items[0].Deferred, "`kamald proxy reboot`") {
			t.Errorf("%+v %+v", p.Items, p.Steps)
		}
	})
}

func TestAnUpgradeWaitsForTheLockOfAnotherAppsAndLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 915)
		w.mustApply(w.release("v1"))
		other := w.newer("v1")
		other.Destination = "staging"
		for i := range other.Roles {
			if other.Roles[i].Proxy != nil {
				other.Roles[i].Proxy.Options.Hosts = []string{"staging.example.com"}
			}
		}
		w.mustApply(func() release.Release { r := other; r.ProxyServer.Image = "kamald/proxy:1.0.0"; return r }())
		results := make(chan error, 2)
		for _, desired := range []release.Release{w.newer("v1"), other} {
			go func() { _, err := w.apply(t.Context(), desired); results <- err }()
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if got := upgradesOf(w); len(got) != 2 {
			t.Errorf("two apps upgraded %v", got)
		}
	})
}

func TestRoutesOfAnotherAppThatAProxyLostAtItsStartAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 916)
		w.mustApply(w.release("v1"))
		w.SetRoute("h1", state.Route{Name: "blog-web", Targets: []string{"0123456789ab:80"}, Options: state.RouteOptions{Hosts: []string{"blog.example.com"}}})
		w.StopContainer("h1", "kamal-proxy")
		w.ForgetsRoutes("h1", true)
		report, err := w.apply(t.Context(), w.release("v1"))
		if err != nil {
			t.Fatalf("%v\n%s", err, w.progress())
		}
		if left := strings.Join(report.Left, "\n"); !strings.Contains(left, "without route blog-web of another app") {
			t.Errorf("the report says %q", left)
		}
		if status := w.Answer("h1", "", "/"); status != 200 {
			t.Errorf("this app's own route answers %d", status)
		}
	})
}

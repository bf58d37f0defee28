package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/state"
)

func TestARedirectWithinTheContainerIsFollowedAsTheProxyDoesAndWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 917)
		w.image("v9", sim.Redirects("/login?from=up"))
		w.mustApply(w.release("v9"))
		if text := w.progress(); !strings.Contains(text, "warn h1 prove/h1/web shop-web-v9: its health path /up is redirected to /login?from=up") {
			t.Errorf("no warning:\n%s", text)
		}
	})
}

// Whether the proxy would get an answer from elsewhere is known at the switch, which is too late: others have been stopped by then.
func TestARedirectOutOfTheContainerIsNotHealthy(t *testing.T) {
	for _, location := range []string{"https://login.example.com/", "https://shop.example.com/secure", "https://" + sim.Nowhere + "/login"} {
		t.Run(location, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 918)
				w.mustApply(w.release("v1"))
				w.image("v9", sim.Redirects(location))
				stop, failed := w.watch(true)
				report, err := w.apply(t.Context(), w.release("v9"))
				stop()
				if err == nil || failed() > 0 || !report.Undone || w.versions() != allV1 || !strings.Contains(err.Error(), "redirects to "+location) {
					t.Errorf("%+v %v: %s, requests failed: %d", report, err, w.versions(), failed())
				}
			})
		})
	}
}

func TestARedirectToANameOfTheRouteIsFollowedWithinTheContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 919)
		w.image("v9", sim.Redirects("http://shop.example.com/login"))
		desired := w.release("v9")
		desired.Roles[0].Proxy.Options.Hosts = []string{"shop.example.com"}
		w.mustApply(desired)
		if text := w.progress(); !strings.Contains(text, "its health path /up is redirected to /login, which the proxy follows") {
			t.Errorf("no warning:\n%s", text)
		}
	})
}

// Where sshd forwards no TCP, kamald asks nothing itself: the proxy's own check decides, and its word is the cause.
func TestWhereSSHForwardsNothingTheProxysOwnCheckDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 920)
		w.Before(func(c sim.Call) error {
			if strings.HasPrefix(c.Method, "Prober.") {
				return fmt.Errorf("sshd forwards no TCP: %w", state.ErrDenied)
			}
			return nil
		})
		w.mustApply(w.release("v1"))
		w.image("v9", sim.NeverHealthy(503))
		stop, failed := w.watch(true)
		report, err := w.apply(t.Context(), w.release("v9"))
		stop()
		if err == nil || !report.Undone || len(report.Left) > 0 || failed() > 0 || w.versions() != allV1 {
			t.Fatalf("%+v %v, requests failed: %d, %s", report, err, failed(), w.versions())
		}
		if !strings.Contains(err.Error(), "failed to become healthy") || !strings.Contains(err.Error(), ": status 503)") {
			t.Errorf("the cause is not said: %v", err)
		}
		w.mustBeEmpty(w.release("v1"))
	})
}

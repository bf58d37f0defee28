package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// mustNotBegin wants a release to be refused by its plan, before any server is changed.
func (w *world) mustNotBegin(desired release.Release, texts ...string) {
	w.t.Helper()
	before := len(w.History())
	_, err := w.apply(w.t.Context(), desired)
	if !errors.Is(err, reconcile.ErrProblems) {
		w.t.Errorf("it was begun: %v", err)
	}
	mustSay(w.t, err, texts...)
	if calls := w.History()[before:]; len(calls) > 0 {
		w.t.Errorf("something was changed: %v", calls)
	}
}

func TestEnginesThatKeepImagesDifferentlyAreNamedInThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 51)
		w.KeepAsContainerd("h2")
		w.KeepAsContainerd("h3")
		asked := 0
		w.Before(func(c sim.Call) error {
			if c.Host == release.LocalHost && c.Method == "Engine.Info" {
				asked++
			}
			return nil
		})
		w.mustNotBegin(w.carried("v1"), "h2: this machine's engine keeps images by a storage driver of its own and the host's as containerd does", "h3: this machine's engine",
			"next: use a registry, or set both engines to the same store")
		if asked != 1 {
			t.Errorf("this machine's engine was asked %d times", asked)
		}
	})
}

// The version may come from a record, of a release or a partial one, from hosts, or be gone back to: this machine's image is the same.
func TestACarriedImageIsHeldAgainstThePlatformWhereverItsVersionComesFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 52)
		grown := func(version string) release.Release {
			desired := w.carried(version)
			desired.Hosts = append(desired.Hosts, release.Host{Name: "h4", Address: "h4", SSH: desired.SSH})
			desired.Roles[0].Hosts = append(desired.Roles[0].Hosts, "h4")
			return desired
		}
		w.AddHost("h4")
		w.SetArch("h4", "arm64")
		wrong := "h4/web: the image " + repository + ":%s is for linux/amd64, and the host is linux/arm64"
		next := "next: build it for linux/arm64, or, where"
		w.mustNotBegin(grown("v1"), fmt.Sprintf(wrong, "v1"), next) // from this machine
		w.mustApply(w.carried("v1"))
		w.mustNotBegin(grown("v1"), fmt.Sprintf(wrong, "v1"), next) // from the record
		w.mustApply(w.carried("v2"))
		w.using(func(c *reconcile.Controller) {
			before := len(w.History())
			_, err := c.Rollback(t.Context(), grown("v2"), reconcile.Back{Number: 1}, reconcile.Options{})
			mustSay(t, err, fmt.Sprintf(wrong, "v1"), next)
			if !errors.Is(err, reconcile.ErrProblems) || len(w.History()) > before {
				t.Errorf("it was begun: %v", err)
			}
		})
		emulated := grown("v2")
		emulated.Roles[0].Options = map[string][]string{"platform": {"linux/amd64"}}
		w.mustApply(emulated)
	})
}

func TestAnEngineOfThisMachineThatCannotBeAskedIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCarriedWorld(t, 53)
		w.mustApply(w.carried("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == release.LocalHost && c.Method == "Connect" {
				return errors.New(`DOCKER_HOST is "tcp://build:2375": host local needs a unix:// one`)
			}
			return nil
		})
		w.mustNotBegin(w.carried("v2"), "local: without a registry the image "+repository+":v2 is carried from this machine, whose engine cannot be asked for it: ", "tcp://build:2375", "next: see that Docker runs", "DOCKER_HOST")
		if w.mustBeEmpty(w.carried("v1")); t.Failed() { // what is on every host needs nothing from here
			return
		}
		desired := w.carried("v1") // and what is on some, needs it for the others
		w.AddHost("h4")
		desired.Hosts = append(desired.Hosts, release.Host{Name: "h4", Address: "h4", SSH: desired.SSH})
		desired.Roles[0].Hosts = append(desired.Roles[0].Hosts, "h4")
		w.mustNotBegin(desired, "local: without a registry the image "+repository+":v1", "tcp://build:2375", "next: see that Docker runs")
	})
}

// What hosts have under a version's tag is what is released where nobody here can be asked.
func TestHostsThatHaveTheImageNeedNoEngineHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 54)
		for _, host := range []string{"h1", "h2", "h3"} {
			w.Place(host, sim.Image{Ref: repository + ":v1", Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop", "version": "v1"}})
		}
		w.mustApply(w.carried("v1"))
		if w.versions() != allV1 || strings.Contains(w.progress(), "local") {
			t.Errorf("it runs %s\n%s", w.versions(), w.progress())
		}
	})
}

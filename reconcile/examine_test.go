package reconcile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/plan"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// untouched wants that nothing was changed on any server while something was done.
func (w *world) untouched(do func()) {
	w.t.Helper()
	before := len(w.History())
	do()
	for _, c := range w.History()[before:] {
		w.t.Errorf("%s %s %s was called", c.Host, c.Method, c.Args)
	}
}

// foreign runs a container that publishes ports and is nobody's of ours.
func (w *world) foreign(host, name string, publish ...string) {
	w.t.Helper()
	w.Push(sim.Image{Ref: "example.com/other:1", Behaviour: sim.Healthy(0)})
	conn, err := w.Connector().Connect(w.t.Context(), release.Host{Name: host, Address: host})
	if err == nil {
		err = errors.Join(conn.Engine.Pull(w.t.Context(), "example.com/other:1", "", release.Auth{Username: "deploy", Password: release.NewSecret("registry-password")}), conn.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.RunContainer(host, name, state.Spec{Image: "example.com/other:1", Options: map[string][]string{"publish": publish}}, nil, nil)
}

func TestEverythingThatIsInTheWayIsNamedAtOnceAndNothingIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 901)
		w.foreign("h1", "nginx", "80:80")
		w.Listen("h2", "[::]:443")
		w.SetFree("h3", 1<<20)
		w.SetEngine("h2", func(e *state.Engine) { e.OS = "windows" })
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Manifest" && c.Host == "h2" {
				return errors.New("the registry is down for h2")
			}
			return nil
		})
		var err error
		w.untouched(func() { _, err = w.apply(t.Context(), w.release("v1")) })
		if !errors.Is(err, reconcile.ErrProblems) {
			t.Fatal(err)
		}
		at := -1
		for _, want := range []string{"h1: port 80/tcp, which the proxy publishes, is held there by the container nginx", "h2: its engine runs containers for windows", "h2: port 443/tcp",
			"h2: the image", "h3: the image " + repository + ":v1 has no room"} {
			i := strings.Index(err.Error(), want)
			if i < at {
				t.Errorf("%q is not there, or not in its place: %v", want, err)
			}
			at = i
		}
		var planned reconcile.Planned
		w.untouched(func() { planned = w.plan(w.release("v1"), reconcile.Options{}) })
		if n := len(planned.Plan.Problems); n != 5 {
			t.Errorf("%d problems: %+v", n, planned.Plan.Problems)
		}
		w.ClearHooks()
		w.Unlisten("h2")
		w.RemoveContainer("h1", "nginx")
		w.SetFree("h3", 1<<30)
		w.SetEngine("h2", nil)
		w.mustApply(w.release("v1"))
	})
}

// TestOurOwnThatHoldsAPortIsInNobodysWay: neither the proxy that runs, nor one that stands still and is started again.
func TestOurOwnThatHoldsAPortIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 902)
		w.mustApply(w.release("v1"))
		asked := w.count("Engine.Ports")
		w.mustApply(w.release("v2"))
		if n := asked.Load(); n > 0 {
			t.Errorf("ports were asked for %d times, and none is taken", n)
		}
		w.StopContainer("h1", "kamal-proxy")
		w.RemoveContainer("h2", "kamal-proxy")
		w.mustApply(w.release("v2"))
		w.StopContainer("h1", "kamal-proxy")
		w.Listen("h1", "0.0.0.0:80")
		w.untouched(func() {
			if _, err := w.apply(t.Context(), w.release("v2")); err == nil || !strings.Contains(err.Error(), "h1: port 80/tcp, which the proxy publishes, is held there by a process that is in no container") {
				t.Error(err)
			}
		})
	})
}

func TestASingletonTakesThePortThatItsOldOneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 903)
		of := func(version string, singleton bool) (desired release.Release) {
			desired = w.release(version)
			desired.Roles[1].Options = map[string][]string{"publish": {"9000:9000"}}
			desired.Roles[1].Singleton = singleton
			return desired
		}
		w.mustApply(of("v1", true))
		w.mustApply(of("v2", true))
		w.untouched(func() {
			if _, err := w.apply(t.Context(), of("v3", false)); err == nil || !strings.Contains(err.Error(), "h3/workers: port 9000/tcp, which it publishes, is held there by shop-workers-v2") {
				t.Error(err)
			}
		})
	})
}

func TestWhatIsIgnoredIsWarnedOfAndDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 904)
		w.SetFree("h3", 20<<20)
		c := w.controller()
		defer func() { _ = c.Close() }()
		if _, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{Ignore: []plan.Check{plan.CheckPorts}}); err == nil {
			t.Fatal("another check was ignored")
		}
		if _, err := c.Apply(t.Context(), w.release("v1"), reconcile.Options{Ignore: []plan.Check{plan.CheckDisk}}); err != nil {
			t.Fatal(err)
		}
		if said := w.progress(); !strings.Contains(said, "warn   h3: the image") || !strings.Contains(said, "--ignore disk goes on all the same") {
			t.Error(said)
		}
	})
}

func TestASavedPlanIsLookedAtAgainBeforeItIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 905)
		c := w.controller()
		defer func() { _ = c.Close() }()
		planned, err := c.Plan(t.Context(), w.release("v1"), reconcile.Options{})
		if err != nil || len(planned.Plan.Problems) > 0 {
			t.Fatal(err, planned.Plan.Problems)
		}
		saved := c.SavePlan(planned, "1.0.0")
		w.SetFree("h1", 2<<20)
		w.Listen("h2", "127.0.0.1:443")
		w.untouched(func() {
			_, err = c.ApplySaved(t.Context(), saved, w.release("v1"))
			if !errors.Is(err, reconcile.ErrProblems) || !strings.Contains(err.Error(), "h1: the image") || !strings.Contains(err.Error(), "h2: port 443/tcp") {
				t.Error(err)
			}
		})
		w.SetFree("h1", 20<<20)
		w.Unlisten("h2")
		if _, err = c.ApplySaved(t.Context(), saved, w.release("v1"), plan.CheckDisk); err != nil {
			t.Error(err)
		}
	})
}

func TestAClockIsComparedAndInNoDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 906)
		w.Slow("h1", 40*time.Second) // its answer is late, and its clock is right
		right := w.plan(w.release("v1"), reconcile.Options{})
		if len(right.Plan.Warnings) > 0 {
			t.Errorf("%q", right.Plan.Warnings)
		}
		w.Restore("h1")
		w.SetSkew("h2", -10*time.Minute)
		off := w.plan(w.release("v1"), reconcile.Options{})
		if len(off.Plan.Warnings) != 1 || !strings.HasPrefix(off.Plan.Warnings[0], "h2: its clock is 10m0s behind this machine's") || len(off.Plan.Problems) > 0 {
			t.Errorf("%q %+v", off.Plan.Warnings, off.Plan.Problems)
		}
		for host, digest := range right.Plan.Observed {
			if off.Plan.Observed[host] != digest {
				t.Errorf("the digest of %s changed with a clock", host)
			}
		}
		w.mustApply(w.release("v1"))
	})
}

func TestPortsThatCannotBeAskedForAreNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 907)
		w.Deny("h1", "/proc")
		w.foreign("h1", "nginx", "443:443")
		planned := w.plan(w.release("v1"), reconcile.Options{})
		if len(planned.Plan.Warnings) != 1 || !strings.Contains(planned.Plan.Warnings[0], "h1: who holds which of its ports is not known") {
			t.Errorf("%q", planned.Plan.Warnings)
		}
		if len(planned.Plan.Problems) != 1 || !strings.Contains(planned.Plan.Problems[0].Summary, "container nginx") {
			t.Errorf("what the engine says counts: %+v", planned.Plan.Problems)
		}
	})
}

// TestLookingBeforehandIsOneRoundTripMore: everything that is asked is asked at once.
func TestLookingBeforehandIsOneRoundTripMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 908)
		var last, first time.Time
		var methods []string
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Ports" || c.Method == "Engine.Manifest" && strings.Contains(c.Args, "@") || strings.HasPrefix(c.Args, "/proc/net/") {
				if first.IsZero() {
					first = c.At
				}
				last = c.At
				if c.Host == "h2" { // h1 has told the digest, and need not be asked for it
					methods = append(methods, strings.TrimSpace(c.Method+" "+strings.TrimPrefix(c.Args, repository)))
				}
			}
			return nil
		})
		w.plan(w.release("v1"), reconcile.Options{})
		if took := last.Sub(first); took > 2*time.Millisecond { // a call takes one, and up to as much again
			t.Errorf("the questions began %s apart", took)
		}
		if len(methods) != 4 || !slices.Contains(methods, "Files.Read /proc/net/tcp6") {
			t.Errorf("h2 was asked %q", methods)
		}
	})
}

// TestAProxysImageThatCannotBeGotIsNamedOnEveryHostThatNeedsIt: it comes from elsewhere than the app's, and before anything else.
func TestAProxysImageThatCannotBeGotIsNamedOnEveryHostThatNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 909)
		desired := w.release("v1")
		desired.ProxyServer.Image = "proxies.example.com/proxy:v1.2.3"
		w.untouched(func() {
			_, err := w.apply(t.Context(), desired)
			if !errors.Is(err, reconcile.ErrProblems) || strings.Count(err.Error(), "the proxy's image proxies.example.com/proxy:v1.2.3 is not on the host") != 2 || strings.Contains(err.Error(), "h3: ") {
				t.Error(err)
			}
		})
	})
}

func TestAVersionThatAPolicyChoseIsLookedAtLikeOneThatWasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 910)
		w.image("1.0.0", sim.Healthy(0))
		w.SetPassword("token-1") // and the one that is at hand has expired
		w.SetFree("h3", 1<<20)
		at := &tokens{secrets: secrets{"TOKEN": canary}}
		c := w.controller()
		c.Secrets = at
		w.mustRefuse(c, w.policy("~> 1.0"), "h3: the image "+repository+":1.0.0 has no room")
		if at.renewed != 1 {
			t.Errorf("the password was looked up anew %d times", at.renewed)
		}
	})
}

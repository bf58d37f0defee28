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
)

// tight is a world that holds v2, and a v3 of 600 MiB that h1 has; with a failed release its image of 500 MiB lies on every host.
func tight(t *testing.T, seed uint64, failed bool) *world {
	w := newWorld(t, seed)
	w.mustApply(w.release("v1"))
	w.mustApply(w.release("v2"))
	w.Push(sim.Image{Ref: repository + ":v9", Size: 500 << 20, Behaviour: sim.Exits(1, time.Millisecond), Labels: map[string]string{"service": "shop"}})
	if failed {
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("a broken release succeeded")
		}
	}
	w.Push(sim.Image{Ref: repository + ":v3", Size: 600 << 20, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop"}})
	conn, err := w.Connector().Connect(t.Context(), w.release("v3").Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Engine.Pull(t.Context(), repository+":v3", "", release.Auth{Username: "deploy", Password: release.NewSecret("registry-password")}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatIsKeptForNothingGoesBeforeAnImageThatLacksRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tight(t, 841, true)
		w.SetFree("h3", 300<<20)
		planned := w.planWith(w.release("v3"), reconcile.Options{})
		image := slices.IndexFunc(planned.Plan.Steps, func(s plan.Step) bool { return s.ID == "image/h3" })
		if image < 0 || !slices.Contains(planned.Plan.Steps[image].Needs, "untag/h3/"+repository+":v9") {
			t.Fatalf("%+v", planned.Plan.Steps)
		}
		for _, s := range planned.Plan.Steps {
			if s.Phase == plan.PhasePrepare && (s.Kind == plan.StepRemove || s.Kind == plan.StepUntag) && s.Host != "h3" {
				t.Errorf("%s has room, and loses %s early", s.Host, s.Name)
			}
		}
		w.mustApply(w.release("v3"))
		if got := w.images("h3"); got != "v1 v2 v3" {
			t.Errorf("images on h3: %s", got)
		}
		w.mustNote()
		w.mustRollBack(w.release("v3"))
	})
}

// As with any new version: no server has its image, so that nobody knows how large it is.
func TestWhatIsKeptForNothingGoesBeforeAnImageThatNoServerHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 845)
		for _, version := range []string{"v1", "v2", "v3"} {
			w.Push(sim.Image{Ref: repository + ":" + version, Size: 600 << 20, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop"}})
		}
		w.Push(sim.Image{Ref: repository + ":v9", Size: 500 << 20, Behaviour: sim.Exits(1, time.Millisecond), Labels: map[string]string{"service": "shop"}})
		w.released("v1", "v2")
		if _, err := w.apply(t.Context(), w.release("v9")); err == nil {
			t.Fatal("a broken release succeeded")
		}
		w.SetFree("h3", 300<<20)
		w.mustApply(w.release("v3"))
		if got := w.images("h3"); got != "v1 v2 v3" {
			t.Errorf("images on h3: %s", got)
		}
		w.SetFree("h3", 40<<20)
		if planned := w.planWith(w.release("v4"), reconcile.Options{}); len(planned.Plan.Problems) > 0 {
			t.Errorf("an alarm though nobody knows: %+v", planned.Plan.Problems)
		}
		w.SetFree("h3", 1<<20)
		if planned := w.planWith(w.release("v4"), reconcile.Options{}); len(planned.Plan.Problems) != 1 {
			t.Errorf("no alarm though nothing has room: %+v", planned.Plan.Problems)
		}
	})
}

// Until the new release has succeeded, all that the held one could go back to stays.
func TestMakingRoomTakesNothingThatAFailedReleaseWouldGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tight(t, 842, true)
		w.SetFree("h3", 300<<20)
		broken := w.release("v3")
		w.Before(func(c sim.Call) error {
			if c.Method == "Engine.Start" && c.Host == "h3" {
				return sim.ErrFault
			}
			return nil
		})
		if _, err := w.apply(t.Context(), broken); err == nil {
			t.Fatal("it succeeded")
		}
		w.ClearHooks()
		if got := w.images("h3"); got != "v1 v2 v3" || w.versions() != allV2 {
			t.Errorf("images on h3: %s, and %s", got, w.versions())
		}
		w.back(w.release("v2"), reconcile.Back{}, 1, allV1)
	})
}

func TestAnImageThatCannotHaveRoomIsAProblemBeforeAnythingIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tight(t, 843, false)
		w.SetFree("h3", 1<<20)
		before := len(w.History())
		_, err := w.apply(t.Context(), w.release("v3"))
		if err == nil {
			t.Fatal("it went on")
		}
		for _, want := range []string{"h3: the image " + repository + ":v3 has no room", "at least 594 MiB", "/var/lib/docker", "1 MiB are free", "kamald prune --retain 1"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in: %v", want, err)
			}
		}
		for _, c := range w.History()[before:] {
			if c.Mutates {
				t.Errorf("it did %+v", c)
			}
		}
	})
}

// containerd keeps images on a disk of its own, or not.
func TestRoomIsLookedForWhereImagesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tight(t, 846, false)
		for _, c := range []struct {
			images, rest int64
			says         string
		}{
			{1 << 20, 10 << 30, "where the engine keeps images (/var/lib/containerd), and 1 MiB are free"},
			{10 << 30, 2 << 20, "where the engine keeps images (/var/lib/docker), and 2 MiB are free"},
			{10 << 30, 10 << 30, ""},
		} {
			w.SetContainerdFree("h3", c.images)
			w.SetFree("h3", c.rest)
			w.SetDisk("h3", 100<<30)
			planned := w.planWith(w.release("v3"), reconcile.Options{})
			problems := planned.Plan.Problems
			if host, _ := planned.Snapshot.Host("h3"); host.FreeBytes != min(c.images, c.rest) || host.DiskBytes != 100<<30 {
				t.Errorf("%d and %d: %d of %d are free", c.images, c.rest, host.FreeBytes, host.DiskBytes)
			}
			if c.says == "" && len(problems) > 0 || c.says != "" && (len(problems) != 1 || !strings.Contains(problems[0].Summary, c.says)) {
				t.Errorf("%d and %d: %+v", c.images, c.rest, problems)
			}
		}
	})
}

func TestNobodyIsAlarmedWhereRoomIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := tight(t, 844, false)
		w.SetFree("h3", 1<<20)
		w.Deny("h3", "/var/lib/docker")
		planned := w.planWith(w.release("v3"), reconcile.Options{})
		host, _ := planned.Snapshot.Host("h3")
		if host.FreeBytes != -1 || host.DiskBytes != 0 || len(planned.Plan.Problems) > 0 {
			t.Errorf("%d of %d: %+v", host.FreeBytes, host.DiskBytes, planned.Plan.Problems)
		}
	})
}

// What no server has yet is as large as its registry says; a registry that does not say is no obstacle.
func TestAnImageThatNoServerHasIsWeighedAtItsRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 847)
		w.mustApply(w.release("v1"))
		w.Push(sim.Image{Ref: repository + ":v9", Size: 2 << 30, Behaviour: sim.Healthy(0), Labels: map[string]string{"service": "shop"}})
		asked, mute := "", false
		w.Before(func(c sim.Call) error {
			if c.Method == "Registry.Size" {
				asked += c.Host + " "
				if mute {
					return errors.New("the registry does not say")
				}
			}
			return nil
		})
		w.mustPlan(w.release("v9"))
		if asked != "" {
			t.Errorf("with room on every host %s was asked", asked)
		}
		w.SetFree("h2", 800<<20)
		w.SetFree("h3", 900<<20)
		w.untouched(func() {
			_, err := w.apply(t.Context(), w.release("v9"))
			mustSay(t, err, "h2: the image "+repository+":v9 has no room: it needs at least", "h3: the image "+repository+":v9 has no room", "and 800 MiB are free", "docker system df")
		})
		if asked != "h2 " {
			t.Errorf("asked: %s, want the tightest host alone, once", asked)
		}
		mute = true
		w.SetFree("h2", 8<<30)
		w.SetFree("h3", 8<<30)
		w.mustApply(w.release("v9"))
	})
}

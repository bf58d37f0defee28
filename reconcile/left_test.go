package reconcile_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// failsBack releases v2, whose switch on h2 fails, and fails a method on a host on the way back. after has the calls that
// changed something from the first such failure on, and tried is how often the method was called on the way back.
func (w *world) failsBack(desired release.Release, host, method string) (report reconcile.Report, tried int, after []sim.Call, err error) {
	var mu sync.Mutex // calls come at once
	back, from := false, 0
	w.Before(func(c sim.Call) error {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Host == "h2" && c.Method == "Proxy.Deploy" && !back:
			back = true
			return sim.ErrFault
		case back && c.Host == host && c.Method == method:
			if tried++; tried == 1 {
				from = c.N
			}
			return errors.New("the engine refuses")
		}
		return nil
	})
	report, err = w.apply(w.t.Context(), desired)
	w.ClearHooks()
	for _, c := range w.History() {
		if from > 0 && c.N > from {
			after = append(after, c)
		}
	}
	return report, tried, after, err
}

func TestWhatCouldNotBeTakenBackIsToldAndTheWayBackIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 961)
		w.mustApply(w.release("v1"))
		report, tried, after, err := w.failsBack(w.release("v2"), "h1", "Engine.Remove")
		if err == nil || report.Outcome != state.OutcomeFailed || !report.Undone {
			t.Errorf("report: %+v %v", report, err)
		}
		if len(report.Left) != 1 || !strings.HasPrefix(report.Left[0], "h1: remove shop-web-v2: ") || !strings.HasSuffix(report.Left[0], "the engine refuses") {
			t.Errorf("left: %q", report.Left)
		}
		if text := w.progress(); strings.Count(text, "could not remove shop-web-v2") != 1 {
			t.Errorf("it is not told once while it happens:\n%s", text)
		}
		if tried != 1 {
			t.Errorf("it was tried %d times", tried)
		}
		for _, c := range after {
			switch c.Method {
			case "Engine.Create", "Engine.Start", "Engine.Rename", "Proxy.Deploy":
				t.Errorf("after the failure on the way back: %s", c)
			}
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("%s", got)
		}
		w.noLocks(0)
		w.mustApply(w.release("v2"))
	})
}

func TestASingletonWhoseNewContainerCannotBeEndedKeepsItsOldOneDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 962)
		singleton := func(version string) release.Release {
			desired := w.release(version)
			desired.Roles[1].Singleton = true
			return desired
		}
		w.mustApply(singleton("v1"))
		stop, most := w.most("h3", "workers")
		report, tried, _, err := w.failsBack(singleton("v2"), "h3", "Engine.Stop")
		stop()
		if n := most(); n != 1 {
			t.Errorf("%d at once", n)
		}
		if err == nil || tried != 1 || w.versions() != "h1/web=v1 h2/web=v1 h3/workers=v2" {
			t.Errorf("%s after %d tries: %v\n%s", w.versions(), tried, err, w.progress())
		}
		left := strings.Join(report.Left, "\n")
		for _, want := range []string{
			"h3: remove shop-workers-v2: ",
			"h3: start shop-workers-v1 again: the role is a singleton, and the new container on h3 could not be ended",
		} {
			if len(report.Left) != 2 || !strings.Contains(left, want) {
				t.Errorf("left: %q, want %q", report.Left, want)
			}
		}
		w.noLocks(0)
		w.mustApply(singleton("v1"))
	})
}

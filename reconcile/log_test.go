package reconcile_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

func TestWhatTheApplicationPrintedIsForThePersonAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 61)
		w.mustApply(w.release("v1"))
		broken := sim.Exits(7, 50*time.Millisecond)
		broken.Logs = []string{"cannot reach postgres://shop:" + canary + "@db"}
		w.image("v9", broken)
		_, err := w.apply(t.Context(), w.release("v9"))
		if err == nil || !strings.Contains(err.Error(), broken.Logs[0]) {
			t.Errorf("the error does not show its log: %v", err)
		}
		kept, encoded := json.Marshal([]any{w.store.snapshot, w.store.releases, w.store.plans, w.store.events})
		if encoded != nil {
			t.Fatal(encoded)
		}
		if strings.Contains(string(kept), canary) {
			t.Error("its log is in the store")
		}
		if reason := w.store.releases[2].Reason; !strings.Contains(reason, "exit code 7") {
			t.Errorf("the reason that is kept: %q", reason)
		}
		for _, host := range w.Hosts() {
			for _, name := range w.FileNames(host) {
				if data, _ := w.File(host, name); strings.Contains(string(data), broken.Logs[0]) {
					t.Errorf("its log is in %s on %s", name, host)
				}
			}
		}
	})
}

func TestWhatTheApplicationAnswersItsCheckIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 62)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.NeverHealthy(500))
		desired := w.release("v9")
		desired.Roles[0].Health = &release.Health{Exec: []string{"check"}, Timeout: time.Second}
		_, err := w.apply(t.Context(), desired)
		const said = "not ready" // on stderr, as the simulator has it
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("the error does not show the answer: %v", err)
		}
		kept, encoded := json.Marshal([]any{w.store.releases, w.store.events})
		if encoded != nil {
			t.Fatal(encoded)
		}
		if strings.Contains(string(kept), said) || !strings.Contains(string(kept), "ended with code 1") {
			t.Errorf("kept: %s", w.store.releases[2].Reason)
		}
	})
}

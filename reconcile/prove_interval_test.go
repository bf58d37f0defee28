package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/release"
)

func TestARolesOwnCheckIsAskedAsOftenAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 83)
		w.mustApply(w.release("v1"))
		w.image("v9", sim.Healthy(8*time.Second))
		desired := w.release("v9")
		desired.Roles[1].Health = &release.Health{TCP: 9000, Interval: 2 * time.Second, Timeout: time.Second}
		var asked []time.Time
		w.Before(func(c sim.Call) error {
			if c.Host == "h3" && strings.HasPrefix(c.Method, "Prober.") {
				asked = append(asked, time.Now())
			}
			return nil
		})
		_, _ = w.apply(t.Context(), desired) // how it ends is not the question
		if len(asked) < 8 || len(asked) > 15 {
			t.Fatalf("asked %d times, want some fast looks and then one every two seconds", len(asked))
		}
		if first, last := asked[1].Sub(asked[0]), asked[len(asked)-1].Sub(asked[len(asked)-2]); first > time.Second || last < 2*time.Second {
			t.Errorf("the first pause is %v, the last %v", first, last)
		}
	})
}

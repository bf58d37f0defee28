package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A run that was killed when all was done has left its locks: the next apply finds nothing to do, and takes them away once
// their lease has passed, and not before.
func TestALockThatIsLeftGoesWhereThereIsNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 77)
		w.mustApply(w.release("v1"))
		w.WriteFile("h1", lockDetails, lockOf("one that is gone"))
		w.mustApply(w.release("v1"))
		if got := strings.Join(w.locked(), " "); got != "h1" {
			t.Errorf("before the lease has passed locks are on %q", got)
		}
		time.Sleep(lease + time.Second)
		w.mustApply(w.release("v1"))
		w.noLocks(0)
		if !strings.Contains(w.progress(), "took over the deploy lock") {
			t.Errorf("it is not said:\n%s", w.progress())
		}
	})
}

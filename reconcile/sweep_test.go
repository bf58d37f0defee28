package reconcile_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/reconcile"
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

// A run that was killed between the directory and its details has left a lock all the same: it is seen, and goes as any other.
func TestALockWithoutDetailsIsSeenAndGoesWhenItIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 79)
		w.mustApply(w.release("v1"))
		w.SetSkew("h2", time.Hour)
		w.MakeDir("h2", strings.TrimSuffix(lockDetails, "/details"))
		since := time.Now().Add(time.Hour)
		w.mustApply(w.release("v1"))
		snapshot, _, _ := w.store.Snapshot(w.release("v1").App())
		host, _ := snapshot.Host("h2")
		if host.Lock == nil || !host.Lock.Taken.Equal(since) || !strings.Contains(host.Lock.By(), "no details") {
			t.Fatalf("the look found %+v", host.Lock)
		}
		w.using(func(c *reconcile.Controller) {
			if found := c.LockStatus(t.Context(), w.release("v1"))[1]; found.Lock == nil || found.Gone || found.Remaining <= 0 {
				t.Errorf("lock status: %+v", found)
			}
		})
		if names := strings.Join(w.FileNames("h2"), " "); !strings.Contains(names, "lock-shop") {
			t.Error("one that is young was taken away: its owner may be about to write them")
		}
		time.Sleep(lease + time.Second)
		w.mustApply(w.release("v1"))
		if names := strings.Join(w.FileNames("h2"), " "); strings.Contains(names, "lock-shop") {
			t.Errorf("it is left: %s", names)
		}
	})
}

package reconcile_test

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// A disk with no room for the lock's details keeps nobody out: the run that could not write them takes the lock back.
func TestALockWhoseDetailsCannotBeWrittenIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 78)
		w.mustApply(w.release("v1"))
		w.Before(func(c sim.Call) error {
			if c.Host == "h2" && c.Method == "Files.Write" && strings.Contains(c.Args, "lock-shop/details") {
				return syscall.ENOSPC
			}
			return nil
		})
		w.using(func(c *reconcile.Controller) {
			if _, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{}); err == nil {
				t.Error("it went on without the lock's details")
			}
		})
		w.noLocks(0)
	})
}

package reconcile_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
)

// mustBeLocked wants an apply that does not wait to be refused, and to change nothing.
func (w *world) mustBeLocked(version string) {
	w.t.Helper()
	c := w.controller()
	defer func() { _ = c.Close() }()
	c.LockWait = false
	_, err := c.Apply(w.t.Context(), w.release(version), reconcile.Options{})
	var locked *reconcile.LockedError
	if !errors.As(err, &locked) || locked.Host != "h1" {
		w.t.Errorf("error: %v", err)
	}
	if got := w.versions(); got != allV1 {
		w.t.Errorf("while it was locked: %s", got)
	}
}

func TestALockWithoutDetailsIsNotStolenWhileItIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 31)
		w.mustApply(w.release("v1"))
		w.MakeDir("h1", ".kamal/lock-shop") // somebody is between making it and writing its details, or died there
		time.Sleep(lease / 2)
		w.mustBeLocked("v2")
		if got := strings.Join(w.locked(), " "); got != "h1" {
			t.Errorf("locks are on %q", got)
		}
		began := time.Now()
		w.mustApply(w.release("v2"))
		if time.Since(began) < lease/2 {
			t.Errorf("it was taken over after %s", time.Since(began)+lease/2)
		}
		w.noLocks(0)
	})
}

func TestALockThatChangedHandsDuringATakeOverIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 32)
		w.mustApply(w.release("v1"))
		w.WriteFile("h1", lockDetails, lockOf("a dead one"))
		time.Sleep(2 * lease)
		w.Before(func(c sim.Call) error {
			if c.Host == "h1" && c.Method == "Files.Rename" && strings.HasPrefix(c.Args, ".kamal/lock-shop ") {
				w.WriteFile("h1", lockDetails, lockOf("a quicker one"))
			}
			return nil
		})
		w.mustBeLocked("v2")
		if kept, _ := w.File("h1", lockDetails); string(kept) != string(lockOf("a quicker one")) {
			t.Errorf("the lock is %q now", kept)
		}
		for _, name := range w.FileNames("h1") {
			if strings.Contains(name, "stale") {
				t.Errorf("%s is left", name)
			}
		}
	})
}

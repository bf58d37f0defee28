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
	for name, now := range map[string][]byte{"with other details": lockOf("a quicker one"), "with none yet": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 32)
				w.mustApply(w.release("v1"))
				w.changesHands("h1", now)
				w.mustBeLocked("v2")
				if kept, _ := w.File("h1", lockDetails); string(kept) != string(now) || strings.Join(w.locked(), " ") != "h1" {
					t.Errorf("locks are on %v; the details are %q now", w.locked(), kept)
				}
				for _, name := range w.FileNames("h1") {
					if strings.Contains(name, "stale") {
						t.Errorf("%s is left", name)
					}
				}
			})
		})
	}
}

func TestWhoWaitsGoesOnWaitingForALockThatChangedHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 33)
		w.mustApply(w.release("v1"))
		w.changesHands("h1", lockOf("a quicker one"))
		began := time.Now()
		w.mustApply(w.release("v2"))
		if waited := time.Since(began); waited < lease {
			t.Errorf("the other's lock was taken over after %s", waited)
		}
		w.noLocks(0)
	})
}

// changesHands puts a dead lock on a host, which another takes over just before the next one moves it aside.
func (w *world) changesHands(host string, details []byte) {
	w.WriteFile(host, lockDetails, lockOf("a dead one"))
	time.Sleep(2 * lease)
	once := false
	w.Before(func(c sim.Call) error {
		if once || c.Host != host || c.Method != "Files.Rename" || !strings.HasPrefix(c.Args, ".kamal/lock-shop ") {
			return nil
		}
		once = true
		w.RemoveFile(host, ".kamal/lock-shop")
		w.MakeDir(host, ".kamal/lock-shop")
		if details != nil {
			w.WriteFile(host, lockDetails, details)
		}
		return nil
	})
}

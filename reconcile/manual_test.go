package reconcile_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/state"
)

// kamalLock is the text that Kamal writes.
func kamalLock(message string) []byte {
	text := "Locked by: Ada at 2026-01-01T00:00:00Z\nVersion: v5\nMessage: " + message
	return []byte(base64.StdEncoding.EncodeToString([]byte(text)) + "\n")
}

// using gives a run of its own to a test.
func (w *world) using(do func(c *reconcile.Controller)) {
	c := w.controller()
	defer func() { _ = c.Close() }()
	do(c)
}

func (w *world) mustAcquire(message string) {
	w.t.Helper()
	w.using(func(c *reconcile.Controller) {
		if err := c.AcquireLock(w.t.Context(), w.release("v1"), message); err != nil {
			w.t.Fatal(err)
		}
	})
}

func (w *world) eventKinds() string {
	var kinds []string
	for _, e := range w.store.events {
		kinds = append(kinds, e.Kind)
	}
	return strings.Join(kinds, " ")
}

func TestAKamalDeployIsWaitedForAndNotPastTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 301)
		w.mustApply(w.release("v1"))
		w.WriteFile("h1", lockDetails, kamalLock(state.AutomaticLock))
		w.mustBeLocked("v2")
		w.using(func(c *reconcile.Controller) {
			c.LockWaitLimit = time.Minute
			began := time.Now()
			_, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{})
			var locked *reconcile.LockedError
			if !errors.As(err, &locked) || locked.Waited < time.Minute || time.Since(began) > time.Minute+5*time.Second {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			if said := strings.Count(w.progress(), "waiting for the lock of Ada"); said < 2 || said > 8 {
				t.Errorf("it said %d times whom it waits for\n%s", said, w.progress())
			}
		})
		ends := w.begin(w.release("v2"))
		time.Sleep(2 * time.Minute)
		if got := w.versions(); got != allV1 {
			t.Errorf("while Kamal deploys: %s", got)
		}
		w.RemoveFile("h1", ".kamal/lock-shop")
		if ended := <-ends; ended.err != nil {
			t.Error(ended.err)
		}
		w.noLocks(0)
	})
}

func TestALockTakenByHandKeepsEverybodyOutUntilItIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 302)
		w.mustApply(w.release("v1"))
		w.mustAcquire("database migration")
		if got := strings.Join(w.locked(), " "); got != "h1 h2 h3" {
			t.Errorf("locks are on %s", got)
		}
		data, _ := w.File("h1", lockDetails)
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(data)))
		if err != nil || !strings.HasPrefix(string(text), "Locked by: ") || !strings.Contains(string(text), "\nMessage: database migration\n") {
			t.Errorf("Kamal would read %q %v", text, err)
		}
		time.Sleep(time.Hour)
		if _, err := w.apply(t.Context(), w.release("v2")); err == nil || !strings.Contains(err.Error(), "database migration") {
			t.Errorf("an apply that waits for locks: %v", err)
		}
		w.using(func(c *reconcile.Controller) {
			for _, h := range c.LockStatus(t.Context(), w.release("v1")) {
				if h.Holder != state.HeldManually || h.Lock.Message != "database migration" || h.Gone {
					t.Errorf("status: %+v", h)
				}
			}
			if taken, err := c.Unlock(t.Context(), w.release("v1")); err != nil || len(taken.Released) != 3 {
				t.Errorf("released %v: %v", taken, err)
			}
		})
		w.mustApply(w.release("v2"))
		if got := w.eventKinds(); !strings.Contains(got, "lock") || !strings.Contains(got, "unlock") {
			t.Errorf("the store has %s", got)
		}
	})
}

func TestALockByHandIsOnEveryHostOrOnNone(t *testing.T) {
	for name, meet := range map[string]func(w *world){
		"another's on the last host":  func(w *world) { w.WriteFile("h3", lockDetails, kamalLock("mine")) },
		"another's on the first host": func(w *world) { w.WriteFile("h1", lockDetails, kamalLock("mine")) },
		"a host that is away":         func(w *world) { w.Cut("h2") },
		"a disk that is full": func(w *world) {
			w.Before(func(c sim.Call) error {
				if c.Host == "h3" && c.Method == "Files.Write" {
					return errors.New("no space left on device")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 303)
				w.mustApply(w.release("v1"))
				meet(w)
				before := len(w.locked())
				w.using(func(c *reconcile.Controller) {
					if err := c.AcquireLock(t.Context(), w.release("v1"), "database migration"); err == nil {
						t.Error("it was taken")
					}
				})
				if got := w.locked(); len(got) != before {
					t.Errorf("locks are on %v", got)
				}
			})
		})
	}
}

func TestALockIsReleasedWhereItCanBeAndTheRestIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 304)
		w.mustApply(w.release("v1"))
		w.mustAcquire("an incident")
		w.Cut("h2")
		w.using(func(c *reconcile.Controller) {
			taken, err := c.Unlock(t.Context(), w.release("v1"))
			if err != nil || len(taken.Released) != 2 || len(taken.Unreachable) != 1 || taken.Unreachable[0].Host != "h2" {
				t.Errorf("%+v %v", taken, err)
			}
		})
		if got := strings.Join(w.locked(), " "); got != "h2" {
			t.Errorf("locks are on %s", got)
		}
	})
}

// Found by reading: a lock that was verified less than half a lease ago was removed without a look at whose it is.
func TestALockThatAnotherHasByNowIsNotTakenAwayAtTheEnd(t *testing.T) {
	for name, moment := range map[string]string{"before the last look": "releases/", "after the last look": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 305)
				w.mustApply(w.release("v1"))
				w.Before(func(c sim.Call) error {
					if moment != "" && c.Host == "h1" && c.Method == "Files.Write" && strings.Contains(c.Args, moment) {
						w.WriteFile("h2", lockDetails, lockOf("somebody"))
					}
					return nil
				})
				store := &lateStore{memory: w.store, late: func() {}}
				if moment == "" { // this machine sleeps while the store is written, and another takes over
					store.late = func() {
						time.Sleep(lease / 4)
						w.WriteFile("h2", lockDetails, lockOf("somebody"))
					}
				}
				c := reconcile.NewController(reconcile.NewFleet(connector{w.Connector()}), store, w.controller().Secrets)
				defer func() { _ = c.Close() }()
				if _, err := c.Apply(t.Context(), w.release("v2"), reconcile.Options{}); err != nil {
					t.Fatal(err)
				}
				if kept, _ := w.File("h2", lockDetails); string(kept) != string(lockOf("somebody")) {
					t.Errorf("the other's lock is %q now", kept)
				}
				if got := strings.Join(w.locked(), " "); got != "h2" {
					t.Errorf("locks are left on %q", got)
				}
			})
		})
	}
}

// lateStore is a store in which writing the end of a release takes its time.
type lateStore struct {
	*memory
	late func()
}

func (s *lateStore) SaveRelease(r state.Record) error {
	if r.Outcome == state.OutcomeSucceeded {
		s.late()
	}
	return s.memory.SaveRelease(r)
}

func TestNobodyLooksAgainAtALockThatTheLastLookFoundOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 306)
		w.mustApply(w.release("v1"))
		reads := map[string]int{}
		w.Before(func(c sim.Call) error {
			if c.Method == "Files.Read" && c.Args == lockDetails {
				reads[c.Host]++
			}
			return nil
		})
		if _, err := w.apply(t.Context(), w.release("v2")); err != nil {
			t.Fatal(err)
		}
		for _, host := range w.Hosts() {
			if reads[host] != 2 { // one a look that finds it: under the lock, and at the end
				t.Errorf("%s: the lock was read %d times", host, reads[host])
			}
		}
	})
}

func TestATakeOverIsReportedAndAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 307)
		w.mustApply(w.release("v1"))
		w.WriteFile("h1", lockDetails, lockOf("a dead one"))
		time.Sleep(2 * lease)
		w.mustApply(w.release("v2"))
		audit, _ := w.File("h1", ".kamal/shop-audit.log")
		for where, text := range map[string]string{"progress": w.progress(), "store": w.eventKinds(), "audit file": string(audit)} {
			if !strings.Contains(text, "take-over") && !strings.Contains(text, "ook over the deploy lock of a dead one") {
				t.Errorf("the %s does not say so: %s", where, text)
			}
		}
	})
}

func TestADefectInAStepIsCompensatedAndGivesTheLockBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 308)
		w.mustApply(w.release("v1"))
		around := func(ctx context.Context, call reconcile.Call, next func(context.Context) error) error {
			if call.Host == "h2" && call.Method == "Engine.Start" {
				panic("a planted defect")
			}
			return next(ctx)
		}
		err := w.applyThrough(around, w.release("v2"))
		if !errors.Is(err, reconcile.ErrPanicked) || !strings.Contains(err.Error(), "a planted defect") {
			t.Errorf("error: %v", err)
		}
		if got := w.versions(); got != allV1 {
			t.Errorf("after the defect: %s", got)
		}
		w.noLocks(0)
		w.mustBeEmpty(w.release("v1"))
	})
}

// A run takes the lock on a host that it still has to empty, so that is where it is given back, too.
func TestALockByHandIsGivenBackOnAHostThatLeftTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 309)
		w.mustApply(w.release("v1"))
		w.mustAcquire("database migration")
		left := without(w.release("v2"), "h2")
		w.using(func(c *reconcile.Controller) {
			if hosts := c.LockStatus(t.Context(), left); len(hosts) != 3 || hosts[2].Host != "h2" || hosts[2].Lock == nil {
				t.Errorf("status: %+v", hosts)
			}
			if taken, err := c.Unlock(t.Context(), left); err != nil || len(taken.Released) != 3 {
				t.Errorf("released %v: %v", taken, err)
			}
		})
		w.mustApply(left)
		w.using(func(c *reconcile.Controller) {
			if hosts := c.LockStatus(t.Context(), left); len(hosts) != 2 {
				t.Errorf("once it is empty it is asked no more: %+v", hosts)
			}
		})
	})
}

package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFreezeWaitsForCommandsThatMayStillChangeTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChanges()
		deploy, err := c.begin(t.Context(), "deploy of service app")
		if err != nil {
			t.Fatal(err)
		}
		frozen, begun := make(chan error, 1), make(chan error, 1)
		go func() { frozen <- c.freeze(time.Minute) }()
		synctest.Wait()
		go func() {
			_, err := c.begin(t.Context(), "stop of service app")
			begun <- err
		}()
		synctest.Wait()
		select {
		case err := <-frozen:
			t.Fatalf("frozen while a deploy runs: %v", err)
		case err := <-begun:
			t.Fatalf("a command began while the state is being frozen: %v", err)
		default:
		}
		settled(context.WithValue(t.Context(), changeKey{}, deploy)) // it goes on draining
		if err := <-frozen; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-begun:
			t.Fatalf("a command began while the state is frozen: %v", err)
		default:
		}
		c.thaw()
		if err := <-begun; err != nil {
			t.Errorf("after a thaw: %v", err)
		}
	})
}

func TestAFreezeGivesUpNamingTheCommandAndThawsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChanges()
		if _, err := c.begin(t.Context(), "deploy of service app"); err != nil {
			t.Fatal(err)
		}
		err := c.freeze(10 * time.Second)
		if err == nil || !strings.Contains(err.Error(), "deploy of service app (10s)") {
			t.Errorf("it said %v", err)
		}
		if _, err := c.begin(t.Context(), "list"); err != nil {
			t.Error(err)
		}
	})
}

func TestACommandThatWaitedForAHandOverIsSentOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChanges()
		if err := c.freeze(time.Second); err != nil {
			t.Fatal(err)
		}
		begun := make(chan error, 1)
		go func() {
			_, err := c.begin(t.Context(), "deploy of service app")
			begun <- err
		}()
		synctest.Wait()
		c.handOver()
		if err := <-begun; !errors.Is(err, errHandedOver) {
			t.Errorf("it said %v", err)
		}
		c.thaw() // too late
		if _, err := c.begin(t.Context(), "late"); !errors.Is(err, errHandedOver) {
			t.Errorf("a late one said %v", err)
		}
	})
}

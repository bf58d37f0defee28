package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/sim"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

func TestOneSlowCallCutsNoPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 91)
		w.push("v1", sim.Healthy(0), 3*time.Minute)
		fleet := reconcile.NewFleet(connector{w.Connector()})
		defer func() { _ = fleet.Close() }()
		w.Before(func(c sim.Call) error {
			switch c.Method {
			case "Files.Free":
				time.Sleep(31 * time.Second)
				return context.DeadlineExceeded // of the call, not of the connection
			case "Files.Home":
				return fmt.Errorf("the connection was reset: %w", state.ErrUnreachable)
			}
			return nil
		})
		host := release.Host{Name: "h2", Address: "h2"}
		first, err := fleet.Connection(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		pulled := make(chan error, 1)
		go func() {
			pulled <- first.Engine.Pull(t.Context(), repository+":v1", "", release.Auth{Username: "deploy", Password: release.NewSecret("registry-password")})
		}()
		var slow *reconcile.DeadlineError
		if _, _, err := first.Files.Free(t.Context(), "."); !errors.As(err, &slow) {
			t.Fatalf("error: %v", err)
		}
		again, err := fleet.Connection(t.Context(), host)
		if err != nil || again != first {
			t.Errorf("another connection was made: %v", err)
		}
		if err := <-pulled; err != nil || w.ImageID("h2", repository+":v1") == "" {
			t.Errorf("the pull was cut: %v", err)
		}
		if _, err := first.Files.Home(t.Context()); !errors.Is(err, state.ErrUnreachable) {
			t.Fatalf("error: %v", err)
		}
		if other, err := fleet.Connection(t.Context(), host); err != nil || other == first {
			t.Errorf("a lost connection is given again: %v", err)
		}
	})
}

func TestAHostThatNeverAnswersAConnectionIsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // found by KAMALD_SEED=241
		w := newWorld(t, 1)
		w.HangNth(1)
		fleet := reconcile.NewFleet(connector{w.Connector()})
		began := time.Now()
		_, err := fleet.Connection(t.Context(), release.Host{Name: "h1", Address: "h1"})
		if !errors.Is(err, state.ErrUnreachable) || time.Since(began) > 3*time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if _, err := fleet.Connection(t.Context(), release.Host{Name: "h1", Address: "h1"}); err != nil {
			t.Errorf("when it answers: %v", err)
		}
	})
}

package proxy

import (
	"fmt"
	"testing"
	"time"
)

// pools gives the sets of targets of a service, the active one first.
func (f *fixture) pools(service string) []*pool {
	f.router.mu.Lock()
	defer f.router.mu.Unlock()
	return f.router.services[service].now().pools()
}

func TestAFollowerTellsARedeployToTheSameNameFromAChangeOfTheRollout(t *testing.T) {
	f := startProxy(t)
	target, beside := backend(t, says("own")), backend(t, says("rollout"))
	f.deploy(deployRequest("app", target, "app.test"))
	old, follower := f.follows()
	active := old.pools("app")[0]
	var rolled *pool
	roll := func() {
		t.Helper()
		if err := f.router.RolloutDeploy(t.Context(), RolloutDeployRequest{Service: "app", Targets: []string{beside}, DeployTimeout: patience}); err != nil {
			t.Fatal(err)
		}
	}
	share := func() {
		t.Helper()
		if err := f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 50}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name                    string
		change                  func()
		keepsActive, keepsOther bool
	}{
		{"rollout deploy", roll, true, false},
		{"rollout set", share, true, true},
		{"rollout deploy to the same name", roll, true, false},
		{"deploy to the same name", func() { f.deploy(deployRequest("app", target, "app.test")) }, false, true},
		{"rollout stop", func() {
			if err := f.stopRollout("app", 0); err != nil {
				t.Fatal(err)
			}
		}, true, false},
	} {
		c.change()
		follower.follow(time.Second)
		now := old.pools("app")
		if kept := now[0] == active; kept != c.keepsActive {
			t.Errorf("%s: the old program keeps its own targets: %v", c.name, kept)
		}
		active = now[0]
		if len(now) > 1 {
			if kept := now[1] == rolled; kept != c.keepsOther {
				t.Errorf("%s: the old program keeps the rollout's targets: %v", c.name, kept)
			}
			rolled = now[1]
		}
	}
	if now := old.pools("app"); len(now) != 1 {
		t.Errorf("after the rollout there are %d pools", len(now))
	}
	old.expect("app.test", "/", 200, "own")
}

func TestGenerationsOfBothSidesOutlastARestart(t *testing.T) {
	f := startProxy(t)
	target, beside := backend(t, says("own")), backend(t, says("rollout"))
	f.deploy(deployRequest("app", target, "app.test"))
	f.deploy(deployRequest("app", target, "app.test"))
	if err := f.router.RolloutDeploy(t.Context(), RolloutDeployRequest{Service: "app", Targets: []string{beside}, DeployTimeout: patience}); err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	now := f.router.services["app"].now()
	if got := fmt.Sprint(now.generation, now.deployed, now.rolledOut); got != "3 2 3" {
		t.Errorf("the generations are %s", got)
	}
}

func TestAFollowerDrainsTheRequestsOfBeforeARedeployToTheSameName(t *testing.T) {
	f := startProxy(t)
	target, arrived, finish := heldBackend(t, "/slow", "old")
	f.deploy(deployRequest("app", target, "app.test"))
	old, follower := f.follows()
	answered := make(chan string, 1)
	go func() {
		status, body := old.get("app.test", "/slow")
		answered <- fmt.Sprint(status, " ", body)
	}()
	receive(t, "the slow request", arrived)
	before := old.pools("app")[0]
	f.deploy(deployRequest("app", target, "app.test"))
	drained := make(chan struct{})
	go func() {
		follower.follow(patience)
		close(drained)
	}()
	eventually(t, "the redeploy is followed", func() bool { return old.pools("app")[0] != before })
	select {
	case <-drained:
		t.Error("the follower did not wait for the request in flight")
	default:
	}
	close(finish)
	receive(t, "the drain", drained)
	if got := receive(t, "the slow answer", answered); got != "200 old" {
		t.Errorf("the slow request got %q", got)
	}
}

package proxy

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// follows starts a second proxy on the state of f, and makes it follow that.
func (f *fixture) follows() (*fixture, *follower) {
	f.t.Helper()
	c := f.config
	c.SocketPath += ".2"
	second := startProxyWith(f.t, c)
	follower, err := newFollower(second.router)
	if err != nil {
		f.t.Fatal(err)
	}
	return second, follower
}

func TestAFollowerDoesWhatTheStateSaysAndWritesNothing(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("one")), "app.test"))
	f.deploy(deployRequest("gone", backend(t, says("gone")), "gone.test"))
	old, follower := f.follows()
	f.deploy(deployRequest("app", backend(t, says("two")), "app.test", "www.app.test"))
	f.deploy(deployRequest("more", backend(t, says("more")), "more.test"))
	if err := f.remove("gone"); err != nil {
		t.Fatal(err)
	}
	old.expect("app.test", "/", 200, "one")
	written, err := os.Stat(f.config.StatePath)
	if err != nil {
		t.Fatal(err)
	}
	follower.follow(time.Second)
	old.expect("app.test", "/", 200, "two")
	old.expect("www.app.test", "/", 200, "two")
	old.expect("more.test", "/", 200, "more")
	old.expect("gone.test", "/", 404, "")
	if err := f.stop("app", 0, "later"); err != nil {
		t.Fatal(err)
	}
	follower.follow(time.Second)
	old.expect("app.test", "/", 503, "later")
	if now, err := os.Stat(f.config.StatePath); err != nil || os.SameFile(now, written) {
		t.Errorf("only the first proxy writes the state: %v", err)
	}
}

func TestAFollowerKeepsTheTargetsThatStayAndDrainsThoseThatGo(t *testing.T) {
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

	// A rollout beside it, its share, and a pause are no reason to end a request.
	if err := f.router.RolloutDeploy(t.Context(), RolloutDeployRequest{Service: "app", Targets: []string{backend(t, says("rollout"))}, DeployTimeout: patience}); err != nil {
		t.Fatal(err)
	}
	follower.follow(time.Nanosecond)
	if err := f.router.RolloutSet(RolloutSetRequest{Service: "app", Split: Split{Percent: 100, By: RolloutByAddress}}); err != nil {
		t.Fatal(err)
	}
	follower.follow(time.Nanosecond)
	old.expect("app.test", "/", 200, "rollout")
	select {
	case got := <-answered:
		t.Fatalf("the request in flight was ended: %s", got)
	default:
	}

	f.deploy(deployRequest("app", backend(t, says("new")), "app.test"))
	drained := make(chan struct{})
	go func() {
		follower.follow(patience)
		close(drained)
	}()
	eventually(t, "the switch is followed", func() bool { return old.routes("app") != target })
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

func TestAStateOfANewerProgramIsRestoredWithWhatThisOneKnows(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	rewrite(t, f.config.StatePath, `{"name":"app"`, `{"invented":{"a":[1]},"name":"app"`, 1)
	f = f.restart()
	f.expect("app.test", "/", 200, "app")
	if info := f.router.List()[0]; strings.Contains(info.State, "broken") {
		t.Errorf("the service is %+v", info)
	}
}

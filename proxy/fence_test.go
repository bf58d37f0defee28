package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// commandsUnder are all commands that change a service, under a fence.
func commandsUnder(t *testing.T, f *fixture, fence uint64) map[string]func() error {
	deploy := deployRequest("app", backend(t, says("x")), "app.test")
	deploy.Fence = fence
	rollout := rolloutRequest(backend(t, says("x")))
	rollout.Fence = fence
	gate := gateRequest{Service: "app", Fence: fence, MaxPause: time.Minute}
	return map[string]func() error{
		"deploy":         func() error { return f.router.Deploy(t.Context(), deploy) },
		"pause":          func() error { return f.router.pause(t.Context(), gate) },
		"stop":           func() error { return f.router.stop(t.Context(), gate) },
		"resume":         func() error { return f.router.resume(t.Context(), gate) },
		"rollout deploy": func() error { return f.router.RolloutDeploy(t.Context(), rollout) },
		"rollout set":    func() error { return f.router.RolloutSet(RolloutSetRequest{Service: "app", Fence: fence}) },
		"rollout stop":   func() error { return f.stopRollout("app", fence) },
		"remove":         func() error { return f.router.remove(t.Context(), gate) },
	}
}

func TestACommandUnderAnOlderFenceIsRefused(t *testing.T) {
	f := startProxy(t)
	req := deployRequest("app", backend(t, says("seven")), "app.test")
	req.Fence = 7
	f.deploy(req)
	for range 2 {
		before, err := os.ReadFile(f.config.StatePath)
		if err != nil {
			t.Fatal(err)
		}
		for name, run := range commandsUnder(t, f, 5) {
			err := run()
			if !errors.Is(err, ErrFenced) || !strings.Contains(err.Error(), "a newer writer, fence 7, has changed this service; yours is 5") {
				t.Errorf("%s said %v", name, err)
			}
		}
		if after, err := os.ReadFile(f.config.StatePath); err != nil || string(after) != string(before) {
			t.Errorf("refused commands changed the state: %v\n%s\n%s", err, before, after)
		}
		f.expect("app.test", "/", 200, "seven")
		f = f.restart()
	}
}

func TestEveryCommandRecordsItsFence(t *testing.T) {
	f := startProxy(t)
	for name := range commandsUnder(t, f, 1) {
		t.Run(name, func(t *testing.T) {
			f := startRollout(t, Split{Percent: 1})
			for _, fence := range []uint64{3, 3, 1 << 63} {
				if err := commandsUnder(t, f, fence)[name](); err != nil && err != ErrServiceNotFound {
					t.Fatalf("under fence %d: %v", fence, err)
				}
			}
			if err := commandsUnder(t, f, 0)[name](); err != nil && err != ErrServiceNotFound {
				t.Errorf("without a fence: %v", err)
			}
			for range 2 {
				if err := commandsUnder(t, f, 1<<63-1)["deploy"](); !errors.Is(err, ErrFenced) {
					t.Errorf("a deploy under an older fence said %v", err)
				}
				f = f.restart()
			}
		})
	}
}

func TestAStaleWriterCannotBringARemovedServiceBack(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	f.deploy(deployRequest("other", backend(t, says("other")), "other.test"))
	if err := f.router.remove(t.Context(), gateRequest{Service: "app", Fence: 9}); err != nil {
		t.Fatal(err)
	}
	if err := f.router.remove(t.Context(), gateRequest{Service: "app", Fence: 10}); err != ErrServiceNotFound {
		t.Errorf("removing again said %v", err)
	}
	for range 2 {
		f = f.restart()
		if err := f.resume("other"); err != nil { // saves
			t.Fatal(err)
		}
		if err := commandsUnder(t, f, 9)["deploy"](); !errors.Is(err, ErrFenced) {
			t.Errorf("the stale deploy said %v", err)
		}
		f.expect("app.test", "/", http.StatusNotFound, "")
	}
	if err := commandsUnder(t, f, 10)["deploy"](); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(f.config.StatePath)
	if err != nil || !strings.Contains(string(data), `"fence":10`) {
		t.Errorf("the state is %s, %v", data, err)
	}
}

func TestADeployThatWaitsHoldsOffOlderWritersAndYieldsToNewerOnes(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	waiting, probes := sick(t, http.StatusServiceUnavailable, "booting")
	req := deployRequest("app", waiting, "app.test")
	req.Fence = 7
	older := make(chan error, 1)
	go func() { older <- f.router.Deploy(t.Context(), req) }()
	eventually(t, "it probes", func() bool { return probes.Load() > 0 })
	if err := commandsUnder(t, f, 6)["deploy"](); !errors.Is(err, ErrFenced) {
		t.Errorf("a deploy under an older fence said %v", err)
	}
	select {
	case err := <-older:
		t.Fatalf("the deploy ended with %v", err)
	default:
	}
	if err := commandsUnder(t, f, 8)["deploy"](); err != nil {
		t.Error(err)
	}
	if err := receive(t, "the deploy", older); err == nil || !strings.Contains(err.Error(), "a newer deploy") {
		t.Errorf("the deploy said %v", err)
	}
}

func TestADeployDoesNotSwitchAfterANewerWritersCommand(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("old")), "app.test"))
	booted := make(chan struct{})
	req := deployRequest("app", backendWithHealth(t, func(http.ResponseWriter, *http.Request) { <-booted }), "app.test")
	req.Fence = 7
	ended := make(chan error, 1)
	go func() { ended <- f.router.Deploy(t.Context(), req) }()
	eventually(t, "it waits", func() bool { return f.router.fenceOf("app") == 7 })
	if err := f.router.resume(t.Context(), gateRequest{Service: "app", Fence: 8}); err != nil {
		t.Fatal(err)
	}
	close(booted)
	if err := receive(t, "the deploy", ended); !errors.Is(err, ErrFenced) {
		t.Errorf("the deploy said %v", err)
	}
	f.expect("app.test", "/", 200, "old")
}

func (r *Router) fenceOf(service string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fences.of(service)
}

func TestOnlySoManyRemovedServicesAreRemembered(t *testing.T) {
	f := newFences(t.TempDir() + "/state")
	at := time.Unix(1e9, 0).UTC()
	for i := range fencesKept + 50 {
		f.highest[fmt.Sprint("s", i)] = fenceMark{uint64(i + 1), at.Add(time.Duration(i) * time.Second)}
	}
	live := map[string]serviceRecord{"s0": {}}
	if err := f.write(live); err != nil {
		t.Fatal(err)
	}
	again := fences{path: f.path}
	if err := again.read(); err != nil {
		t.Fatal(err)
	}
	if n := len(again.highest); n != fencesKept || again.of(fmt.Sprint("s", fencesKept+49)) == 0 || again.of("s49") != 0 || f.of("s0") == 0 {
		t.Errorf("%d are kept", n)
	}
}

func TestFencesThatCannotBeReadAreSaidAndKeepNothingDown(t *testing.T) {
	f := startProxy(t)
	f.deploy(deployRequest("app", backend(t, says("app")), "app.test"))
	if err := os.WriteFile(f.config.StatePath+".fences", []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = f.restart()
	f.expect("app.test", "/", 200, "app")
	if aside, err := os.ReadFile(f.config.StatePath + ".fences.corrupt"); err != nil || string(aside) != "{half" {
		t.Errorf("kept aside: %q, %v", aside, err)
	}
}

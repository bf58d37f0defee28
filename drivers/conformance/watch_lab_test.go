package conformance_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/ssh"
	"github.com/kamald/kamald/lab"
	"github.com/kamald/kamald/reconcile"
	"github.com/kamald/kamald/release"
)

// overSSH reaches the lab's hosts as kamald does, and nothing of them but their engines.
type overSSH struct{ lab *lab.Lab }

func (o overSSH) Connect(ctx context.Context, on release.Host) (*reconcile.Connection, error) {
	client, err := ssh.Dial(ctx, ssh.Options{Limiter: ssh.NewLimiter(0)}, on)
	if err != nil {
		return nil, err
	}
	engine := docker.New(client.Dial, docker.Options{Host: on.Name, Session: client.Session})
	return &reconcile.Connection{Engine: engine, Close: func() error { _ = engine.Close(); return client.Close() }}, nil
}

// TestARealHostIsFollowedThroughWhatBefallsIt: what somebody does by hand, a connection that goes silent, an engine that is killed.
func TestARealHostIsFollowedThroughWhatBefallsIt(t *testing.T) {
	l := lab.Require(t)
	h := &l.Hosts[0]
	if err := h.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	ref, err := h.Load(t.Context(), lab.AppImage{Repository: "conf/watched", Version: "v1", Service: "conformance"}, l.Registry.Server)
	if err != nil {
		t.Fatal(err)
	}
	on := release.Host{Name: h.Name, Address: h.Address,
		SSH: release.SSH{User: "root", Port: 22, Keys: []string{l.KeyFile}, KeysOnly: true, KnownHosts: []string{l.KnownHosts}, Keepalive: time.Second}}
	var mu sync.Mutex
	var told []string
	ctx, end := context.WithCancel(t.Context())
	over := make(chan struct{})
	c := reconcile.NewController(reconcile.NewFleet(overSSH{l}), nil, nil)
	go func() {
		defer close(over)
		c.Watch(ctx, []release.Host{on}, func(what reconcile.Happening) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case what.Up:
				told = append(told, "up")
			case what.Lost != "":
				t.Logf("lost: %s", what.Lost)
				told = append(told, "lost")
			default:
				told = append(told, what.Event.String())
			}
		})
		_ = c.Close()
	}()
	until := func(what string, times int) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			mu.Lock()
			count := 0
			for _, line := range told {
				if line == what {
					count++
				}
			}
			mu.Unlock()
			if count >= times {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%q was not told %d times: %q", what, times, told)
			}
		}
	}
	by := func(argv ...string) {
		t.Helper()
		if _, err := h.Exec(t.Context(), argv...); err != nil {
			t.Fatal(err)
		}
	}
	until("up", 1)
	by("docker", "run", "--detach", "--restart", "unless-stopped", "--name", "watched-web-v1", ref)
	until("container watched-web-v1 was started", 1)
	if err := h.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	by("docker", "stop", "--time", "5", "watched-web-v1")
	until("lost", 1)
	if err := h.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	until("up", 2)
	until("container watched-web-v1 was stopped", 1)
	by("docker", "start", "watched-web-v1")
	until("container watched-web-v1 was started", 2)
	by("pkill", "-KILL", "-x", "dockerd")
	until("lost", 2)
	until("up", 3)
	by("docker", "rm", "--force", "watched-web-v1")
	until("container watched-web-v1 was removed", 1)
	end()
	<-over
	const made = "container watched-web-v1 was created"
	if at := slices.Index(told, made); at < 0 || slices.Contains(told[at+1:], made) {
		t.Errorf("its creation was not told once: %q", told)
	}
}

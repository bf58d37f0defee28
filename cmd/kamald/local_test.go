package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

// dockerContext has the docker command of this machine be in a context.
func dockerContext(t *testing.T, name, endpoint string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho '"+name+" "+endpoint+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("DOCKER_HOST", "")
}

// What is built without a registry lies in the engine of docker's context: it is carried from there.
func TestImagesAreCarriedFromTheEngineOfDockersContext(t *testing.T) {
	dir, err := os.MkdirTemp("", "k") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var asked atomic.Bool
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			asked.Store(true)
			_ = conn.Close()
		}
	}()
	dockerContext(t, "colima", "unix://"+socket)
	here := release.Host{Name: release.LocalHost, Address: release.LocalHost}
	conn, err := newConnector(release.Release{SSH: release.SSH{DialLimit: 1}}, nil).Connect(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Engine.Info(t.Context()); err == nil {
		t.Error("an engine that says nothing has answered")
	}
	if !asked.Load() {
		t.Error("another engine was asked")
	}
	dockerContext(t, "prod", "ssh://deploy@web-1")
	if _, err := newConnector(release.Release{SSH: release.SSH{DialLimit: 1}}, nil).Connect(t.Context(), here); err == nil || !strings.Contains(err.Error(), `docker's context "prod"`) {
		t.Errorf("a context that is elsewhere: %v", err)
	}
}

func TestTheEngineOfAServerIsKnownByItsAddressOrByDockersContext(t *testing.T) {
	desired := release.Release{Hosts: []release.Host{{Name: "web-1", Address: "10.0.0.1"}, {Name: release.LocalHost}}}
	for _, c := range []struct{ remote, host, context, want string }{
		{"ssh://builder@10.0.0.1", "", "unix:///var/run/docker.sock", "web-1"},
		{"ssh://builder@10.0.0.9", "", "ssh://deploy@10.0.0.1", ""},
		{"", "tcp://web-1:2375", "unix:///var/run/docker.sock", "web-1"},
		{"", "", "ssh://deploy@10.0.0.1", "web-1"},
		{"", "", "ssh://deploy@web-1:2222", "web-1"},
		{"", "", "ssh://deploy@10.0.0.9", ""},
		{"", "", "unix:///Users/me/.colima/docker.sock", release.LocalHost},
	} {
		dockerContext(t, "mine", c.context)
		t.Setenv("DOCKER_HOST", c.host)
		if got, err := servedBy(t.Context(), desired, build.Engine{Address: c.remote}); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

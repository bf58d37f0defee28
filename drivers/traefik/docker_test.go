package traefik_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/drivers/files"
	"github.com/kamald/kamald/drivers/probe"
	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/drivers/traefik"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const (
	testName  = "kamald-test-traefik"
	testLabel = "kamald.test=traefik-driver"
	appImage  = "kamald/proxy:test-traefik-app"
	appPort   = "3000"
)

// TestTraefikItselfServesByTheDriversFiles runs wherever an image of Traefik is: KAMALD_TRAEFIK_IMAGE, or one named traefik with a
// tag that says its version.
func TestTraefikItselfServesByTheDriversFiles(t *testing.T) {
	image := traefikImage(t)
	run := t.TempDir()
	socket, err := docker.LocalSocket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	engine := docker.New(docker.DialLocal, docker.Options{Host: "local", Socket: socket})
	t.Cleanup(func() { _ = engine.Close() })
	var dialer net.Dialer
	d := traefik.New(engine, files.NewLocal(), probe.New(dialer.DialContext), run)
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	address := startTraefik(t, image, run)
	eventually(t, "Traefik answers", func() error { return d.Answers(t.Context(), testName) })
	ask := func(want int) (body string) {
		t.Helper()
		result, err := probe.New(dialer.DialContext).HTTP(t.Context(), address, "/", "shop.example.com")
		if err != nil || result.Status != want {
			t.Fatalf("%d, %v, want %d", result.Status, err, want)
		}
		return result.Body
	}
	ask(502) // where Traefik itself would say 404
	one, two := startApp(t, "one"), startApp(t, "two")
	route := state.Route{Name: "shop-web", Options: state.RouteOptions{Hosts: []string{"shop.example.com", "*.shop.example.com"}, PathPrefixes: []string{"/"},
		StripPathPrefix: true, TLSRedirect: true, ForwardHeaders: true, ResponseTimeout: 30 * time.Second, HealthPath: "/up",
		HealthInterval: time.Second, HealthTimeout: time.Second}}
	for _, id := range []string{one, two} {
		route.Targets = []string{id + ":" + appPort}
		if err := d.Deploy(t.Context(), testName, route, 20*time.Second, 0); err != nil {
			t.Fatal(err)
		}
		if body := ask(200); body != id {
			t.Fatalf("%q answers, want %s", body, id)
		}
	}
	switchUnderLoad(t, d, route, []string{one, two}, address)
	if err := d.Remove(t.Context(), testName, route.Name); err != nil {
		t.Fatal(err)
	}
	ask(502)
}

// switchUnderLoad switches to and fro, and wants every request of somebody else's to be answered 200.
func switchUnderLoad(t *testing.T, d *traefik.Driver, route state.Route, ids []string, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var dialer net.Dialer
	for range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				result, err := probe.New(dialer.DialContext).HTTP(t.Context(), address, "/", "a.shop.example.com")
				if result.Status != 200 {
					t.Errorf("%d, %v while switching", result.Status, err)
					return
				}
			}
		})
	}
	for n := range 10 {
		route.Targets = []string{ids[n%2] + ":" + appPort}
		if err := d.Deploy(t.Context(), testName, route, 20*time.Second, 0); err != nil {
			t.Error(err)
		}
	}
	cancel()
	asking.Wait()
}

// traefikImage is an image of Traefik that is on this machine.
func traefikImage(t *testing.T) string {
	t.Helper()
	image := os.Getenv("KAMALD_TRAEFIK_IMAGE")
	if image == "" {
		out, err := exec.Command("docker", "image", "ls", "traefik", "--format", "{{.Repository}}:{{.Tag}}").Output()
		if err != nil && os.Getenv("CI") == "true" {
			t.Fatalf("this test needs a Docker engine: %v", err)
		}
		for _, ref := range strings.Fields(string(out)) {
			if _, err := traefik.Major(ref); err == nil {
				image = ref
			}
		}
	}
	if image == "" {
		t.Skip("NOT RUN: there is no image named traefik on this machine")
	}
	return image
}

func startTraefik(t *testing.T, image, run string) (address string) {
	t.Helper()
	clean := func() {
		for _, id := range strings.Fields(command(t, "ps", "-aq", "--filter", "label="+testLabel)) {
			command(t, "rm", "-f", "-v", id)
		}
		for _, id := range strings.Fields(command(t, "network", "ls", "-q", "--filter", "label="+testLabel)) {
			command(t, "network", "rm", id)
		}
		for _, name := range strings.Fields(command(t, "volume", "ls", "-q", "--filter", "name="+testName+"-config")) {
			command(t, "volume", "rm", name)
		}
		if len(strings.Fields(command(t, "image", "ls", "-q", appImage))) > 0 {
			command(t, "rmi", "-f", appImage)
		}
	}
	clean()
	t.Cleanup(clean)
	loadApp(t)
	server := release.ProxyServer{Driver: state.DriverTraefik, Name: testName, Image: image}
	command(t, "network", "create", "--label", testLabel, testName)
	args := []string{"run", "-d", "--name", testName, "--label", testLabel, "--network", testName, "--publish", "127.0.0.1::80"}
	for _, volume := range server.TraefikVolumes(run) {
		args = append(args, "--volume", volume)
	}
	command(t, append(append(args, image), server.TraefikArgs()...)...)
	return strings.TrimSpace(command(t, "port", testName, "80/tcp"))
}

func startApp(t *testing.T, name string) (id string) {
	t.Helper()
	return state.ShortID(strings.TrimSpace(command(t, "run", "-d", "--name", testName+"-"+name, "--label", testLabel, "--network", testName, appImage)))
}

// loadApp makes an image of the app that answers with the name of its container.
func loadApp(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app")
	build := exec.Command("go", "build", "-trimpath", "-o", file, "../proxy/testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := proxy.Archive(appImage, runtime.GOARCH, binary)
	if err != nil {
		t.Fatal(err)
	}
	load := exec.Command("docker", "load")
	load.Stdin = archive
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("docker", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	err := errors.New("not tried")
	for deadline := time.Now().Add(30 * time.Second); err != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(fmt.Errorf("%s: %w", what, err))
		}
		err = try()
	}
}

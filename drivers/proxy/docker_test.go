package proxy_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/proxy"
	"github.com/kamald/kamald/state"
)

const (
	testLabel     = "kamald.test=proxy-driver"
	testContainer = "kamald-test-proxy-driver"
)

// dockerEngine is the engine of this machine by its command line.
type dockerEngine struct{}

func (dockerEngine) Exec(ctx context.Context, container string, argv []string) (state.ExecResult, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", append([]string{"exec", container}, argv...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	result := state.ExecResult{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = nil
	}
	return result, err
}

func (dockerEngine) ReadFile(ctx context.Context, container, path string) ([]byte, error) {
	archive, err := exec.CommandContext(ctx, "docker", "cp", container+":"+path, "-").Output()
	if err != nil {
		return nil, os.ErrNotExist
	}
	in := tar.NewReader(bytes.NewReader(archive))
	if _, err := in.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(in)
}

func (dockerEngine) Logs(ctx context.Context, container string, tail int, _ time.Time) ([]string, error) {
	out, err := exec.CommandContext(ctx, "docker", "logs", "--tail", fmt.Sprint(tail), container).CombinedOutput()
	return strings.Split(string(out), "\n"), err
}

// One proxy in a container serves all parts, since to make it is most of the work.
func TestTheProxyInItsOwnImage(t *testing.T) {
	port := startProxy(t)
	one, two := startApp(t, "one"), startApp(t, "two")
	for _, part := range []struct {
		name string
		run  func(t *testing.T, port, one, two string)
	}{
		{"takes switches and removes routes", switchesAndRemoves},
		{"stops, pauses, resumes and lists routes", stopsAndPauses},
		{"splits requests and counts both sides", splitsAndCounts},
		{"goes on as another program", goesOnAsAnotherProgram}, // which is restarted then, on another port
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Cleanup(func() {
				if err := proxy.New(dockerEngine{}).Remove(context.WithoutCancel(t.Context()), testContainer, "shop-web"); err != nil {
					t.Error(err)
				}
			})
			part.run(t, port, one, two)
		})
	}
}

func switchesAndRemoves(t *testing.T, port, one, two string) {
	d := proxy.New(dockerEngine{})
	const container = testContainer
	route := state.Route{Name: "shop-web", Options: plain()}
	route.Options.Hosts, route.Options.HealthInterval = []string{"shop.example.com"}, 100*time.Millisecond
	route.Options.BufferRequests, route.Options.MaxRequestBody = true, 1<<20
	route.Options.LogRequestHeaders = []string{"X-A", "X-B"}
	for _, id := range []string{one, two} {
		route.Targets = []string{id + ":3000"}
		if err := d.Deploy(t.Context(), container, route, 20*time.Second, time.Second); err != nil {
			t.Fatal(err)
		}
		routes, err := d.Routes(t.Context(), container)
		if err != nil {
			t.Fatal(err)
		}
		if want := []state.Route{route}; !reflect.DeepEqual(routes, want) {
			t.Fatalf("got  %+v\nwant %+v", routes, want)
		}
		if status, body := get(t, port); status != 200 || body != id {
			t.Fatalf("got %d %q, want 200 from %s", status, body, id)
		}
	}
	route.Targets = []string{one + ":3999"}
	err := d.Deploy(t.Context(), container, route, time.Second, 0)
	if err == nil || strings.Contains(err.Error(), "Error:") {
		t.Fatalf("a target that refuses connections was taken: %v", err)
	}
	t.Logf("a refusing target: %v", err)
	if status, body := get(t, port); status != 200 || body != two {
		t.Fatalf("after a failed deploy: %d %q", status, body)
	}
	for range 2 {
		if err := d.Remove(t.Context(), container, "shop-web"); err != nil {
			t.Fatal(err)
		}
	}
	if routes, err := d.Routes(t.Context(), container); err != nil || len(routes) != 0 {
		t.Fatalf("%v, %v", routes, err)
	}
}

func goesOnAsAnotherProgram(t *testing.T, port, one, _ string) {
	const container = testContainer
	d := proxy.New(dockerEngine{}, proxy.WithBinary(func(string) ([]byte, error) { return os.ReadFile(build(t, proxyProgram, "")) }))
	route := state.Route{Name: "shop-web", Targets: []string{one + ":3000"}, Options: plain()}
	route.Options.HealthInterval = 100 * time.Millisecond
	if err := d.Deploy(t.Context(), container, route, 20*time.Second, time.Second); err != nil {
		t.Fatal(err)
	}
	before, err := d.About(t.Context(), container)
	if err != nil || before.Version != "test-driver" || !slices.Contains(before.Features, state.FeatureUpgrade) {
		t.Fatalf("%+v, %v", before, err)
	}
	program, err := d.Program(t.Context(), "kamald/proxy:2.0.0", runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	cp := exec.Command("docker", "cp", "-", container+":/usr/local/bin")
	cp.Stdin = program
	if out, err := cp.CombinedOutput(); err != nil {
		t.Fatalf("docker cp: %v\n%s", err, out)
	}
	if err := d.Upgrade(t.Context(), container, time.Second); err != nil {
		t.Fatal(err)
	}
	after, err := d.About(t.Context(), container)
	if err != nil || after.Version != "2.0.0" || after.Started.Before(before.Started) {
		t.Errorf("%+v, %v", after, err)
	}
	if status, body := get(t, port); status != 200 || body != one {
		t.Errorf("after the upgrade: %d %q", status, body)
	}
	docker(t, "restart", container) // Docker gives it another port
	if again, err := d.About(t.Context(), container); err != nil || again.Version != "2.0.0" {
		t.Errorf("after a restart of the container: %+v, %v", again, err)
	}
	if err := d.Upgrade(t.Context(), container, time.Second); err == nil {
		t.Error("an upgrade without a program succeeded")
	}
}

// startProxy builds the proxy, makes its image by the driver, starts it, and gives its port on this machine.
func startProxy(t *testing.T) string {
	t.Helper()
	if out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test needs a Docker engine: %s", out)
		}
		t.Skip("NOT RUN: there is no Docker engine on this machine")
	}
	clean := func() {
		for _, id := range strings.Fields(docker(t, "ps", "-aq", "--filter", "label="+testLabel)) {
			docker(t, "rm", "-f", "-v", id)
		}
		for _, id := range strings.Fields(docker(t, "network", "ls", "-q", "--filter", "label="+testLabel)) {
			docker(t, "network", "rm", id)
		}
		for _, id := range strings.Fields(docker(t, "image", "ls", "-q", "kamald/proxy")) {
			if tags := docker(t, "image", "inspect", id, "--format", "{{.RepoTags}}"); strings.Contains(tags, ":test-driver") {
				docker(t, "rmi", "-f", id)
			}
		}
	}
	clean()
	t.Cleanup(clean)
	load(t, "kamald/proxy:test-driver", proxyProgram)
	load(t, "kamald/proxy:test-driver-app", "./testdata/app")
	docker(t, "network", "create", "--label", testLabel, testContainer)
	docker(t, "run", "-d", "--name", testContainer, "--label", testLabel, "--network", testContainer,
		"--publish", "127.0.0.1::80", "kamald/proxy:test-driver")
	address := strings.TrimSpace(docker(t, "port", testContainer, "80/tcp"))
	return address
}

func startApp(t *testing.T, name string) (id string) {
	t.Helper()
	id = docker(t, "run", "-d", "--name", testContainer+"-"+name, "--label", testLabel,
		"--network", testContainer, "kamald/proxy:test-driver-app")
	return state.ShortID(strings.TrimSpace(id))
}

// load makes an image of the driver's form around a program of this module.
func load(t *testing.T, ref, program string) {
	t.Helper()
	file := build(t, program, "")
	d := proxy.New(dockerEngine{}, proxy.WithBinary(func(string) ([]byte, error) { return os.ReadFile(file) }))
	archive, err := d.Image(t.Context(), ref, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "load")
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), ref) {
		t.Fatalf("docker load: %v\n%s", err, out)
	}
}

func get(t *testing.T, address string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "shop.example.com"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// recorder is an engine that makes nothing: it keeps what clients ask it to create, by the container's name.
type recorder struct {
	*httptest.Server
	api string
	mu  sync.Mutex
	got map[string]map[string]any

	warnings []string // it answers
	removed  []string // paths of containers that were removed
}

func newRecorder(t *testing.T, api string) *recorder {
	r := &recorder{api: api, got: map[string]map[string]any{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

var versionPath = regexp.MustCompile(`\A/v[0-9.]+/`)

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Api-Version", r.api)
	w.Header().Set("Ostype", "linux")
	w.Header().Set("Content-Type", "application/json")
	switch path := versionPath.ReplaceAllString(request.URL.Path, "/"); {
	case path == "/_ping":
		fmt.Fprint(w, "OK")
	case path == "/containers/create":
		var body map[string]any
		decoder := json.NewDecoder(request.Body)
		decoder.UseNumber()
		if err := decoder.Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body["platform"] = request.URL.Query().Get("platform")
		r.mu.Lock()
		r.got[request.URL.Query().Get("name")] = body
		r.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"Id": strings.Repeat("ab", 32), "Warnings": r.warnings})
	case request.Method == http.MethodDelete:
		r.removed = append(r.removed, path)
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(path, "/start"):
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, `{"message":"not here"}`, http.StatusNotFound)
	}
}

// of is what was asked for under a name, in parts: the fields of Config and HostConfig, the endpoints, and the platform.
func (r *recorder) of(name string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := map[string]any{}
	for field, value := range r.got[name] {
		switch value := value.(type) {
		case map[string]any:
			for inner, v := range value {
				parts[field+"."+inner] = v
			}
		default:
			parts["Config."+field] = value // Config's own fields lie at the top
		}
	}
	parts["HostConfig.ConsoleSize"] = nil
	for _, top := range []string{"Labels", "ExposedPorts", "Healthcheck", "Volumes"} {
		if v, ok := r.got[name][top]; ok {
			parts["Config."+top] = v
			maps.DeleteFunc(parts, func(field string, _ any) bool { return strings.HasPrefix(field, top+".") })
		}
	}
	return parts
}

// engine is our driver on the recorder.
func (r *recorder) engine() *Engine {
	return New(func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", r.Listener.Addr().String())
	}, Options{Host: "recorder"})
}

// dockerRun lets the docker client itself start a container.
func (r *recorder) dockerRun(ctx context.Context, config, name string, lines []string) error {
	arguments := []string{"--host", "tcp://" + r.Listener.Addr().String(), "run", "--detach", "--pull", "never", "--name", name,
		"--network", "kamal", "--restart", "unless-stopped", "--log-driver", "json-file", "--log-opt", "tag=shop"}
	for _, line := range lines {
		arguments = append(arguments, "--"+line)
	}
	command := exec.CommandContext(ctx, "docker", append(arguments, "shop:v1")...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + config, "DOCKER_CONFIG=" + config}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("docker run: %w: %s", err, out)
	}
	return nil
}

// kamaldRun writes the options into a deploy.hcl and makes the container of its role.
func (r *recorder) kamaldRun(ctx context.Context, e *Engine, name string, lines []string) error {
	spec, err := roleSpec(lines)
	if err != nil {
		return err
	}
	_, err = e.Create(ctx, name, spec, nil, nil)
	return err
}

// roleSpec is the spec of a role with options, as plan makes it, without what is the same for every role.
func roleSpec(lines []string) (state.Spec, error) {
	options := map[string][]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		options[name] = append(options[name], strconv.Quote(value))
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name][0]
		if len(options[name]) > 1 {
			value = "[" + strings.Join(options[name], ", ") + "]"
		}
		fmt.Fprintf(&b, "    %s = %s\n", name, value)
	}
	file := fmt.Sprintf(`
service = "shop"
image   = "shop"
version = "v1"
logging {
  driver  = "json-file"
  options = { tag = "shop" }
}
role "web" {
  hosts   = ["10.0.0.1"]
  options = {
%s  }
}
`, b.String())
	r, diags := release.Load("deploy.hcl", release.Options{
		ReadFile: func(path string) ([]byte, error) {
			if path == "deploy.hcl" {
				return []byte(file), nil
			}
			return os.ReadFile(path)
		},
		ReadDir: func(string) ([]string, error) { return nil, nil },
	})
	if err := diags.Err(); err != nil {
		return state.Spec{}, err
	}
	role := r.Roles[0]
	return state.Spec{Image: r.Image(), Cmd: role.Cmd, Env: role.Env.Clear, Labels: role.Labels, Volumes: role.Volumes, Network: r.Network, Restart: role.Restart,
		LogDriver: role.Logging.Driver, LogOptions: role.Logging.Options, StopSignal: role.Stop.Signal, StopGrace: role.Stop.Grace, Options: role.Options}, nil
}

// changed are the fields that an option has touched, in a form that can be compared.
func changed(without, with map[string]any) map[string]any {
	fields := map[string]any{}
	for _, field := range slices.Sorted(maps.Keys(with)) {
		if !cmp.Equal(without[field], with[field]) {
			fields[field] = comparison(field, with[field])
		}
	}
	return fields
}

// unordered are the fields that are lists without an order.
var unordered = []string{"CapAdd", "CapDrop", "Ulimits", "Devices", "SecurityOpt", "GroupAdd", "ExtraHosts", "Mounts", "Binds", "Links", "BlkioWeightDevice",
	"BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "DeviceCgroupRules", "Env", "EndpointsConfig"}

// comparison leaves out what is empty, which clients write in several ways.
func comparison(field string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range value {
			if v := comparison(field, inner); v != nil {
				kept[name] = v
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case []any:
		var kept []any
		for _, inner := range value {
			if v := comparison(field, inner); v != nil {
				kept = append(kept, v)
			}
		}
		_, name, _ := strings.Cut(field, ".")
		if slices.Contains(unordered, name) {
			slices.SortFunc(kept, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case string:
		if value == "" {
			return nil
		}
		if strings.HasSuffix(field, ".CapAdd") || strings.HasSuffix(field, ".CapDrop") {
			return strings.TrimPrefix(strings.ToUpper(value), "CAP_") // older clients leave that to the engine
		}
		return value
	case bool:
		if !value {
			return nil
		}
	case json.Number:
		if value == "0" {
			return nil
		}
	}
	return value
}

func TestOptionsAreSentAsTheDockerClientSendsThem(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT RUN: there is no docker client: %v", err)
	}
	r := newRecorder(t, "1.56")
	e, config := r.engine(), t.TempDir()
	t.Cleanup(func() { e.Close() })
	profile := t.TempDir() + "/profile.json"
	if err := os.WriteFile(profile, []byte("{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := slices.Concat([][]string{nil}, clientLines, [][]string{{"security-opt=seccomp=" + profile}})
	refused := make([]error, len(lines)) // by the docker client
	var group errgroup.Group
	group.SetLimit(3)
	for i, line := range lines {
		group.Go(func() error {
			refused[i] = r.dockerRun(t.Context(), config, fmt.Sprint("docker-", i), line)
			if err := r.kamaldRun(t.Context(), e, fmt.Sprint("kamald-", i), line); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if refused[0] != nil {
		t.Fatal(refused[0])
	}
	compared := 0
	for i, line := range lines[1:] {
		if err := refused[i+1]; err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			t.Logf("NOT COMPARED: this docker client does not take %q: %s", line, first)
			continue
		}
		want := changed(r.of("docker-0"), r.of(fmt.Sprint("docker-", i+1)))
		got := changed(r.of("kamald-0"), r.of(fmt.Sprint("kamald-", i+1)))
		if _, old := want["Config.MacAddress"]; old {
			t.Logf("NOT COMPARED: this docker client puts %q where engines had it before API 1.44", line)
			continue
		}
		compared++
		if says := !slices.ContainsFunc(line, func(entry string) bool { return slices.Contains(saysNothing, entry) }); says == (len(want) == 0) {
			t.Errorf("%q changes %v of what docker sends", line, want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-docker +kamald):\n%s", line, diff)
		}
	}
	t.Logf("compared %d of %d lines with this docker client", compared, len(lines)-1)
	if compared < 120 {
		t.Errorf("only %d lines were compared", compared)
	}
}

// saysNothing is what docker sends anyway, or takes for not given.
var saysNothing = []string{"memory-swappiness=-1", "pids-limit=0", "oom-kill-disable=false", "tty=false", "privileged=false", "no-healthcheck=false",
	"log-driver=json-file"}

func TestTheLinesForTheDockerClientHaveEveryOption(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range clientLines {
		for _, entry := range line {
			name, _, _ := strings.Cut(entry, "=")
			seen[name] = true
		}
	}
	for _, name := range release.OptionNames() {
		if !seen[name] {
			t.Errorf("no line has %s", name)
		}
	}
	if len(clientLines) < 150 {
		t.Errorf("%d lines, want at least 150", len(clientLines))
	}
}

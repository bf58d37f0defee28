// Package e2e holds the tests that run the built program against the lab: real sshd, real engines, a real registry.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/lab"
)

// canary is the planted secret: its words must be found nowhere but in the env files, the key and the container.
const canary = "walrus-umbrella-kestrel"

// fixture is a folder with a deploy.hcl for the lab, and the built program to run there.
type fixture struct {
	t     *testing.T
	lab   *lab.Lab
	dir   string
	store string
	bin   string
	env   []string
}

// begun says that the hosts were emptied once, of the proxy's image too.
var begun bool

// within is the fixture of a subtest: what fails there fails there.
func (f *fixture) within(t *testing.T) *fixture {
	part := *f
	part.t = t
	return &part
}

// newFixture lends the lab to the test, empties its hosts, and makes the folder.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	l := lab.Require(t)
	bin, err := filepath.Abs("../bin/kamald")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("the program is not built: run `make build` first: %v", err)
	}
	f := &fixture{t: t, lab: l, dir: t.TempDir(), bin: bin}
	f.store = filepath.Join(f.dir, "state.db")
	f.env = append(os.Environ(), "HOME="+f.dir, "SSH_AUTH_SOCK=")
	reset := (*lab.Host).Reset
	if !begun { // the first test of a run meets hosts without the proxy's image, the others the image of this build
		reset = (*lab.Host).ResetBare
	}
	var all sync.WaitGroup
	for i := range l.Hosts {
		all.Go(func() {
			if err := reset(&l.Hosts[i], t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	begun = true
	if t.Failed() {
		t.FailNow()
	}
	f.write(".kamald/secrets", "REGISTRY_PASSWORD="+l.Registry.Password.Reveal()+"\nAPI_TOKEN="+canary+"\n", 0o600)
	return f
}

// host is a lab host by its number, from 1.
func (f *fixture) host(n int) *lab.Host { return &f.lab.Hosts[n-1] }

// write puts a file into the folder.
func (f *fixture) write(name, content string, mode os.FileMode) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		f.t.Fatal(err)
	}
}

// rewrite changes a file of the folder.
func (f *fixture) rewrite(name string, change *strings.Replacer) {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(name, change.Replace(string(text)), 0o600)
}

// settings change the deploy.hcl that a test writes.
type settings struct {
	user    string // of ssh; default root
	timeout string // deploy_timeout; default 5s
	ready   string // readiness_delay; default 300ms, which proves nothing of a worker that ends by itself
	root    string // lines at the root
	web     string // lines in role web
	workers string // lines in role workers
	hosts   [3]string
	more    string
}

// deploy writes the deploy.hcl: two web hosts and one workers host.
func (f *fixture) deploy(s settings) {
	f.t.Helper()
	user, timeout := cmp.Or(s.user, "root"), cmp.Or(s.timeout, "5s")
	blocks := ""
	for i, h := range f.lab.Hosts {
		blocks += fmt.Sprintf("host %q {\n  address = %q\n%s\n}\n", h.Name, h.Address, s.hosts[i])
	}
	f.write("deploy.hcl", fmt.Sprintf(`service = "shop"
image   = "acme/shop"
deploy_timeout = %q
drain_timeout = "5s"
readiness_delay = %q
stop_timeout = "5s"
%s
registry {
  server   = %q
  username = %q
  password = secret("REGISTRY_PASSWORD")
}
ssh {
  user        = %q
  keys        = [%q]
  known_hosts = [%q]
  config      = false
}
%s
env {
  secret = ["API_TOKEN"]
}
proxy {
  app_port = 3000
}
role "web" {
  hosts = [%q, %q]
%s
}
role "workers" {
  hosts = [%q]
  cmd   = ["app", "worker"]
%s
}
%s
`, timeout, cmp.Or(s.ready, "300ms"), s.root, f.lab.Registry.Server, f.lab.Registry.Username, user, f.lab.KeyFile, f.lab.KnownHosts, blocks,
		f.lab.Hosts[0].Name, f.lab.Hosts[1].Name, s.web, f.lab.Hosts[2].Name, s.workers, s.more), 0o600)
}

// image pushes a variant of the sample app.
func (f *fixture) image(version string, env map[string]string) {
	f.t.Helper()
	if _, err := f.lab.BuildApp(f.t.Context(), lab.AppImage{Repository: "acme/shop", Version: version, Env: env}); err != nil {
		f.t.Fatal(err)
	}
}

// result is how a run of the program ended.
type result struct {
	code   int
	stdout string
	stderr string
	took   time.Duration
}

func (r result) all() string { return r.stdout + r.stderr }

// run runs the program and gives how it ended.
func (f *fixture) run(args ...string) result {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	return f.runContext(ctx, args...)
}

func (f *fixture) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.bin, append(args, "--store", f.store, "--no-color")...)
	cmd.Dir, cmd.Env = f.dir, f.env
	return cmd
}

func (f *fixture) runContext(ctx context.Context, args ...string) result {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := f.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		f.t.Fatalf("kamald %s: %v", strings.Join(args, " "), err)
	}
	r := result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(began)}
	f.t.Logf("kamald %s: exit %d in %s\n%s%s", strings.Join(args, " "), r.code, r.took.Round(time.Millisecond), r.stdout, r.stderr)
	return r
}

// must runs the program and wants an exit code.
func (f *fixture) must(code int, args ...string) result {
	f.t.Helper()
	r := f.run(args...)
	if r.code != code {
		f.t.Fatalf("kamald %s: exit code %d, want %d", strings.Join(args, " "), r.code, code)
	}
	return r
}

// emptyTwice wants the plan to be empty, twice.
func (f *fixture) emptyTwice(version string) {
	f.t.Helper()
	for range 2 {
		f.must(0, "plan", "--version", version, "--detailed-exitcode")
	}
}

// container is what a test asks of a host's engine, from outside kamald.
type container struct {
	ID     string
	Name   string
	Labels map[string]string
	Image  string
	State  string
	Env    []string
}

// containers lists the app's containers on a host, by the host's own docker.
func (f *fixture) containers(h *lab.Host, filters ...string) []container {
	f.t.Helper()
	return f.filtered(h, append([]string{"label=service=shop"}, filters...)...)
}

// filtered lists those that every filter of docker's is true of.
func (f *fixture) filtered(h *lab.Host, filters ...string) []container {
	f.t.Helper()
	argv := []string{"docker", "ps", "-aq", "--no-trunc"}
	for _, filter := range filters {
		argv = append(argv, "--filter", filter)
	}
	ids := strings.Fields(f.exec(h, argv...))
	if len(ids) == 0 {
		return nil
	}
	var raw []struct {
		ID, Name string
		Config   struct {
			Labels map[string]string
			Image  string
			Env    []string
		}
		State struct{ Status string }
	}
	if err := json.Unmarshal([]byte(f.exec(h, append([]string{"docker", "inspect"}, ids...)...)), &raw); err != nil {
		f.t.Fatal(err)
	}
	var list []container
	for _, r := range raw {
		list = append(list, container{r.ID, strings.TrimPrefix(r.Name, "/"), r.Config.Labels, r.Config.Image, r.State.Status, r.Config.Env})
	}
	return list
}

// running gives the sorted names of the app's containers that run on a host.
func (f *fixture) running(h *lab.Host) []string {
	f.t.Helper()
	var names []string
	for _, c := range f.containers(h) {
		if c.State == "running" {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// wantRunning wants exactly these containers to run on a host.
func (f *fixture) wantRunning(h *lab.Host, names ...string) {
	f.t.Helper()
	if got := f.running(h); !slices.Equal(got, names) {
		f.t.Fatalf("%s runs %v, want %v", h.Name, got, names)
	}
}

// exec runs a program on a host, from outside kamald, and wants it to succeed.
func (f *fixture) exec(h *lab.Host, argv ...string) string {
	f.t.Helper()
	out, err := h.Exec(f.t.Context(), argv...)
	if err != nil {
		f.t.Fatalf("%s: %s: %v", h.Name, strings.Join(argv, " "), err)
	}
	return out
}

// latest is the version that a host's latest tag marks: the other tag of the same image.
func (f *fixture) latest(h *lab.Host, tag string) string {
	f.t.Helper()
	name := f.lab.Registry.Server + "/acme/shop"
	out, err := h.Exec(f.t.Context(), "docker", "image", "inspect", "-f", "{{json .RepoTags}}", name+":"+tag)
	if err != nil {
		return ""
	}
	var tags []string
	if err := json.Unmarshal([]byte(out), &tags); err != nil {
		f.t.Fatal(err)
	}
	for _, t := range tags {
		if version := strings.TrimPrefix(t, name+":"); !strings.HasPrefix(version, "latest") {
			return version
		}
	}
	return "?"
}

// wantLatest wants the latest tag of all three hosts at a version.
func (f *fixture) wantLatest(version string) {
	f.t.Helper()
	for i := range f.lab.Hosts {
		if got := f.latest(&f.lab.Hosts[i], "latest"); got != version {
			f.t.Fatalf("latest on %s is %q, want %q", f.lab.Hosts[i].Name, got, version)
		}
	}
}

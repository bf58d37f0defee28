package build

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

// canary is in every secret of these tests, and must be nowhere but in the builder's environment and Docker's settings.
const canary = "walrus-umbrella-kestrel"

// standInProgram is docker and pack of these tests, built once.
var standInProgram string

func TestMain(m *testing.M) { os.Exit(withStandIn(m.Run)) }

func withStandIn(run func() int) int {
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	standInProgram = filepath.Join(dir, "standin")
	compile := exec.Command("go", "build", "-trimpath", "-o", standInProgram, "./testdata/standin")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := compile.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the stand-in cannot be built: %v\n%s", err, said)
		return 1
	}
	return run()
}

type standInReply struct {
	Begins   string
	Out, Err string
	Code     int
	Metadata string
	Hang     bool
	Once     bool
	Writes   string
}

type standInCall struct {
	Argv, Env    []string
	Config, Mode string
	Links        []string
	Stdin        string
}

// env is a variable of the call, and whether it is there.
func (c standInCall) env(name string) (string, bool) {
	i := slices.IndexFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	if i < 0 {
		return "", false
	}
	return strings.TrimPrefix(c.Env[i], name+"="), true
}

// machine is a machine with the stand-in on its PATH alone.
type machine struct {
	t    *testing.T
	dir  string // what the stand-in reads and writes
	home string
}

// The docker commands that are stood in for.
const (
	newest   = `{"Client":{"Version":"28.2.2"},"Server":{"Version":"27.0.1","Arch":"amd64"}}`
	ancient  = `{"Client":{"Version":"20.10.24+dfsg1"},"Server":{"Version":"20.10.24","Arch":"amd64"}}`
	engineAt = "unix:///run/user/1000/docker.sock"
)

// newMachine has docker, and pack, with these answers.
func newMachine(t *testing.T, replies ...standInReply) machine {
	t.Helper()
	m := machine{t: t, dir: t.TempDir(), home: t.TempDir()}
	bin := filepath.Join(m.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"docker", "pack"} {
		if err := os.Symlink(standInProgram, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"PATH": bin + ":/usr/bin:/bin", "BUILD_STANDIN": m.dir, "HOME": m.home, "DOCKER_CONFIG": "", "DOCKER_HOST": "",
		"DOCKER_CONTEXT": "", "BUILDX_CONFIG": "", "XDG_RUNTIME_DIR": "", "XDG_CACHE_HOME": filepath.Join(m.home, "cache")} {
		t.Setenv(name, value)
	}
	data, err := json.Marshal(replies)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "replies.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// tools are the answers of a machine: which docker command, and whether it has buildx.
func tools(version string, buildx bool) []standInReply {
	has := standInReply{Begins: "docker buildx version", Out: "github.com/docker/buildx v0.38.2\n"}
	if !buildx {
		has = standInReply{Begins: "docker buildx", Err: "docker: unknown command: docker buildx\n", Code: 1}
	}
	return []standInReply{{Begins: "docker version", Out: version + "\n"}, has, {Begins: "docker context inspect --format {{.Name}}", Out: "default\n"},
		{Begins: "docker context inspect --format {{.Endpoints", Out: engineAt + "\n"}}
}

// calls are all that were made.
func (m machine) calls() []standInCall {
	m.t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, "calls"))
	if err != nil {
		m.t.Fatal(err)
	}
	var calls []standInCall
	for line := range strings.Lines(string(data)) {
		var c standInCall
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			m.t.Fatal(err)
		}
		calls = append(calls, c)
	}
	return calls
}

// last is the last call whose command line begins so.
func (m machine) last(begins string) standInCall {
	m.t.Helper()
	calls := m.calls()
	slices.Reverse(calls)
	i := slices.IndexFunc(calls, func(c standInCall) bool { return strings.HasPrefix(strings.Join(c.Argv, " "), begins) })
	if i < 0 {
		m.t.Fatalf("no call begins with %q", begins)
	}
	return calls[i]
}

// job is a build of a directory with a Dockerfile, by a file with these lines.
func (m machine) job(lines string) Job {
	m.t.Helper()
	dir := filepath.Join(m.t.TempDir(), "a tree")
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range []string{"Dockerfile", "Dockerfile.web"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("FROM scratch\n"), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	text := "service = \"shop\"\nimage = \"acme/shop\"\nversion = \"v1\"\nrole \"web\" { hosts = [\"10.0.0.1\"] }\n" + lines + "\n"
	destination := ""
	if strings.Contains(lines, `destination "eu"`) {
		destination = "eu"
	}
	r, diags := release.Load("deploy.hcl", release.Options{Destination: destination, ReadDir: func(string) ([]string, error) { return nil, nil },
		ReadFile: func(path string) ([]byte, error) {
			if path == "deploy.hcl" {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}})
	if diags.HasErrors() {
		m.t.Fatalf("%s\n%s", text, diags.Error())
	}
	log, err := NewLog(filepath.Join(m.t.TempDir(), "logs"), destination, true, m.screen(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = log.Close() })
	j := Job{Release: r, Tree: &Tree{Dir: dir, Root: dir, Project: dir, Included: true}, Log: log, Secrets: map[string]release.Secret{}}
	for _, name := range r.Build.Secrets {
		j.Secrets[name] = release.NewSecret(canary + "-" + name)
	}
	if r.Registry != nil {
		j.Auth = release.Auth{Server: r.Registry.Server, Username: "deploy", Password: release.NewSecret(canary + "-password")}
	}
	return j
}

// screen is what a person sees, in a file.
func (m machine) screen() *os.File {
	m.t.Helper()
	file, err := os.OpenFile(filepath.Join(m.dir, "screen"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = file.Close() })
	return file
}

// seen is what the person has seen.
func (m machine) seen() string {
	m.t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, "screen"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(data)
}

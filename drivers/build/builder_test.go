package build

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

const private = "registry {\n server = \"registry.example.com\"\n username = \"deploy\"\n password = secret(\"P\")\n}\n"

// XDG_RUNTIME_DIR outlives the directory it names, as after a change of user or in a container.
func TestAPrivateDirectoryThatIsGoneIsDoneWithout(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(m.home, "gone"))
	if _, err := m.job(private).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := m.last("docker buildx build"); c.Mode != "drwx------" || !strings.Contains(c.Config, "registry.example.com") {
		t.Errorf("the builder has %s settings: %s", c.Mode, c.Config)
	}
}

// The builder gets the password in Docker's settings, which are private and gone afterwards; all else that the user has there stays
// within reach.
func TestThePasswordIsInSettingsThatAreGoneAfterwards(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
	for _, dir := range []string{".docker/contexts/meta", ".docker/cli-plugins", ".docker/buildx"} {
		if err := os.MkdirAll(filepath.Join(m.home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeText(t, filepath.Join(m.home, ".docker/config.json"), `{"auths":{"other.example.com":{"auth":"b3RoZXI="}},"credsStore":"keychain","currentContext":"colima","credHelpers":{"ecr.example.com":"ecr-login"}}`)
	if _, err := m.job(private).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := m.last("docker buildx build")
	var settings struct {
		Auths                      map[string]struct{ Auth string }
		CredsStore, CurrentContext string
		CredHelpers                map[string]string
	}
	if err := json.Unmarshal([]byte(c.Config), &settings); err != nil {
		t.Fatal(err)
	}
	const login = "ZGVwbG95OndhbHJ1cy11bWJyZWxsYS1rZXN0cmVsLXBhc3N3b3Jk" // deploy:walrus-umbrella-kestrel-password
	if got := settings.Auths["registry.example.com"].Auth; got != login {
		t.Errorf("the registry gets %q", got)
	}
	if helper, ok := settings.CredHelpers["registry.example.com"]; !ok || helper != "" {
		t.Error("the user's keychain is asked for the registry's password")
	}
	if settings.Auths["other.example.com"].Auth != "b3RoZXI=" || settings.CredsStore != "keychain" || settings.CurrentContext != "colima" || settings.CredHelpers["ecr.example.com"] != "ecr-login" {
		t.Errorf("the user's own settings are gone: %s", c.Config)
	}
	if c.Mode != "drwx------" || strings.Join(c.Links, " ") != "buildx cli-plugins config.json contexts" {
		t.Errorf("the directory is %s with %v", c.Mode, c.Links)
	}
	dir, _ := c.env("DOCKER_CONFIG")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	if state, _ := c.env("BUILDX_CONFIG"); state != filepath.Join(m.home, ".docker/buildx") {
		t.Errorf("buildx keeps its builders in %s", state)
	}
}

func TestSettingsThatCannotBeReadAreNamed(t *testing.T) {
	m := newMachine(t, tools(newest, true)...)
	if err := os.Mkdir(filepath.Join(m.home, ".docker"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(m.home, ".docker/config.json"), `{"auths":`)
	if _, err := m.job(private).Run(t.Context()); err == nil || !strings.Contains(err.Error(), ".docker/config.json") {
		t.Error(err)
	}
}

func TestASecretComesByTheEnvironmentAlone(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build",
		Out: "#5 the token is " + canary + "-TOKEN\n", Err: "#6 and so " + canary + "-TOKEN", Code: 1})...)
	j := m.job("build { secrets = [\"TOKEN\"] }")
	_, err := j.Run(t.Context())
	c := m.last("docker buildx build")
	if value, _ := c.env("KAMALD_BUILD_SECRET_TOKEN"); value != canary+"-TOKEN" {
		t.Errorf("the builder has %q", value)
	}
	logged, readErr := os.ReadFile(j.Log.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	for where, text := range map[string]string{"an argument": strings.Join(c.Argv, " "), "the log": string(logged), "the terminal": m.seen(), "the error": err.Error()} {
		if strings.Contains(text, canary) {
			t.Errorf("the secret is in %s: %s", where, text)
		}
	}
	if !strings.Contains(m.seen(), "#5 the token is (secret)\n") || !strings.Contains(err.Error(), "#6 and so (secret)") {
		t.Errorf("seen %q, error %v", m.seen(), err)
	}
}

func TestASecretThatWasNotLookedUpIsNamed(t *testing.T) {
	m := newMachine(t, tools(newest, true)...)
	j := m.job("build { secrets = [\"TOKEN\"] }")
	j.Secrets = nil
	if _, err := j.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "TOKEN") {
		t.Error(err)
	}
}

func TestAFailureHasTheLastLinesAndTheLog(t *testing.T) {
	var said strings.Builder
	for n := range 50 {
		said.WriteString("line " + strconv.Itoa(n) + "\n")
	}
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build", Err: said.String() + "ERROR: no space left", Code: 17})...)
	j := m.job("build { args = { A = \"private\" } }")
	_, err := j.Run(t.Context())
	var failed *FailedError
	if !errors.As(err, &failed) || len(failed.Last) != lastLines || failed.Last[lastLines-1] != "ERROR: no space left" || failed.Log != j.Log.Name() {
		t.Fatalf("%#v", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "`docker buildx build`: exit status 17; all that it said is in "+j.Log.Name()) || strings.Contains(text, "line 1\n") {
		t.Error(text)
	}
	logged := readText(t, j.Log.Name())
	if !strings.Contains(logged, "line 1\n") || !strings.Contains(logged, "--build-arg A=…") || strings.Contains(logged, "private") {
		t.Errorf("the log has\n%s", logged)
	}
}

// Ctrl-C asks the builder to end, and takes what it has begun with it.
func TestAnInterruptedBuildLeavesNoProcess(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build", Hang: true})...)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("somebody has pressed Ctrl-C")
	done := make(chan error, 1)
	j := m.job(private)
	go func() {
		_, err := j.Run(ctx)
		done <- err
	}()
	child := m.waitFor("hanging")
	cancel(why)
	if err := <-done; !errors.Is(err, ErrEnded) || !errors.Is(err, why) {
		t.Error(err)
	}
	m.waitFor("interrupted")
	pid, err := strconv.Atoi(child)
	if err != nil {
		t.Fatal(err)
	}
	m.gone(pid)
	if dir, _ := m.last("docker buildx build").env("DOCKER_CONFIG"); dir == "" {
		t.Error("there were no settings")
	} else if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the password is left behind in %s", dir)
	}
}

// A program that leaves at once takes its builders and its passwords with it.
func TestAbandonLeavesNothing(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build", Hang: true})...)
	j := m.job(private)
	done := make(chan error, 1)
	go func() {
		_, err := j.Run(t.Context())
		done <- err
	}()
	child := m.waitFor("hanging")
	dir, _ := m.last("docker buildx build").env("DOCKER_CONFIG")
	Abandon()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the password is left behind in %s", dir)
	}
	if err := <-done; err == nil {
		t.Error("a builder that was killed has built")
	}
	pid, err := strconv.Atoi(child)
	if err != nil {
		t.Fatal(err)
	}
	m.gone(pid)
}

// waitFor waits for a file of the stand-in's, and reads it. A file is there before its text is.
func (m machine) waitFor(name string) string {
	m.t.Helper()
	for {
		if data, err := os.ReadFile(filepath.Join(m.dir, name)); err == nil && len(data) > 0 {
			return string(data)
		}
		select {
		case <-m.t.Context().Done():
			m.t.Fatalf("%s never came", name)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// gone waits for a process to end: a killed one is reaped by whoever inherits it.
func (m machine) gone(pid int) {
	m.t.Helper()
	for syscall.Kill(pid, 0) == nil {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-m.t.Context().Done():
			m.t.Fatalf("process %d is left behind", pid)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestADockerfileThatIsNotThereIsNamedWithAWayOut(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
	for name, c := range map[string]struct {
		change func(j *Job)
		want   string
	}{
		"absent":     {func(*Job) {}, "write one, or set dockerfile in build"},
		"not in git": {func(j *Job) { j.Tree.Commit, j.Tree.Included = "abc", false }, "commit it"},
		"in the context": {func(j *Job) {
			j.Release.Build.Context, j.Tree.Dir = "app", filepath.Join(j.Tree.Root, "app")
			if err := os.Mkdir(j.Tree.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			writeText(t, filepath.Join(j.Tree.Dir, "Dockerfile.other"), "FROM scratch\n")
		}, `set dockerfile = "app/Dockerfile.other"`},
	} {
		j := m.job("build { dockerfile = \"Dockerfile.other\" }")
		c.change(&j)
		if _, err := j.Run(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheDockerfileIsRelativeToTheFileAndNotToTheContext(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx build"})...)
	j := m.job("build { context = \"app\" }")
	j.Tree.Dir = filepath.Join(j.Tree.Root, "app")
	if err := os.Mkdir(j.Tree.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	argv := m.last("docker buildx build").Argv
	if got := strings.Join(argv[len(argv)-3:], " "); got != "--file "+filepath.Join(j.Tree.Root, "Dockerfile")+" "+j.Tree.Dir {
		t.Error(got)
	}
}

func TestAMachineWithoutItsProgramsIsTold(t *testing.T) {
	m := newMachine(t, tools(newest, true)...)
	j := m.job("build {\npack { builder = \"b\" }\n}")
	if err := os.Remove(filepath.Join(m.dir, "bin/pack")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "needs the program pack") {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := j.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no docker command on this machine") {
		t.Error(err)
	}
}

func TestADockerThatSaysNothingIsNotTakenForOne(t *testing.T) {
	m := newMachine(t, standInReply{Begins: "docker version", Err: "exec format error", Code: 126})
	if _, err := m.job("").Run(t.Context()); err == nil || !strings.Contains(err.Error(), "exec format error") {
		t.Error(err)
	}
}

func TestARemoteThatDoesNotAnswerIsNamed(t *testing.T) {
	m := newMachine(t, append([]standInReply{{Begins: "docker version", Out: newest, Once: true},
		{Begins: "docker version", Out: `{"Client":{"Version":"28.2.2"},"Server":null}`, Err: "ssh: connect to host 10.0.0.9 port 22: Connection refused\n", Code: 1}}, tools(newest, true)...)...)
	_, err := m.job("build {\nremote = \"ssh://builder@10.0.0.9\"\nlocal = false\n}").Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `build { remote = "ssh://builder@10.0.0.9" } does not answer`) || !strings.Contains(err.Error(), "Connection refused") {
		t.Error(err)
	}
	if host, _ := m.last("docker version").env("DOCKER_HOST"); host != "ssh://builder@10.0.0.9" {
		t.Errorf("asked %q", host)
	}
}

func TestAPushThatDoesNotSayItsDigestIsNoSuccess(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx inspect", Out: "Endpoint: unix:///var/run/docker.sock\n"}, standInReply{Begins: "docker buildx build"})...)
	j := m.job(private + "build { arch = [\"amd64\", \"arm64\"] }")
	j.Push = true
	if _, err := j.Run(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "what buildx says of the image") {
		t.Error(err)
	}
}

func TestDescribeMakesNothing(t *testing.T) {
	m := newMachine(t, append(tools(newest, true), standInReply{Begins: "docker buildx inspect", Err: "ERROR: no builder", Code: 1})...)
	j := m.job(private + "build {\narch = [\"amd64\", \"arm64\"]\nremote = \"ssh://b@h\"\n}")
	d, err := Describe(t.Context(), j.Release)
	if err != nil || d.Builder != "kamald-hybrid-docker-container-ssh---b-h-arm64" || strings.Join(d.Nodes, "; ") != "this machine's engine for linux/amd64; ssh://b@h for linux/arm64" || d.Inspects != "" || !d.Buildx {
		t.Errorf("%+v, %v", d, err)
	}
	for _, c := range m.calls() {
		if line := strings.Join(c.Argv, " "); strings.Contains(line, "create") || strings.Contains(line, "build ") {
			t.Error(line)
		}
	}
}

// The connection to an engine is the docker command's own way to it; when that fails the words are its.
func TestTheEngineIsReachedByTheDockerCommand(t *testing.T) {
	m := newMachine(t, standInReply{Begins: "docker system dial-stdio", Out: "HTTP/1.1 200 OK\r\n\r\n", Once: true},
		standInReply{Begins: "docker system dial-stdio", Err: "error during connect: no such host\n", Code: 1})
	for _, want := range []string{"", "docker system dial-stdio: error during connect: no such host"} {
		conn, err := Engine{Address: "ssh://builder@10.0.0.9"}.Dial(t.Context(), "unix", "/nowhere")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil && want == "" {
			t.Error(err)
		}
		if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil && want == "" {
			t.Error("what is sent cannot be ended")
		}
		said, err := io.ReadAll(conn)
		if want == "" && (err != nil || string(said) != "HTTP/1.1 200 OK\r\n\r\n") || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q, %v", said, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		c := m.last("docker system dial-stdio")
		if host, _ := c.env("DOCKER_HOST"); host != "ssh://builder@10.0.0.9" || want == "" && !strings.HasPrefix(c.Stdin, "GET /") {
			t.Errorf("to %s: %q", host, c.Stdin)
		}
	}
}

func TestTheEnginesOfOlderClientsHaveBuildKitWithin(t *testing.T) {
	for version, want := range map[string]bool{"20.10.24+dfsg1": true, "19.03.1": true, "18.09.0": true, "17.12.0": false, "23.0.1": false, "28.2.2": false, "": false, "dev": false} {
		if got := (toolchain{engineInfo: engineInfo{client: version}}).within(); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestLatestIsOfTheDestination(t *testing.T) {
	r := release.Release{Repository: "acme/shop", Registry: &release.Registry{Server: "r.example.com"}}
	if got := Latest(r); got != "r.example.com/acme/shop:latest" {
		t.Error(got)
	}
	r.Destination, r.Registry = "eu", nil
	if got := Latest(r); got != "acme/shop:latest-eu" {
		t.Error(got)
	}
}

package build

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/docker"
	"github.com/kamald/kamald/release"
)

// These tests build with Docker itself. Which of its builders there are differs between machines: the classic one is in every docker
// command, BuildKit in older ones, buildx is a plugin (KAMALD_BUILDX names its program where it is not installed).

const realImage = "kamald-test/build"

// realMachine has a docker command of its own kind on the PATH, and settings without anybody's.
func realMachine(t *testing.T, program, plugin string) {
	t.Helper()
	bin, config := t.TempDir(), t.TempDir()
	if err := os.Symlink(program, filepath.Join(bin, "docker")); err != nil {
		t.Fatal(err)
	}
	if plugin != "" {
		if err := os.Mkdir(filepath.Join(config, "cli-plugins"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(plugin, filepath.Join(config, "cli-plugins", "docker-buildx")); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", config)
	t.Setenv("BUILDX_CONFIG", "")
}

// leaveOut skips a test that this machine cannot run, in CI too: not every machine has each of Docker's builders. The words are those by
// which lab/cmd/testreport names the test at the end of a run.
func leaveOut(t *testing.T, why string) {
	t.Helper()
	t.Skipf("NOT RUN: %s", why)
}

// realDocker is a docker command that the test wants, with an engine that answers.
func realDocker(t *testing.T, wanted func(toolchain) bool) (program string, found toolchain) {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin", "/usr/local/bin") {
		program := filepath.Join(dir, "docker")
		if _, err := os.Stat(program); err != nil {
			continue
		}
		said := question(t.Context(), "", program, "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
		client, server, ok := strings.Cut(said.out, " ")
		if said.err != nil || !ok {
			continue
		}
		if found := (toolchain{engineInfo: engineInfo{client: client, server: server}}); wanted(found) {
			return program, found
		}
	}
	return "", toolchain{}
}

// realJob builds a static program from scratch, under a tag of the test's own.
func realJob(t *testing.T, dockerfile string, b release.Build) Job {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a tree with spaces")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	compile := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "reader"), "./testdata/reader")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if said, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	writeText(t, filepath.Join(dir, "Dockerfile"), dockerfile)
	log, err := NewLog(t.TempDir(), "", true, testWriter{t}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	b.Dockerfile = "Dockerfile"
	tag := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	j := Job{Release: release.Release{Service: "shop", Repository: realImage, Version: tag, Build: b}, Tree: &Tree{Dir: dir, Root: dir, Project: dir, Included: true}, Log: log,
		Secrets: map[string]release.Secret{}}
	for _, name := range b.Secrets {
		j.Secrets[name] = release.NewSecret(canary)
	}
	engine := docker.New(Engine{}.Dial, docker.Options{})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := engine.RemoveImage(ctx, j.Release.Image()); err != nil {
			t.Error(err)
		}
		_ = engine.Close()
	})
	return j
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(data []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimRight(data, "\n"))
	return len(data), nil
}

// inImage gives a file of an image, by the engine that the docker command talks to, and holds the image to the label. It fails when
// the canary is anywhere in the image or its history.
func inImage(t *testing.T, j Job, name string) string {
	t.Helper()
	engine := docker.New(Engine{}.Dial, docker.Options{})
	defer engine.Close()
	image, err := engine.Image(t.Context(), j.Release.Image())
	if err != nil {
		t.Fatal(err)
	}
	if image.Labels["service"] != "shop" {
		t.Errorf("the image has the labels %v", image.Labels)
	}
	archive, err := engine.Save(t.Context(), j.Release.Image())
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	content, found := "", false
	files(t, archive, func(path string, data []byte) {
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("the secret is in %s of the image", path)
		}
		if path == name {
			content, found = string(data), true
		}
	})
	if !found {
		t.Errorf("the image has no %s", name)
	}
	return content
}

// files visits all files of an archive, and of the archives in it.
func files(t *testing.T, in io.Reader, visit func(path string, data []byte)) {
	t.Helper()
	for archive := tar.NewReader(in); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		visit(header.Name, data)
		if strings.HasSuffix(header.Name, "layer.tar") || strings.HasPrefix(header.Name, "blobs/") && len(data) > 512 && string(data[257:262]) == "ustar" {
			files(t, bytes.NewReader(data), visit)
		}
	}
}

const (
	plainDockerfile  = "FROM scratch AS first\nARG GREETING\nCOPY reader /reader\nLABEL greeting=$GREETING\nFROM scratch\nCOPY reader /last\n"
	secretDockerfile = "FROM scratch\nCOPY reader /reader\nRUN --mount=type=secret,id=TOKEN [\"/reader\", \"/run/secrets/TOKEN\", \"/digest\"]\n"
)

func TestTheClassicBuilderBuilds(t *testing.T) {
	program, _ := realDocker(t, func(toolchain) bool { return true })
	if program == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Docker engine answers, and CI=true lets no test be left out")
		}
		leaveOut(t, "no Docker engine answers")
	}
	realMachine(t, program, "")
	j := realJob(t, plainDockerfile, release.Build{Target: "first", Args: map[string]string{"GREETING": "good day"}})
	s := shape{job: j, method: method{tool: toolClassic}}
	if err := s.find(); err != nil {
		t.Fatal(err)
	}
	result, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if inImage(t, j, "reader") == "" || !result.Held || result.Pushed {
		t.Errorf("%+v", result)
	}
	writeText(t, filepath.Join(j.Tree.Dir, "Dockerfile"), "FROM scratch AS first\nCOPY nowhere /\n")
	var failed *FailedError
	if _, err := s.run(t.Context()); !errors.As(err, &failed) || !strings.Contains(strings.Join(failed.Last, "\n"), "nowhere") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestBuildKitWithinAnOlderClientGetsSecrets(t *testing.T) {
	program, _ := realDocker(t, toolchain.within)
	if program == "" {
		leaveOut(t, "no docker command here has BuildKit within: those up to 20.10 do")
	}
	realMachine(t, program, "")
	getsSecrets(t, "docker build with BuildKit")
}

func TestBuildxGetsSecretsAndPassesOnWhatItMade(t *testing.T) {
	plugin := os.Getenv("KAMALD_BUILDX")
	program, _ := realDocker(t, func(toolchain) bool { return true })
	if plugin == "" && program != "" && question(t.Context(), "", program, "buildx", "version").err == nil {
		getsSecrets(t, "docker buildx build")
		return
	}
	if plugin == "" || program == "" {
		leaveOut(t, "buildx is not installed, and KAMALD_BUILDX names no program")
	}
	realMachine(t, program, plugin)
	getsSecrets(t, "docker buildx build")
}

// getsSecrets builds with whatever Run chooses, which must be the wanted program.
func getsSecrets(t *testing.T, wanted string) {
	t.Helper()
	j := realJob(t, secretDockerfile, release.Build{Secrets: []string{"TOKEN"}, Arch: []string{"amd64"}, Provenance: "false"})
	if found, err := ask(t.Context(), ""); err == nil {
		j.Release.Build.Arch[0] = found.arch
	}
	j.NoCache = true
	result, err := j.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(canary))
	if got := inImage(t, j, "digest"); got != hex.EncodeToString(sum[:]) {
		t.Errorf("the build has read %s", got)
	}
	if result.Builder != wanted || !result.Held {
		t.Errorf("%+v, want %s", result, wanted)
	}
	if logged := readText(t, j.Log.Name()); strings.Contains(logged, canary) || !strings.Contains(logged, "which are (secret)") {
		t.Errorf("the log has\n%s", logged)
	}
}

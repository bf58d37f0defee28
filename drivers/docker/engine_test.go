package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Facts of the image that the tests run.
const (
	testImage  = "kamald-test/app:v1"
	testSignal = "SIGQUIT"
)

// realEngine is this machine's engine. Without one the test does not run, and in CI it fails.
func realEngine(t *testing.T) *Engine {
	t.Helper()
	socket, err := LocalSocket(t.Context())
	if err == nil {
		e := New(DialLocal, Options{Host: "local", Socket: socket})
		t.Cleanup(func() { e.Close() })
		if _, err = e.Info(t.Context()); err == nil {
			return e
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no Docker engine answers: %v", err)
	}
	t.Skipf("NOT RUN: no Docker engine answers: %v", err)
	return nil
}

var built struct {
	sync.Once
	archive []byte
	err     error
}

// withImage loads the image that the tests run.
func withImage(t *testing.T, e *Engine) {
	t.Helper()
	built.Do(func() { built.archive, built.err = buildArchive(t.TempDir()) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	if err := e.Load(t.Context(), bytes.NewReader(built.archive)); err != nil {
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if socket, err := LocalSocket(context.Background()); err == nil && built.archive != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_ = New(DialLocal, Options{Socket: socket}).RemoveImage(ctx, testImage)
		cancel()
	}
	os.Exit(code)
}

// buildArchive makes a `docker save` archive of an image from scratch with one static binary.
func buildArchive(dir string) ([]byte, error) {
	binary := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(out), Err: err}
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	layer, err := archiveOf(file{"app", program}, file{"etc/greeting", []byte("hello")})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "2026-01-02T03:04:05Z",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
		"config": map[string]any{
			"Env": []string{"PATH=/", "IMAGE_OWN=from the image"}, "Cmd": []string{"/app", "wait"}, "StopSignal": testSignal,
			"ExposedPorts": map[string]any{"8080/tcp": struct{}{}, "53/udp": struct{}{}},
			"Labels":       map[string]string{"maker": "kamald's tests", "kamald.test": "image"},
		},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{testImage}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	return archiveOf(file{"layer.tar", layer}, file{"config.json", config}, file{"manifest.json", manifest})
}

type file struct {
	name string
	data []byte
}

func archiveOf(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// uniqueName is a name for something that a test makes.
func uniqueName() string { return "kamald-test-" + strings.ToLower(rand.Text()[:10]) }

// made creates a container that is removed at the end.
func made(t *testing.T, e *Engine, name string, spec state.Spec, secrets map[string]release.Secret) string {
	t.Helper()
	labels := map[string]string{"kamald.test": t.Name(), state.LabelSpec: spec.JSON(), state.LabelSpecHash: spec.Hash(),
		state.LabelRelease: "12", state.LabelFence: "34", state.LabelRunDir: "/root/.kamal"}
	id, err := e.Create(t.Context(), name, spec, labels, secrets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Remove(context.Background(), id); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return id
}

// network makes a network that is removed at the end.
func testNetwork(t *testing.T, e *Engine) string {
	t.Helper()
	name := uniqueName()
	if err := e.CreateNetwork(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeNetwork(t, e, name) })
	return name
}

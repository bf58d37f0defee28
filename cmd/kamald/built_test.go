package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// builtOnce makes kamald as users have it, once for all tests: it starts many times faster than the tests' own program with the race
// detector in it.
var builtOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kamald")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kamald")
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return path, fmt.Errorf("building: %w\n%s", err, out)
	}
	return path, os.Chmod(dir, 0o755) // tests begin it as other users, too
})

// builtIs tells that builtOnce has made something.
var builtIs bool

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIs {
		path, _ := builtOnce()
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// builtProgram gives the path of kamald, built.
func builtProgram(t *testing.T) string {
	t.Helper()
	builtIs = true
	path, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

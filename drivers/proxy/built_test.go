package proxy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// built are the programs of this module that the tests of the package have built, each once.
var built struct {
	sync.Mutex
	dir   string
	files map[string]string // by program and version
}

func TestMain(m *testing.M) { os.Exit(withBuilt(m.Run)) }

func withBuilt(run func() int) int {
	dir, err := os.MkdirTemp("", "kamald-proxy-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.dir, built.files = dir, map[string]string{}
	return run()
}

const proxyProgram = "github.com/kamald/kamald/cmd/kamald-proxy"

// build gives a program of this module as containers run it. One that says a version has the file beside it that names it too.
func build(t *testing.T, program, version string) (path string) {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	key := program + "@" + version
	if path = built.files[key]; path != "" {
		return path
	}
	path = filepath.Join(built.dir, strconv.Itoa(len(built.files)))
	args := []string{"build", "-trimpath", "-o", path}
	if version != "" {
		args = append(args, "-ldflags", "-X github.com/kamald/kamald/proxy.Version=build-"+version)
	}
	cmd := exec.Command("go", append(args, program)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	if version != "" {
		if err := os.WriteFile(path+".version", []byte(version+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	built.files[key] = path
	return path
}

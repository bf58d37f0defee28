package contract

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// subject is the proxy that the contract is held against: a program, or an image.
type subject struct {
	binary string
	image  string
	kamal  bool // kamal-proxy's behaviour is expected where it differs
}

func newSubject(t *testing.T) subject {
	t.Helper()
	s := subject{binary: os.Getenv("KAMALD_CONTRACT_BINARY"), image: os.Getenv("KAMALD_CONTRACT_IMAGE")}
	switch kind := os.Getenv("KAMALD_CONTRACT_KIND"); kind {
	case "", "kamald-proxy":
	case "kamal-proxy":
		s.kamal = true
	default:
		t.Fatalf("KAMALD_CONTRACT_KIND is %q; it may be kamald-proxy or kamal-proxy", kind)
	}
	switch {
	case s.binary != "" && s.image != "":
		t.Fatal("KAMALD_CONTRACT_BINARY and KAMALD_CONTRACT_IMAGE are both set; the contract is held against one of them")
	case s.image != "":
		if out, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", s.image).CombinedOutput(); err != nil {
			t.Fatalf("the image %s of KAMALD_CONTRACT_IMAGE is not there: %s", s.image, out)
		}
	case s.binary != "":
		path, err := filepath.Abs(s.binary)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			t.Fatalf("the program of KAMALD_CONTRACT_BINARY: %v", err)
		}
		s.binary = path
	case s.kamal:
		t.Fatal("KAMALD_CONTRACT_KIND=kamal-proxy needs KAMALD_CONTRACT_BINARY or KAMALD_CONTRACT_IMAGE")
	default:
		path, err := built()
		if err != nil {
			t.Fatal(err)
		}
		s.binary = path
	}
	return s
}

// builtDir holds our own proxy, built once.
var builtDir string

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kamald-contract-")
	if err != nil {
		return "", err
	}
	builtDir = dir
	path := filepath.Join(dir, "kamal-proxy")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/kamald/kamald/cmd/kamald-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", &buildError{strings.TrimSpace(string(out)), err}
	}
	return path, nil
})

type buildError struct {
	said string
	err  error
}

func (e *buildError) Error() string {
	return "building cmd/kamald-proxy: " + e.err.Error() + ": " + e.said
}

func removeBuilt() {
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
}

package build_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

// project is a git repository for a test.
type project struct {
	t   *testing.T
	dir string
}

// newProject makes a repository of its own, with nothing of this machine's settings. Clones go to a directory of the test.
func newProject(t *testing.T, under ...string) project {
	t.Helper()
	home := t.TempDir()
	write(t, filepath.Join(home, "gitconfig"), "[user]\nname = test\nemail = test@example.com\n[init]\ndefaultBranch = trunk\n")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, "gitconfig"))
	t.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	p := project{t: t, dir: filepath.Join(append([]string{t.TempDir()}, under...)...)}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.git("init", "-q")
	return p
}

// another makes a second repository for the same test, with one commit.
func (p project) another(name, content string) project {
	p.t.Helper()
	other := project{t: p.t, dir: filepath.Join(p.t.TempDir(), name)}
	if err := os.MkdirAll(other.dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	other.git("init", "-q")
	other.write("inside", content)
	other.commit("first")
	return other
}

func (p project) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", p.dir, "-c", "protocol.file.allow=always"}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_DIR=") && !strings.HasPrefix(v, "GIT_INDEX_FILE=") && !strings.HasPrefix(v, "GIT_WORK_TREE=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (p project) commit(message string) string {
	p.t.Helper()
	p.git("add", "-A")
	p.git("commit", "-q", "-m", message)
	return p.git("rev-parse", "HEAD")
}

func (p project) write(name, content string) {
	p.t.Helper()
	write(p.t, filepath.Join(p.dir, name), content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// open opens the tree at a path of the project, and gives what was said.
func (p project) open(at string, b release.Build) (*build.Tree, string) {
	p.t.Helper()
	var out bytes.Buffer
	tree, err := build.Open(p.t.Context(), filepath.Join(p.dir, at), b, &out)
	if err != nil {
		p.t.Fatalf("%+v: %v\n%s", b, err, out.String())
	}
	p.t.Cleanup(func() { _ = tree.Close() })
	return tree, out.String()
}

// listing is every file of a directory by its path, with mode and content; git's own are left out.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if entry.Name() == ".git" {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			read, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = described(read)
		case info.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(path); err != nil {
				return err
			}
			found[rel] = "symlink " + content
			return nil
		}
		found[rel] = info.Mode().String() + " " + content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func described(content []byte) string {
	if len(content) < 60 {
		return fmt.Sprintf("%q", content)
	}
	return fmt.Sprintf("%x", sha256.Sum256(content))
}

func names(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }

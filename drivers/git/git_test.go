package git_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/git"
)

func TestHeadGivesTheCommitAndTheBranch(t *testing.T) {
	dir := repository(t)
	commit(t, dir)
	sha, short, branch, dirty, err := git.Head(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(run(t, dir, "rev-parse", "HEAD"))
	if sha != want || short != want[:7] || branch != "trunk" || dirty {
		t.Fatalf("got %s %s %s %v, want %s", sha, short, branch, dirty, want)
	}
}

func TestHeadOfASubdirectoryIsTheRepositorys(t *testing.T) {
	dir := repository(t)
	commit(t, dir)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	if sha, _, _, dirty, err := git.Head(t.Context(), sub); err != nil || sha == "" || dirty {
		t.Fatal(sha, dirty, err)
	}
}

func TestAChangedAnUntrackedAndAStagedFileAreDirtyAndAnIgnoredOneIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(dir string)
		dirty bool
	}{
		"changed":   {func(dir string) { write(t, dir, "file", "other") }, true},
		"untracked": {func(dir string) { write(t, dir, "new", "x") }, true},
		"staged":    {func(dir string) { write(t, dir, "new", "x"); run(t, dir, "add", "new") }, true},
		"ignored":   {func(dir string) { write(t, dir, "a.log", "x") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t)
			commit(t, dir)
			c.do(dir)
			if _, _, _, dirty, err := git.Head(t.Context(), dir); err != nil || dirty != c.dirty {
				t.Fatal(dirty, err)
			}
		})
	}
}

func TestADetachedHeadHasNoBranch(t *testing.T) {
	dir := repository(t)
	commit(t, dir)
	run(t, dir, "checkout", "-q", "--detach")
	if sha, _, branch, _, err := git.Head(t.Context(), dir); err != nil || branch != "" || sha == "" {
		t.Fatal(sha, branch, err)
	}
}

func TestTheVariablesOfAHookDoNotLeadElsewhere(t *testing.T) {
	dir, other := repository(t), repository(t)
	commit(t, dir)
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	if _, _, _, _, err := git.Head(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	empty := t.TempDir()
	if _, _, _, _, err := git.Head(t.Context(), empty); !errors.Is(err, git.ErrNotRepository) || !strings.Contains(err.Error(), empty) {
		t.Error(err)
	}
	unborn := repository(t)
	if _, _, _, _, err := git.Head(t.Context(), unborn); !errors.Is(err, git.ErrNoCommits) {
		t.Error(err)
	}
	t.Setenv("PATH", empty)
	if _, _, _, _, err := git.Head(t.Context(), unborn); !errors.Is(err, git.ErrMissing) {
		t.Error(err)
	}
}

func repository(t *testing.T) string {
	t.Helper()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := t.TempDir()
	run(t, dir, "init", "-q", "--initial-branch=trunk")
	return dir
}

func commit(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, "file", "content")
	write(t, dir, ".gitignore", "*.log\n")
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "one")
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_DIR=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

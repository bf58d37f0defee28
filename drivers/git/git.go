// Package git asks git which commit a directory is at, and brings a branch of a repository elsewhere here.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// shortDigits is the length of a short commit name; fixed, because git's own choice differs between machines.
const shortDigits = 7

// timeout is for a file system that hangs; the work itself takes milliseconds.
const timeout = 30 * time.Second

// Errors of Head; test with errors.Is.
var (
	ErrMissing       = errors.New("git is not installed")
	ErrNotRepository = errors.New("not a git repository")
	ErrNoCommits     = errors.New("the git repository has no commits")
)

// Head gives the commit that is checked out in dir: its name, the name's first 7 digits, the branch ("" when none is checked
// out), and whether tracked files differ from it or untracked ones are there that git does not ignore.
func Head(ctx context.Context, dir string) (sha, short, branch string, dirty bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := run(ctx, dir, "status", "--porcelain=v2", "--branch", "--untracked-files=normal")
	if err != nil {
		return "", "", "", false, err
	}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		switch header, ok := strings.CutPrefix(line, "# "); {
		case !ok:
			dirty = true
		case strings.HasPrefix(header, "branch.oid "):
			sha = strings.TrimPrefix(header, "branch.oid ")
		case strings.HasPrefix(header, "branch.head "):
			branch = strings.TrimPrefix(header, "branch.head ")
		}
	}
	if branch == "(detached)" {
		branch = ""
	}
	if sha == "" || strings.HasPrefix(sha, "(") {
		return "", "", branch, dirty, fmt.Errorf("%s: %w: commit first, or give the version with --version", dir, ErrNoCommits)
	}
	return sha, sha[:min(shortDigits, len(sha))], branch, dirty, nil
}

// Email is who git says that a person is in dir: user.email; "" where git says nothing.
func Email(ctx context.Context, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err := run(ctx, dir, "config", "user.email")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// run gives git's standard output. Of the environment git gets only what it needs to find its settings: variables such as
// GIT_DIR, set in a hook, would point it to another repository.
func run(ctx context.Context, dir string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-optional-locks", "-C", dir}, args...)...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	said := strings.TrimSpace(stderr.String())
	switch {
	case err == nil:
		return stdout.String(), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("%w: install it, or give the version with --version", ErrMissing)
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s in %s: %w", args[0], dir, ctx.Err())
	case strings.Contains(said, "not a git repository"):
		return "", fmt.Errorf("%s: %w: run it in the repository, or give the version with --version", dir, ErrNotRepository)
	case strings.Contains(said, "dubious ownership"):
		return "", fmt.Errorf("%s belongs to another user, and git refuses it: run `git config --global --add safe.directory %s`", dir, dir)
	}
	return "", fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, said)
}

func environment() []string {
	env := []string{"LC_ALL=C", "GIT_TERMINAL_PROMPT=0"}
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "SYSTEMROOT", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

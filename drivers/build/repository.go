package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Errors of Open; test with errors.Is.
var (
	ErrNoGit         = errors.New("git is not installed")
	ErrNotRepository = errors.New("not a git repository")
	ErrNoCommits     = errors.New("the git repository has no commits")
)

// repository is a git repository on this machine.
type repository struct {
	git     string // its git directory
	work    string // its work tree; "" when it has none, as one that was fetched here
	commit  string // what was checked out when it was found; "" when it has no commits
	address string // where it was fetched from; "" when it is one of this machine's
}

// findRepository finds the repository that dir lies in, and dir's path in it: "" at the top.
func findRepository(ctx context.Context, dir string) (repository, string, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return repository{}, "", ErrNoGit
	}
	out, err := command{args: []string{"-C", dir, "rev-parse", "--absolute-git-dir", "--show-toplevel", "--show-prefix", "HEAD^{commit}"}}.run(ctx)
	var failed *gitError
	switch {
	case errors.As(err, &failed) && strings.Contains(failed.said, "ambiguous argument 'HEAD"): // no commits; what was asked before is answered
	case errors.As(err, &failed) && strings.Contains(failed.said, "not a git repository"):
		return repository{}, "", fmt.Errorf("%s: %w", dir, ErrNotRepository)
	case errors.As(err, &failed) && strings.Contains(failed.said, "must be run in a work tree"):
		return repository{}, "", fmt.Errorf("%s is git's own directory and not a work tree: %w", dir, ErrNotRepository)
	case errors.As(err, &failed) && strings.Contains(failed.said, "dubious ownership"):
		return repository{}, "", fmt.Errorf("%s belongs to another user, and git refuses it: run `git config --global --add safe.directory %s`", dir, dir)
	case err != nil:
		return repository{}, "", err
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 4 {
		return repository{}, "", fmt.Errorf("%s: git's answer of where the repository lies cannot be read, as when its path has a line break: %q", dir, out)
	}
	r := repository{git: lines[0], work: lines[1]}
	if err == nil {
		r.commit = lines[3]
	}
	return r, filepath.FromSlash(strings.TrimSuffix(lines[2], "/")), nil
}

// has tells whether a commit is there.
func (r repository) has(ctx context.Context, commit string) bool {
	_, err := r.command("cat-file", "-e", commit+"^{commit}").run(ctx)
	return err == nil
}

// command is a call of git that reads the repository.
func (r repository) command(args ...string) command {
	work := r.work
	if work == "" {
		work = r.git // a submodule's settings may name a directory that is gone, and git would refuse to begin
	}
	return command{dir: work, args: append([]string{"--git-dir=" + r.git, "--work-tree=" + work}, args...)}
}

// command is a call of git.
type command struct {
	dir   string   // where it runs; "" is here
	args  []string // without the program
	env   []string // besides the environment
	stdin string
	modes bool // files that git writes have the modes of an ordinary machine, whatever this one's umask is
}

// gitError is git's own refusal.
type gitError struct {
	verb string
	said string // what it wrote to its standard error
	err  error
}

func (e *gitError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("git %s: %v: %s", e.verb, e.err, e.said))
}
func (e *gitError) Unwrap() error { return e.err }

// quiet are settings that hold whatever the repository's own say: its hooks and monitors are for the one who works in it, and the
// rest would let git touch more, or less, than the one tree that is meant.
var quiet = []string{"core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "core.untrackedCache=false", "core.splitIndex=false",
	"core.sparseCheckout=false", "core.sparseCheckoutCone=false", "index.sparse=false", "submodule.recurse=false", "advice.detachedHead=false"}

// withModes runs git under the umask that most machines have: files have 0644 or 0755, so that every machine makes the same tree.
var withModes = []string{"sh", "-c", `umask 022 && exec "$0" "$@"`}

// run gives git's standard output, what there is of it also when git fails.
func (c command) run(ctx context.Context) (string, error) {
	argv := []string{"git", "--no-optional-locks", "--literal-pathspecs"}
	if c.modes {
		argv = slices.Concat(withModes, argv)
	}
	for _, setting := range quiet {
		argv = append(argv, "-c", setting)
	}
	argv = append(argv, c.args...)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(environment(), c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("git %s: %w", c.verb(), ctx.Err())
	}
	return stdout.String(), &gitError{verb: c.verb(), said: strings.TrimSpace(stderr.String()), err: err}
}

// verb is git's command, for messages.
func (c command) verb() string {
	for i := 0; i < len(c.args); i++ {
		switch {
		case c.args[i] == "-C" || c.args[i] == "-c":
			i++
		case !strings.HasPrefix(c.args[i], "-"):
			return c.args[i]
		}
	}
	return ""
}

// kept are git's variables that say how it connects and where its settings lie. The others, such as GIT_DIR set in a hook, would
// point it to another repository.
var kept = []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_LFS_SKIP_SMUDGE"}

// environment is this program's, which git's filters and connections need, but for what leads git elsewhere.
func environment() []string {
	env := []string{"LC_ALL=C", "GIT_TERMINAL_PROMPT=0"}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if name != "LC_ALL" && (!strings.HasPrefix(name, "GIT_") || slices.Contains(kept, name)) {
			env = append(env, entry)
		}
	}
	return env
}

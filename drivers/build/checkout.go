package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkout is a directory that holds the files of a commit, and no more. It has an index of its own and reads the repository's
// objects where they lie, with the repository's own settings: there is nothing to copy and nothing to fetch, and whatever git
// would do to a file in the repository's work tree (line ends, large files, filters) it does here too.
//
// No .git lies in it: what that holds differs from machine to machine. Attributes for archives (export-ignore, export-subst)
// have no effect: they would give another context than the directory.
type checkout struct {
	tree string // the directory
	kept string // where the indexes lie, and what was fetched
}

// reset brings the directory to a commit, with its submodules, from whatever it was before.
func (c checkout) reset(ctx context.Context, from repository, commit string) error {
	for _, dir := range []string{c.tree, c.kept} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(c.tree, 0o755); err != nil { // whatever the umask is
		return err
	}
	return c.resetAt(ctx, from, commit, "")
}

// resetAt brings the part of the directory at a path, "" or a submodule's, to a commit of its repository.
func (c checkout) resetAt(ctx context.Context, from repository, commit, at string) error {
	index := filepath.Join(c.kept, "index")
	if at != "" {
		index = filepath.Join(c.kept, "index-"+digest(at))
	}
	dir := filepath.Join(c.tree, at)
	// Whoever wrote a lock is gone, as the caller has all of this to itself; and a .git in the way is nothing that git cleans.
	for _, left := range []string{index + ".lock", filepath.Join(dir, ".git")} {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	in := func(args ...string) (string, error) {
		call := command{dir: dir, env: []string{"GIT_INDEX_FILE=" + index}, modes: true}
		call.args = append([]string{"--git-dir=" + from.git, "--work-tree=" + dir}, args...)
		return call.run(ctx)
	}
	if _, err := in("read-tree", "--reset", "-u", commit); err != nil {
		return err
	}
	if _, err := in("clean", "-ffdx", "--quiet"); err != nil {
		return err
	}
	listed, err := in("ls-files", "--stage", "-z")
	if err != nil {
		return err
	}
	return c.resetSubmodules(ctx, from, commit, at, gitlinks(listed))
}

func (c checkout) resetSubmodules(ctx context.Context, from repository, commit, at string, links []gitlink) error {
	if len(links) == 0 {
		return nil
	}
	modules, err := from.modules(ctx, commit)
	if err != nil {
		return err
	}
	for _, link := range links {
		where := filepath.Join(at, filepath.FromSlash(link.path))
		sub, err := c.submodule(ctx, from, link, modules[link.path])
		if err != nil {
			return fmt.Errorf("submodule %s: %w", where, err)
		}
		if sub == nil {
			continue
		}
		if info, err := os.Lstat(filepath.Join(c.tree, where)); err != nil || !info.IsDir() {
			return fmt.Errorf("submodule %s: its place is no directory: %w", where, err)
		}
		if err := c.resetAt(ctx, *sub, link.commit, where); err != nil {
			return fmt.Errorf("submodule %s: %w", where, err)
		}
	}
	return nil
}

// gitlink is a submodule as a commit has it.
type gitlink struct{ path, commit string }

// gitlinks are those of an index, as `git ls-files --stage -z` lists it.
func gitlinks(listed string) []gitlink {
	var links []gitlink
	for entry := range strings.SplitSeq(listed, "\x00") {
		about, path, _ := strings.Cut(entry, "\t")
		if fields := strings.Fields(about); len(fields) == 3 && fields[0] == "160000" {
			links = append(links, gitlink{path: path, commit: fields[1]})
		}
	}
	return links
}

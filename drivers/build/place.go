package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kamald/kamald/release"
)

// place is where a build gets its files.
type place struct {
	source     string // resolved
	root       string // the directory of deploy.hcl, without symbolic links
	context    string // the context in the directory as it lies
	repository repository
	commit     string   // "" outside git, and for a context outside the repository
	home       string   // the path of deploy.hcl's directory in the repository
	prefix     string   // the path of the context there
	scope      []string // the paths in the repository whose changes count; none is all of it
}

// locate finds out what a build is of, and makes nothing.
func locate(ctx context.Context, root string, b release.Build) (place, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return place{}, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return place{}, err
	}
	at := place{source: b.Source, root: abs, context: filepath.Join(abs, b.Context)}
	if filepath.IsAbs(b.Context) {
		at.context = filepath.Clean(b.Context)
	}
	var prefix string
	at.repository, prefix, err = findRepository(ctx, abs)
	switch {
	case err == nil:
		if err := at.locateCommit(ctx, prefix, b); err != nil {
			return place{}, err
		}
	case errors.Is(err, ErrNotRepository) && (at.source == "" || at.source == release.SourceDirectory),
		errors.Is(err, ErrNoGit) && at.source == release.SourceDirectory,
		errors.Is(err, ErrNoGit) && at.source == "" && !underGit(abs):
		at.source = release.SourceDirectory
	case errors.Is(err, ErrNoGit):
		return place{}, fmt.Errorf("%s: %w, and a clone or an archive needs it: install it, or set source = \"directory\" in build", abs, err)
	case errors.Is(err, ErrNotRepository):
		return place{}, fmt.Errorf("build: source = %q: %w: run it in the repository, or set source = \"directory\"", at.source, err)
	default:
		return place{}, err
	}
	if at.source != release.SourceDirectory {
		return at, nil
	}
	if at.context, err = filepath.EvalSymlinks(at.context); err == nil {
		err = isDirectory(at.context)
	}
	if err != nil {
		return place{}, fmt.Errorf("build: context %q: %w", b.Context, err)
	}
	return at, nil
}

// locateCommit finds the commit and the context's path in the repository.
func (at *place) locateCommit(ctx context.Context, prefix string, b release.Build) error {
	if at.source == "" {
		at.source = release.SourceClone
	}
	switch {
	case at.repository.commit != "":
	case at.source == release.SourceDirectory:
		return nil
	default:
		return fmt.Errorf("%s: %w: commit first, or set source = \"directory\" in build", at.repository.work, ErrNoCommits)
	}
	at.home, at.prefix = prefix, filepath.Join(prefix, b.Context)
	if filepath.IsAbs(b.Context) {
		var err error
		if at.prefix, err = filepath.Rel(at.repository.work, at.context); err != nil {
			return err
		}
	}
	if at.prefix == "" {
		at.prefix = "."
	}
	switch {
	case filepath.IsLocal(at.prefix):
	case at.source == release.SourceDirectory:
		return nil // the commit says nothing of it
	default:
		return fmt.Errorf("build: context %q lies outside the git repository %s: a %s has only what the repository has; set source = \"directory\"",
			b.Context, at.repository.work, at.source)
	}
	at.commit = at.repository.commit
	if b.Context != "" || at.prefix != "." || strings.Contains(b.Dockerfile, "..") || filepath.IsAbs(b.Dockerfile) {
		at.scope = at.scopeOf(ctx, b.Dockerfile)
	}
	return nil
}

// scopeOf gives the paths whose changes count: the context, and a Dockerfile that lies elsewhere with what it leaves out.
func (at *place) scopeOf(ctx context.Context, dockerfile string) []string {
	scope := at.prefix
	if inner, _, err := findRepository(ctx, at.context); err == nil && inner.work != at.repository.work {
		// The context lies in a submodule, which git takes as one.
		if rel, err := filepath.Rel(at.repository.work, inner.work); err == nil && filepath.IsLocal(rel) {
			scope = rel
		}
	}
	if scope == "." {
		return nil
	}
	paths := []string{filepath.ToSlash(scope)}
	if file := at.inRepository(dockerfile); dockerfile != "" && filepath.IsLocal(file) && !strings.HasPrefix(file, scope+string(filepath.Separator)) {
		paths = append(paths, filepath.ToSlash(file), filepath.ToSlash(file)+".dockerignore")
	}
	return paths
}

// inRepository is the path in the repository of what the file names; one that is not local lies outside.
func (at place) inRepository(name string) string {
	if !filepath.IsAbs(name) {
		return filepath.Join(at.home, name)
	}
	within, err := filepath.Rel(at.repository.work, name)
	if err == nil && filepath.IsLocal(within) {
		return within
	}
	// git gives the work tree without symbolic links, and the file may name it with them. What the last part links to is git's affair.
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return name
	}
	if within, err = filepath.Rel(at.repository.work, filepath.Join(dir, filepath.Base(name))); err != nil {
		return name
	}
	return within
}

// changes are what counts for this build and is in no commit.
func (at place) changes(ctx context.Context) ([]string, error) {
	changes, err := at.repository.changes(ctx, at.scope)
	if err != nil || len(changes) == 0 || at.source != release.SourceDirectory {
		return changes, err
	}
	// What was staged and taken back differs for git, and is the commit's all the same.
	if name, err := at.repository.uncommitted(ctx, at.commit, at.scope); err != nil || name == "" {
		return nil, err
	}
	return changes, nil
}

// within gives the context in a tree with the commit's files. It may be a symbolic link, but not one that leads out of the tree.
func (at place) within(tree string) (string, error) {
	tree, err := filepath.EvalSymlinks(tree)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(tree, at.prefix))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("build: context %s is not in commit %s: commit it, or set source = \"directory\": %w", at.prefix, short(at.commit), fs.ErrNotExist)
	} else if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(tree, dir); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("build: context %s is a symbolic link that leads out of the repository", at.prefix)
	}
	return dir, isDirectory(dir)
}

func isDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a directory")}
	}
	return err
}

// underGit tells whether a repository seems to be around a directory.
func underGit(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}

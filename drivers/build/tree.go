package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kamald/kamald/release"
)

// Tree is the directory that an image is built from.
type Tree struct {
	Dir  string // the context: absolute, without symbolic links
	Root string // the directory of deploy.hcl in the tree, which the Dockerfile's path is relative to
	// Project is that directory as it lies: what the file names beside the tree is relative to it, such as a key.
	Project string
	Commit  string // the commit that it is of; "" outside git
	// Changes are what is in no commit, as a person reads them ("M path", "?? path"; paths from the top of the repository).
	Changes  []string
	Included bool // the changes are in the tree

	at    place
	top   string // the directory of the repository's top in the tree; "" for a directory as it lies
	close func() error
}

// Open makes the tree for the project whose deploy.hcl lies in root, as the file's build block asks. Uncommitted changes are listed
// on out. A clone and an archive hold the commit that is checked out when Open begins, whatever is committed after that.
//
// Errors: ErrNoGit, ErrNotRepository and ErrNoCommits when a commit is asked for and there is none, and fs.ErrNotExist when the
// context is not there. The caller closes the tree when the build has ended.
func Open(ctx context.Context, root string, b release.Build, out io.Writer) (*Tree, error) {
	at, err := locate(ctx, root, b)
	if err != nil {
		return nil, err
	}
	tree := &Tree{at: at, Project: at.root, Commit: at.commit, Included: at.source == release.SourceDirectory, close: func() error { return nil }}
	if at.commit != "" {
		if tree.Changes, err = at.changes(ctx); err != nil {
			return nil, err
		}
		tree.warn(out)
	}
	if at.source == release.SourceDirectory {
		tree.Dir, tree.Root = at.context, at.root
		return tree, nil
	}
	s, err := at.checkout(ctx, out)
	if err != nil {
		return nil, err
	}
	tree.close = s.free
	if at.source == release.SourceArchive {
		tree.close = func() error { return errors.Join(s.clear(), s.free()) }
	}
	tree.top = filepath.Join(s.dir, treeName)
	tree.Root = filepath.Join(tree.top, at.home)
	if tree.Dir, err = at.within(tree.top); err != nil {
		return nil, errors.Join(err, tree.close())
	}
	return tree, nil
}

// Close ends what only this build needed. A clone stays for the next one.
func (t *Tree) Close() error {
	end := t.close
	t.close = func() error { return nil }
	return end()
}

// dockerfile gives the path of the Dockerfile that the file names: of a clone or an archive it is the committed one, also where the file
// names it by its whole path in the work tree. It need not be there.
func (t *Tree) dockerfile(name string) (string, error) {
	if t.top == "" {
		if filepath.IsAbs(name) {
			return name, nil
		}
		return filepath.Join(t.Root, name), nil
	}
	within := t.at.inRepository(name)
	if !filepath.IsLocal(within) {
		return "", fmt.Errorf("build: dockerfile %q lies outside the git repository %s, and so in no %s: set source = \"directory\"", name, t.at.repository.work, t.at.source)
	}
	file := filepath.Join(t.top, within)
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return file, nil // whoever reads it says why it cannot be read
	}
	top, err := filepath.EvalSymlinks(t.top)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(top, real); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("build: dockerfile %q is a symbolic link that leads out of the repository, to what is in no %s: set source = \"directory\"", name, t.at.source)
	}
	return file, nil
}

// listed bounds how many changes are listed.
const listed = 20

// warn lists the uncommitted changes, and says whether they are in or out.
func (t *Tree) warn(out io.Writer) {
	if len(t.Changes) == 0 {
		return
	}
	text := fmt.Sprintf("warning: the image is of commit %s, WITHOUT these uncommitted changes:\n", short(t.Commit))
	if t.Included {
		text = fmt.Sprintf("warning: the image is of the directory, WITH these changes that are not in commit %s:\n", short(t.Commit))
	}
	for _, change := range t.Changes[:min(listed, len(t.Changes))] {
		text += "  " + change + "\n"
	}
	if more := len(t.Changes) - listed; more > 0 {
		text += fmt.Sprintf("  and %d more\n", more)
	}
	_, _ = io.WriteString(out, text)
}

// treeName and keptName are the parts of a slot.
const (
	treeName = "tree"
	keptName = "git"
)

// checkout gives a slot whose tree has the commit's files. A clone that is broken is thrown away and made again once.
func (at place) checkout(ctx context.Context, out io.Writer) (*slot, error) {
	s, err := takeSlot(at.source, at.repository)
	if err != nil {
		return nil, err
	}
	if at.source == release.SourceArchive { // one of a build that was killed
		err = s.clear()
	}
	_, absent := os.Lstat(s.dir)
	files := checkout{tree: filepath.Join(s.dir, treeName), kept: filepath.Join(s.dir, keptName)}
	if err == nil {
		err = files.reset(ctx, at.repository, at.commit)
	}
	var unfetched fetchError
	if err != nil && absent == nil && ctx.Err() == nil && !errors.As(err, &unfetched) {
		fmt.Fprintf(out, "the clone in %s is broken, and is made again: %v\n", s.dir, err)
		if err = s.clear(); err == nil {
			err = files.reset(ctx, at.repository, at.commit)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("commit %s of %s cannot be checked out in %s: %w", short(at.commit), at.repository.work, s.dir, err), s.free())
	}
	return s, nil
}

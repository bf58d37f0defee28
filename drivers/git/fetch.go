package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// keptCheckouts are as many as lie beside each other: the newest, and the one that somebody may be reading still.
const keptCheckouts = 2

// mostPacks are as many fetches as a copy takes; then it is made anew, which costs one shallow fetch and needs no upkeep.
const mostPacks = 32

// fetched is the name of what was fetched last.
const fetched = "refs/kamald/fetched"

// Commit is one commit of a remote.
type Commit struct {
	SHA    string
	At     time.Time // when it was made, by its maker's clock
	Signer string    // whose signature it bears, where the remote is Signed
}

// busy keeps two fetches of one copy apart.
var busy sync.Map

// Fetch brings the commit that the branch is at here and gives the directory with its files, which nobody is to change; it stays until
// two others have been fetched. A branch that was pushed by force is followed. What is wrong names the remote, without a password:
// ErrNoBranch, ErrEmpty, ErrUnsigned, ErrMissing, or what git said.
func Fetch(ctx context.Context, r Remote) (Commit, string, error) {
	if err := r.check(); err != nil {
		return Commit{}, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	c := r.copy()
	lock, _ := busy.LoadOrStore(c.dir, new(sync.Mutex))
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	if err := c.fetch(ctx); err != nil {
		return Commit{}, "", err
	}
	commit, err := c.commit(ctx)
	if err != nil {
		return Commit{}, "", err
	}
	if r.Signed {
		if commit.Signer, err = c.verify(ctx, commit.SHA); err != nil {
			return Commit{}, "", err
		}
	}
	dir, err := c.checkout(ctx, commit.SHA)
	if err != nil {
		return Commit{}, "", err
	}
	return commit, dir, c.forget(dir)
}

// cached is the copy of a remote on this machine: a bare repository, and its checkouts by the names of their commits.
type cached struct {
	Remote
	dir string
}

func (r Remote) copy() cached {
	sum := sha256.Sum256([]byte(r.URL + "\x00" + r.Branch))
	return cached{r, filepath.Join(r.Dir, hex.EncodeToString(sum[:8]))}
}

func (c cached) repository() string { return filepath.Join(c.dir, "repository.git") }

// in runs git on the copy.
func (c cached) in(ctx context.Context, args ...string) (string, error) {
	return c.git(ctx, append([]string{"--git-dir", c.repository()}, args...)...)
}

// fetch brings the copy to where the branch is. A copy that a process left broken when it died is made anew.
func (c cached) fetch(ctx context.Context) error {
	packs, _ := filepath.Glob(filepath.Join(c.repository(), "objects", "pack", "*.pack")) // the pattern is well-formed
	if len(packs) >= mostPacks {
		if err := os.RemoveAll(c.repository()); err != nil {
			return err
		}
	}
	_, statErr := os.Stat(c.repository())
	err := c.fetchInto(ctx)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrMissing) {
		return err
	}
	if _, why := c.tip(ctx); why != nil {
		return why // the remote's fault, and this says it better
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	if removed := os.RemoveAll(c.repository()); removed != nil {
		return errors.Join(err, removed)
	}
	return c.fetchInto(ctx)
}

func (c cached) fetchInto(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("the copy of %s: %w", c, err)
	}
	if _, err := c.git(ctx, "init", "--quiet", "--bare", "--template=", c.repository()); err != nil {
		return err
	}
	_, err := c.in(ctx, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force",
		origin, "+"+c.ref()+":"+fetched)
	return err
}

func (c cached) commit(ctx context.Context) (Commit, error) {
	out, err := c.in(ctx, "show", "--no-patch", "--no-show-signature", "--format=%H %ct", fetched+"^{commit}")
	if err != nil {
		return Commit{}, err
	}
	sha, when, _ := strings.Cut(strings.TrimSpace(out), " ")
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil || !commitName.MatchString(sha) {
		return Commit{}, fmt.Errorf("%s: git says %q of its commit", c, out)
	}
	return Commit{SHA: sha, At: time.Unix(seconds, 0).UTC()}, nil
}

// checkout writes the commit's files into a directory by its name; one that is there is whole.
func (c cached) checkout(ctx context.Context, sha string) (string, error) {
	dir := filepath.Join(c.dir, sha)
	if _, err := os.Stat(dir); err == nil {
		now := time.Now()
		return dir, os.Chtimes(dir, now, now) // it is the newest again
	}
	half, err := os.MkdirTemp(c.dir, "half-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(half) }() // gone by then, unless something failed
	tree := filepath.Join(half, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return "", err
	}
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(half, "index")}
	for _, args := range [][]string{{"read-tree", sha}, {"checkout-index", "--all", "--force"}} {
		where := []string{"--git-dir", c.repository(), "--work-tree", tree}
		if _, _, err := c.bothIn(ctx, tree, index, append(where, args...)...); err != nil {
			return "", err
		}
	}
	return dir, os.Rename(tree, dir)
}

// forget takes older checkouts away, and halves that a process left when it died.
func (c cached) forget(current string) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type checkout struct {
		path string
		at   time.Time
	}
	var old []checkout
	for _, entry := range entries {
		path := filepath.Join(c.dir, entry.Name())
		switch info, err := entry.Info(); {
		case err != nil || path == current:
		case strings.HasPrefix(entry.Name(), "half-"):
			old = append(old, checkout{path: path})
		case commitName.MatchString(entry.Name()):
			old = append(old, checkout{path, info.ModTime()})
		}
	}
	slices.SortFunc(old, func(a, b checkout) int { return b.at.Compare(a.at) })
	for i, one := range old {
		if i >= keptCheckouts-1 || one.at.IsZero() {
			err = errors.Join(err, os.RemoveAll(one.path))
		}
	}
	return err
}

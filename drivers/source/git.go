package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kamald/kamald/release"
)

// shortDigits is the length of a short commit name.
const shortDigits = 7

// Repository is a branch of a repository somewhere else. Errors name it, and show no password.
type Repository interface {
	// Tip asks which commit the branch is at, and brings nothing here.
	Tip(ctx context.Context) (sha string, err error)
	// Checkout brings that commit's files here.
	Checkout(ctx context.Context) (Checkout, error)
}

// Checkout is the files of one commit.
type Checkout struct {
	SHA    string
	Dir    string // nobody writes there; it stays as long as the file is read
	Signer string
	At     time.Time
}

// Git is the source of an app whose file lies in a repository. Version and file are of one commit.
type Git struct {
	App        App
	Repository Repository
	Branch     string        // "": the repository's own
	Path       string        // of the file, within the repository
	Every      time.Duration // between two questions for the tip

	mu   sync.Mutex
	seen string // the commit that the branch was at last, "" when it could not be told
	told bool   // seen is known
}

// Read implements Source. Nothing outside of the repository is read, also not through a link in it.
func (g *Git) Read(ctx context.Context) (Proposal, error) {
	proposal, err := g.propose(ctx)
	if proposal.Commit != "" { // what cannot be brought here is not asked for again until the branch moves
		g.saw(proposal.Commit)
	}
	return proposal, err
}

// Watch implements Source: it asks for the tip, a little earlier or later each time, so that not all apps ask at once.
func (g *Git) Watch(ctx context.Context, changed func()) {
	for {
		const share = 10 // of Every, in which the moment varies, one in so many
		wait := g.Every - g.Every/share/2
		if g.Every >= share {
			wait += rand.N(g.Every / share)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		sha, err := g.Repository.Tip(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			sha = ""
		}
		if g.saw(sha) {
			changed()
		}
	}
}

// saw notes at which commit the branch is, "" when it cannot be told, and tells whether that is another than before.
func (g *Git) saw(sha string) (another bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	another = !g.told || g.seen != sha
	g.seen, g.told = sha, true
	return another
}

func (g *Git) propose(ctx context.Context) (Proposal, error) {
	checkout, err := g.Repository.Checkout(ctx)
	if err != nil {
		return Proposal{}, err
	}
	short := checkout.SHA[:min(shortDigits, len(checkout.SHA))]
	p := Proposal{Commit: checkout.SHA, Signer: checkout.Signer, At: checkout.At, From: "git " + g.Branch + "@" + short}
	if g.Branch == "" {
		p.From = "git HEAD@" + short
	}
	root, err := os.OpenRoot(checkout.Dir)
	if err != nil {
		return p, fmt.Errorf("%s: %w", p.From, err)
	}
	defer func() { _ = root.Close() }() // it was only read
	within := tree{root}
	p.Release, p.Warnings, err = g.App.load(filepath.FromSlash(g.Path), p.From, release.Options{
		ReadFile: within.readFile,
		ReadDir:  within.readDir,
		Git: func() (release.Git, error) {
			return release.Git{SHA: checkout.SHA, ShortSHA: short, Branch: g.Branch}, nil
		},
	})
	p.Release.Hooks.Dir = filepath.Join(checkout.Dir, filepath.FromSlash(filepath.Dir(g.Path)))
	return p, err
}

// tree is the files of a commit, and nothing beside them.
type tree struct{ root *os.Root }

func (t tree) readFile(path string) ([]byte, error) {
	data, err := t.root.ReadFile(path)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return data, err
	case !filepath.IsLocal(path):
		return nil, fmt.Errorf("%s lies outside of the repository, and is not read", path)
	}
	return nil, fmt.Errorf("%s in the repository is not read: %w", path, err) // a link that leads out of it, say
}

func (t tree) readDir(dir string) ([]string, error) {
	entries, err := fs.ReadDir(t.root.FS(), filepath.ToSlash(dir))
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

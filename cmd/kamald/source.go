package main

import (
	"context"
	"path/filepath"

	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/drivers/source"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// newSource is where one destination of an app gets its file from. Copies of repositories are kept beside the store.
func newSource(app release.DrivenApp, destination, store string) source.Source {
	of := source.App{Name: state.App{Service: app.Service, Destination: destination}, KamaldVersion: version}
	from := app.Source
	if from.Kind == release.SourceFile {
		return &source.File{App: of, Path: from.Path, Git: func(ctx context.Context, dir string) (found release.Git, err error) {
			found.SHA, found.ShortSHA, found.Branch, _, err = git.Head(ctx, dir)
			return found, err
		}}
	}
	remote := git.Remote{URL: from.URL, Branch: from.Branch, Dir: filepath.Join(filepath.Dir(store), "git"), Signed: from.Signed}
	return &source.Git{App: of, Repository: repository{remote}, Branch: from.Branch, Path: from.Path, Every: from.Every}
}

// repository is what drivers/git has, as drivers/source asks for it.
type repository struct{ git.Remote }

// Checkout implements source.Repository.
func (r repository) Checkout(ctx context.Context) (source.Checkout, error) {
	commit, dir, err := git.Fetch(ctx, r.Remote)
	return source.Checkout{SHA: commit.SHA, Dir: dir, Signer: commit.Signer, At: commit.At}, err
}

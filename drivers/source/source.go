// Package source reads what an app's source proposes, and watches it: a file of this machine, or a file in a branch of a git
// repository. Nothing is kept: whoever asks keeps what was good last.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

// Errors of Read; test with errors.Is. What is wrong with the file itself is release.Diagnostics.
var (
	ErrEmpty   = errors.New("the file is empty")
	ErrMissing = errors.New("there is no such file")
	ErrOther   = errors.New("the file is another app's")
)

// Source is where an app's file comes from. Its methods are safe for concurrent use.
type Source interface {
	// Read gives what is proposed now. An error is of the source: it says nothing about what was proposed before.
	Read(ctx context.Context) (Proposal, error)
	// Watch calls changed when Read may give something else, also when it fails now or does so no more, until the context ends. It may
	// call once too often, and what it misses the next Read tells.
	Watch(ctx context.Context, changed func())
}

// Proposal is a release that a source proposes, and how it is kept there.
type Proposal struct {
	Release release.Release // Reconcile is in it; Version is empty where a policy chooses
	From    string          // for a person: "git production@1a2b3c4", or the file's path
	Commit  string          // of git; "" for a file
	Signer  string          // of the commit, where signatures are asked for
	At      time.Time       // when the commit was made, or the file changed
	// Warnings are what is odd and not wrong.
	Warnings release.Diagnostics
}

// App is what a source is read for.
type App struct {
	Name          state.App
	KamaldVersion string // held against the file's minimum_version
	// Env is the environment that the file's env() reads; nil: this process's.
	Env func(name string) (string, bool)
}

// load reads the file at path as the app's; what lies there is seen through opts.
func (a App) load(path, from string, opts release.Options) (release.Release, release.Diagnostics, error) {
	opts.Destination, opts.KamaldVersion, opts.Env = a.Name.Destination, a.KamaldVersion, a.Env
	text, err := opts.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == from:
		return release.Release{}, release.Diagnostics{}, fmt.Errorf("%s: %w", from, ErrMissing)
	case errors.Is(err, fs.ErrNotExist):
		return release.Release{}, release.Diagnostics{}, fmt.Errorf("%s: %w: %s", from, ErrMissing, path)
	case err != nil:
		return release.Release{}, release.Diagnostics{}, fmt.Errorf("%s: %w", from, err)
	case strings.TrimSpace(string(text)) == "":
		return release.Release{}, release.Diagnostics{}, fmt.Errorf("%s: %w", from, ErrEmpty)
	}
	readFile := opts.ReadFile
	opts.ReadFile = func(name string) ([]byte, error) {
		if name == path {
			return text, nil // what was looked at, and not what somebody writes there meanwhile
		}
		return readFile(name)
	}
	found, diags := release.Load(path, opts)
	if diags.HasErrors() {
		return release.Release{}, diags, fmt.Errorf("%s:\n%w", from, diags)
	}
	if found.Service != a.Name.Service {
		return release.Release{}, diags, fmt.Errorf("%s: %w: its service is %q, and the source is of %q", from, ErrOther, found.Service, a.Name.Service)
	}
	return found, diags, nil
}

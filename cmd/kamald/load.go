package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/release"
)

// need is what a command needs of the file.
type need int

const (
	needsHosts   need = iota // where the app's servers are: a version and what is not built yet do not matter
	needsImage               // its version and how it is built
	needsRelease             // all of it
)

// load reads the release that the flags name. What is wrong with the file is the error, with its source lines.
func (p *program) load(ctx context.Context, n need) (release.Release, error) {
	dirty := false
	opts := p.options(ctx, &dirty)
	desired, diags := release.Load(p.flags.file, opts)
	if n == needsHosts && diags.HasErrors() {
		opts.Git = nil // a machine without the repository can still ask what runs
		desired, diags = release.Load(p.flags.file, opts)
	}
	if diags.HasErrors() {
		return desired, diags
	}
	if p.flags.skipHooks {
		desired.Hooks = release.Hooks{}
	}
	if !p.flags.json && !p.flags.quiet {
		p.print(diags)
	}
	if err := p.limitToPrimary(desired); err != nil {
		return desired, err
	}
	if n == needsRelease && dirty && p.built == nil { // a build has said what is in it
		p.warn("%s", uncommitted(desired))
	}
	if n == needsRelease {
		return desired, refuseUnbuilt(desired)
	}
	return desired, nil
}

// uncommitted says whether changes that are in no commit are in the release.
func uncommitted(desired release.Release) string {
	if desired.Uncommitted() {
		return "there are changes here that are in no commit: the image is built from the directory, so the version names them"
	}
	return "there are changes here that are not in the commit: the release is of what was committed"
}

// options are what reading the file takes from the flags and from git. dirty is set when git is asked and has changes that are in
// no commit.
func (p *program) options(ctx context.Context, dirty *bool) release.Options {
	opts := release.Options{Destination: p.flags.destination, Version: p.flags.version, KamaldVersion: version, Commands: p.names}
	opts.Git = func() (found release.Git, err error) {
		found.SHA, found.ShortSHA, found.Branch, *dirty, err = git.Head(ctx, filepath.Dir(p.flags.file))
		return found, err
	}
	opts.Uncommitted = func(b release.Build) (string, error) {
		return build.Uncommitted(ctx, filepath.Dir(p.flags.file), b)
	}
	return opts
}

// refuseUnbuilt names what the file uses and this build does not do: leaving it out silently would release something else.
func refuseUnbuilt(desired release.Release) error {
	var uses []string
	for _, use := range desired.UnbuiltFor("plan") {
		uses = append(uses, fmt.Sprintf("  %s: %s", use.Where, use.What))
	}
	if len(uses) == 0 {
		return nil
	}
	return errors.New("the file uses what this build of kamald does not do yet, and does not leave out silently:\n" +
		strings.Join(uses, "\n") + "\n  next: take it out, or use a build that does it")
}

package build

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kamald/kamald/release"
)

// ErrMisnamed says that an image would be called by the name of a content which it does not have.
var ErrMisnamed = errors.New("the version names what is not built")

// otherwise is how a version that is built already is released, and how one is built that is not.
const otherwise = "`kamald deploy` with -P releases a version that is built and pushed already; check that commit out to build it"

// commitVersion is a version that may be a commit's name, with the changes that are in no commit.
var commitVersion = regexp.MustCompile(`\A([0-9a-fA-F]{7,64})(?:_uncommitted_([0-9a-f]{16}))?\z`)

// Is holds the tree to a version: one that names a commit, as a whole or by its first 7 digits or more, must name the tree's, and
// say which changes the tree has besides. The error is ErrMisnamed. A version that names no commit says nothing of the tree, and a tree
// outside git has no commit that could be another. What lies in a directory may change while it is read: ask before and after.
func (t *Tree) Is(ctx context.Context, version string) error {
	named := commitVersion.FindStringSubmatch(version)
	if named == nil || t.Commit == "" {
		return nil
	}
	commit, changes := strings.ToLower(named[1]), named[2]
	if !strings.HasPrefix(t.Commit, commit) {
		if known, err := t.at.repository.names(ctx, commit); err != nil || !known {
			return err
		}
		return fmt.Errorf("%w: %s is the name of another commit than %s, which is checked out; %s", ErrMisnamed, version, short(t.Commit), otherwise)
	}
	found, err := t.at.uncommitted(ctx)
	switch {
	case err != nil || found == changes:
		return err
	case changes == "":
		return fmt.Errorf("%w: %s is a commit's name, and %s has changes besides (%s): take them back, or let the version name no commit or be left to kamald, which names the changes in it",
			ErrMisnamed, version, t.Dir, found)
	case !t.Included:
		return fmt.Errorf("%w: %s has changes that are in no commit, and a %s has none; %s", ErrMisnamed, version, t.at.source, otherwise)
	}
	return fmt.Errorf("%w: %s says which changes are in it, and %s has others now (%s): they were made meanwhile; run it again", ErrMisnamed, version, t.Dir, orNone(found))
}

// mayChange tells whether a tree that is what the version says can be another when the builder has read it.
func (t *Tree) mayChange(version string) bool {
	return t.Included && t.Commit != "" && commitVersion.MatchString(version)
}

func orNone(changes string) string {
	if changes == "" {
		return "none"
	}
	return changes
}

// names tells whether digits are a commit's name here. A tag or a branch that is called so is none.
func (r repository) names(ctx context.Context, digits string) (bool, error) {
	switch {
	case len(digits) == len(r.commit):
		return true, nil // also of one that was not fetched
	case len(digits) > len(r.commit):
		return false, nil
	}
	listed, err := r.command("rev-parse", "--disambiguate="+digits).run(ctx)
	if err != nil {
		return false, err
	}
	for object := range strings.FieldsSeq(listed) {
		kind, err := r.command("cat-file", "-t", object).run(ctx)
		if err != nil {
			return false, err
		}
		if strings.TrimSpace(kind) == "commit" {
			return true, nil
		}
	}
	return false, nil
}

// uncommitted names what the tree has now besides its commit, also when another is checked out by now.
func (at place) uncommitted(ctx context.Context) (string, error) {
	if at.source != release.SourceDirectory {
		return "", nil // nobody else writes there
	}
	now, _, err := findRepository(ctx, at.root)
	if err != nil {
		return "", fmt.Errorf("whether %s has changed cannot be told: %w", at.root, err)
	}
	return now.uncommitted(ctx, at.commit, at.scope)
}

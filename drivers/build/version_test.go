package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

// is holds the tree that is open to a version: "" when the version is right, else a part of what is said.
func (p project) is(tree *build.Tree, version, says string) {
	p.t.Helper()
	err := tree.Is(p.t.Context(), version)
	if says == "" && err != nil || says != "" && (!errors.Is(err, build.ErrMisnamed) || !strings.Contains(err.Error(), says)) {
		p.t.Errorf("%s, directory %v: got %v, want %q", version, tree.Included, err, says)
	}
}

func TestAVersionThatNamesAnotherCommitIsNone(t *testing.T) {
	p := small(t)
	old := p.git("rev-parse", "HEAD")
	p.write("app/main", "second\n")
	now := p.commit("second")
	p.git("tag", "1234567", old)
	const another, unknown = "is the name of another commit", "0123456789012345678901234567890123456789"
	for _, source := range sources {
		tree, _ := p.open("", release.Build{Source: source})
		for version, says := range map[string]string{now: "", now[:7]: "", now[:12]: "", strings.ToUpper(now[:8]): "", old: another, old[:7]: another, old[:39]: another,
			strings.ToUpper(old[:9]): another, unknown: another, old + "_uncommitted_0123456789abcdef": another,
			"v1": "", "1.2.3": "", "1234567": "", "": "", old[:6]: "", old + "-eu": "", unknown + unknown[:24]: "", p.git("rev-parse", "HEAD:Dockerfile")[:10]: ""} {
			p.is(tree, version, says)
		}
		if err := tree.Is(t.Context(), old); err == nil || !strings.Contains(err.Error(), "-P releases a version that is built and pushed already; check that commit out to build it") {
			t.Error(err)
		}
		_ = tree.Close()
	}
}

// A commit that is made after the version was read is another commit than the version's.
func TestAVersionIsOfTheTreeAndNotOfWhatIsCheckedOutLater(t *testing.T) {
	p := small(t)
	first := p.git("rev-parse", "HEAD")
	tree, _ := p.open("", release.Build{})
	p.write("app/main", "second\n")
	p.is(tree, p.commit("second"), "another commit")
	p.is(tree, first, "")
}

func TestAVersionNamesTheChangesOfADirectory(t *testing.T) {
	p := small(t)
	sha := p.git("rev-parse", "HEAD")
	name := func() string { return sha + "_uncommitted_" + p.uncommitted("", "") }
	tree, _ := p.open("", release.Build{Source: release.SourceDirectory, Dockerfile: "Dockerfile"})
	clone, _ := p.open("", release.Build{})
	p.is(tree, sha, "")
	p.write("app/main", "changed\n")
	changed := name()
	p.is(tree, changed, "")
	p.is(tree, sha, "has changes besides")
	p.is(tree, sha[:7], "has changes besides")
	p.is(tree, "v1", "")
	p.is(clone, sha, "")
	p.is(clone, changed, "a clone has none")
	p.write("app/main", "changed again\n")
	p.is(tree, changed, "run it again")
	p.is(tree, name(), "")
	p.write("app/main", "main\n")
	p.is(tree, changed, "has others now (none)")
	p.is(tree, sha, "")
}

// What is committed while a directory is built is the same file as before, and another one is another one.
func TestACommitChangesNoFilesOfADirectory(t *testing.T) {
	p := small(t)
	sha := p.git("rev-parse", "HEAD")
	p.write("app/main", "changed\n")
	p.write("new", "new\n")
	p.do("remove", os.Remove(filepath.Join(p.dir, "app/gone")))
	changed := sha + "_uncommitted_" + p.uncommitted("", "")
	tree, _ := p.open("", release.Build{Source: release.SourceDirectory, Dockerfile: "Dockerfile"})
	p.commit("all of it")
	p.is(tree, changed, "")
	p.is(tree, sha, "has changes besides")
	p.write("new", "other\n")
	p.is(tree, changed, "run it again")
	p.commit("more")
	p.is(tree, changed, "run it again")
}

func TestOutsideGitAVersionNamesNothing(t *testing.T) {
	newProject(t)
	p := project{t: t, dir: t.TempDir()}
	tree, _ := p.open("", release.Build{})
	p.is(tree, "0123456789012345678901234567890123456789", "")
}

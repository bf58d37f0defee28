package build_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

var sources = []string{release.SourceClone, release.SourceArchive, release.SourceDirectory}

// rich is a project with everything that a tree can hold: an executable, symbolic links, attributes for archives, names with
// spaces and letters beyond ASCII, submodules one in another, and an ignored file.
func rich(t *testing.T, under ...string) project {
	t.Helper()
	p := newProject(t, under...)
	p.write("Dockerfile", "FROM scratch\nCOPY . /\n")
	p.write("deploy.hcl", "")
	p.write("app/main", "main\n")
	p.write("app/with space/naïve name", "x")
	p.write("run.sh", "#!/bin/sh\n")
	p.write("left-out-of-archives", "but not of builds")
	p.write("substituted", "$Format:%H$\n")
	p.write(".gitattributes", "left-out-of-archives export-ignore\nsubstituted export-subst\ndos.txt text eol=crlf\n*.id ident\n")
	p.write("dos.txt", "a\r\nb\r\n")
	p.write("file.id", "$Id$\n")
	p.write(".gitignore", "*.log\n/tmp/\n")
	if err := os.Chmod(filepath.Join(p.dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"link": "app/main", "dangling": "nowhere", "dirlink": "app"} {
		if err := os.Symlink(to, filepath.Join(p.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	inner := p.another("inner", "of the inner")
	outer := p.another("outer", "of the outer")
	outer.git("submodule", "add", "-q", inner.dir, "deep")
	outer.commit("with a submodule of its own")
	p.git("submodule", "add", "-q", outer.dir, "vendor/a lib")
	p.git("submodule", "update", "-q", "--init", "--recursive")
	p.commit("everything")
	// What git does to a file on its way out (line ends, identifiers) is done when the file is checked out, not when it is added.
	p.git("rm", "-q", "--cached", "dos.txt", "file.id")
	for _, name := range []string{"dos.txt", "file.id"} {
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.git("reset", "-q", "--hard")
	return p
}

func TestACleanCommitGivesTheSameTreeByEverySource(t *testing.T) {
	p := rich(t, "a path", "with spaces")
	want := listing(t, p.dir)
	for _, name := range []string{"left-out-of-archives", "vendor/a lib/deep/inside", "dangling", "app/with space/naïve name"} {
		if want[name] == "" {
			t.Fatalf("no %s in %v", name, names(want))
		}
	}
	if !strings.Contains(want["dos.txt"], `\r\n`) || !strings.Contains(want["file.id"], "$Id: ") || strings.Contains(want["substituted"], p.git("rev-parse", "HEAD")) {
		t.Fatalf("the project is not what it should be: %v", want)
	}
	for _, source := range sources {
		tree, said := p.open("", release.Build{Source: source})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
			t.Errorf("%s:\n%s", source, diff)
		}
		if said != "" || len(tree.Changes) != 0 || tree.Commit != p.git("rev-parse", "HEAD") {
			t.Errorf("%s: %q %+v", source, said, tree)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
}

// small is a project with one commit.
func small(t *testing.T, under ...string) project {
	t.Helper()
	p := newProject(t, under...)
	p.write("Dockerfile", "FROM scratch\nCOPY . /\n")
	p.write("app/main", "main\n")
	p.write("app/gone", "soon gone\n")
	p.write("other/file", "other\n")
	p.write(".gitignore", "*.log\n")
	p.commit("first")
	return p
}

func TestUncommittedChangesAreInADirectoryAndNowhereElse(t *testing.T) {
	p := small(t)
	committed := listing(t, p.dir)
	p.write("app/main", "changed\n")
	p.write("app/new file", "new\n")
	p.write("app/ignored.log", "ignored\n")
	p.write("staged", "staged\n")
	p.git("add", "staged")
	if err := os.Remove(filepath.Join(p.dir, "app/gone")); err != nil {
		t.Fatal(err)
	}
	lies := listing(t, p.dir)
	wantChanges := []string{"D app/gone", "M app/main", "A staged", "?? app/new file"}
	for _, source := range sources {
		tree, said := p.open("", release.Build{Source: source})
		want, word := committed, "WITHOUT"
		if source == release.SourceDirectory {
			want, word = lies, "WITH these"
		}
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
			t.Errorf("%s:\n%s", source, diff)
		}
		if diff := cmp.Diff(wantChanges, tree.Changes); diff != "" || tree.Included != (source == release.SourceDirectory) {
			t.Errorf("%s: included %v\n%s", source, tree.Included, diff)
		}
		if !strings.HasPrefix(said, "warning: ") || !strings.Contains(said, word) || !strings.Contains(said, "\n  D app/gone\n") {
			t.Errorf("%s: %s", source, said)
		}
	}
}

func TestAnIgnoredFileIsInADirectoryOnlyAndIsNoChange(t *testing.T) {
	p := small(t)
	committed := listing(t, p.dir)
	p.write("app/secret.log", "ignored by git and not by Docker")
	for _, source := range sources {
		tree, said := p.open("", release.Build{Source: source})
		want := committed
		if source == release.SourceDirectory {
			want = listing(t, p.dir)
		}
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || said != "" || len(tree.Changes) != 0 {
			t.Errorf("%s: %q %v\n%s", source, said, tree.Changes, diff)
		}
	}
}

func TestManyChangesAreListedInPart(t *testing.T) {
	p := small(t)
	for i := range 30 {
		p.write(strings.Repeat("x", i+1), "")
	}
	_, said := p.open("", release.Build{})
	if strings.Count(said, "\n") != 22 || !strings.HasSuffix(said, "  and 10 more\n") {
		t.Error(said)
	}
}

func TestAContextBelowTheFileAndAFileBelowTheRepository(t *testing.T) {
	p := small(t, "with spaces")
	p.write("shop/deploy.hcl", "")
	p.write("shop/the app/Dockerfile", "FROM scratch\n")
	p.write("shop/the app/deep/main", "main\n")
	p.commit("a project in a part of the repository")
	p.write("other/file", "changed, and no concern of this project\n")
	shop, app := listing(t, filepath.Join(p.dir, "shop")), listing(t, filepath.Join(p.dir, "shop/the app"))
	outside := filepath.Join(p.dir, "shop/the app")
	for _, source := range sources {
		for context, want := range map[string]map[string]string{"": shop, "./the app/": app, outside: app} {
			tree, said := p.open("shop", release.Build{Source: source, Context: context})
			if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || said != "" {
				t.Errorf("%s, context %q: %q\n%s", source, context, said, diff)
			}
			_ = tree.Close()
		}
		tree, said := p.open("shop", release.Build{Source: source, Context: "../other"})
		if !strings.Contains(said, "M other/file") {
			t.Errorf("%s: what counts is the context: %q", source, said)
		}
		_ = tree.Close()
		_, said = p.open("shop/the app", release.Build{Source: source, Dockerfile: "../../other/file"})
		if !strings.Contains(said, "M other/file") {
			t.Errorf("%s: the Dockerfile counts too: %q", source, said)
		}
	}
}

func TestOutsideARepositoryTheDirectoryIsBuilt(t *testing.T) {
	newProject(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	p := project{t: t, dir: dir}
	for _, source := range []string{"", release.SourceDirectory} {
		tree, said := p.open("", release.Build{Source: source})
		if tree.Dir != dir || tree.Commit != "" || said != "" || !tree.Included {
			t.Errorf("%q: %+v %q", source, tree, said)
		}
	}
	name, err := build.Uncommitted(t.Context(), dir, release.Build{Source: release.SourceDirectory})
	if name != "" || err != nil {
		t.Error(name, err)
	}
}

func TestTheDefaultInARepositoryIsAClone(t *testing.T) {
	p := small(t)
	p.write("app/main", "changed")
	tree, _ := p.open("", release.Build{})
	if strings.HasPrefix(tree.Dir, p.dir) || tree.Included {
		t.Errorf("%+v", tree)
	}
}

func TestWhatCannotBeBuiltFromIsSaid(t *testing.T) {
	p := small(t)
	if err := os.Symlink("/", filepath.Join(p.dir, "everything")); err != nil {
		t.Fatal(err)
	}
	p.commit("a link that leads out")
	unborn := newProject(t)
	outside := t.TempDir()
	for _, c := range []struct {
		dir  string
		b    release.Build
		says string
	}{
		{p.dir, release.Build{Context: "nowhere"}, "context nowhere is not in commit"},
		{p.dir, release.Build{Source: "directory", Context: "nowhere"}, "no such file"},
		{p.dir, release.Build{Source: "directory", Context: "Dockerfile"}, "not a directory"},
		{p.dir, release.Build{Source: "archive", Context: "Dockerfile"}, "not a directory"},
		{p.dir, release.Build{Source: "archive", Context: "everything"}, "leads out of the repository"},
		{p.dir, release.Build{Source: "clone", Context: "../.."}, "lies outside the git repository"},
		{p.dir, release.Build{Source: "clone", Context: outside}, "lies outside the git repository"},
		{unborn.dir, release.Build{}, "has no commits: commit first"},
		{outside, release.Build{Source: "clone"}, "not a git repository: run it in the repository"},
		{outside, release.Build{Source: "archive"}, `set source = "directory"`},
		{filepath.Join(outside, "nowhere"), release.Build{}, "no such file"},
	} {
		tree, err := build.Open(t.Context(), c.dir, c.b, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: got %v %v, want %s", c.b, tree, err, c.says)
		}
	}
	for _, source := range []string{"", "clone"} {
		t.Setenv("PATH", outside)
		if _, err := build.Open(t.Context(), p.dir, release.Build{Source: source}, io.Discard); !errors.Is(err, build.ErrNoGit) {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestTheRepositoryIsOnlyRead(t *testing.T) {
	p := rich(t)
	p.write("app/main", "changed")
	p.write("new", "new")
	for _, name := range []string{"post-checkout", "post-index-change", "pre-commit"} {
		p.write(".git/hooks/"+name, "#!/bin/sh\ntouch '"+p.dir+"/a hook ran'\n")
		if err := os.Chmod(filepath.Join(p.dir, ".git/hooks", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, setting := range []string{"core.splitIndex", "core.sparseCheckout", "submodule.recurse", "core.untrackedCache"} {
		p.git("config", setting, "true")
	}
	before := everything(t, p.dir)
	for _, source := range []string{release.SourceClone, release.SourceDirectory} {
		tree, _ := p.open("", release.Build{Source: source})
		_ = tree.Close()
	}
	if diff := cmp.Diff(before, everything(t, p.dir)); diff != "" {
		t.Error(diff)
	}
}

// everything is each file below a directory, git's own too.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = described(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

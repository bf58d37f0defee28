package build_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

// withSubmodule is a project with one submodule, and the repository that it is of.
func withSubmodule(t *testing.T) (p, lib project) {
	t.Helper()
	p = newProject(t)
	lib = p.another("lib", "of the library")
	p.write("Dockerfile", "FROM scratch\n")
	p.submodule(lib, "lib")
	p.commit("first")
	return p, lib
}

// submodule does what `git submodule add` does, in one call of git and not dozens.
func (p project) submodule(of project, at string) {
	p.t.Helper()
	kept := filepath.Join(p.dir, ".git/modules", at)
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.git("clone", "-q", "--separate-git-dir", kept, of.dir, filepath.Join(p.dir, at))
	p.write(".gitmodules", "[submodule \""+at+"\"]\n\tpath = "+at+"\n\turl = "+of.dir+"\n")
}

func TestASubmoduleIsAtItsCommitWhateverLiesInIt(t *testing.T) {
	p, _ := withSubmodule(t)
	committed := listing(t, p.dir)
	sub := project{t: t, dir: filepath.Join(p.dir, "lib")}
	clean := p.uncommitted("", "")
	sub.write("inside", "changed")
	sub.write("new", "new")
	dirty := p.uncommitted("", "")
	sub.commit("another commit")
	moved := p.uncommitted("", "")
	if clean != "" || dirty == "" || moved == "" || dirty == moved {
		t.Errorf("names: %q, %q when dirty, %q when at another commit", clean, dirty, moved)
	}
	for _, source := range sources {
		tree, said := p.open("", release.Build{Source: source})
		want := committed
		if source == release.SourceDirectory {
			want = listing(t, p.dir)
		}
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || !strings.Contains(said, "\n  M lib\n") {
			t.Errorf("%s: %q\n%s", source, said, diff)
		}
		_ = tree.Close()
		tree, said = p.open("", release.Build{Source: source, Context: "lib"})
		inside := map[string]string{".": listing(t, tree.Dir)["."]}
		for name, about := range want {
			if rel, ok := strings.CutPrefix(name, "lib/"); ok {
				inside[rel] = about
			}
		}
		if diff := cmp.Diff(inside, listing(t, tree.Dir)); diff != "" || !strings.Contains(said, "\n  M lib\n") {
			t.Errorf("%s, with the submodule as the context: %q\n%s", source, said, diff)
		}
	}
	if name := p.uncommitted("", "lib"); name != moved {
		t.Errorf("with the submodule as the context: %q, not %q", name, moved)
	}
}

func TestASubmoduleComesAndGoes(t *testing.T) {
	p, _ := withSubmodule(t)
	tree, _ := p.open("", release.Build{})
	_ = tree.Close()
	for _, step := range []func(){
		func() { p.git("rm", "-q", "-f", "lib"); p.write("lib", "now a file") },
		func() { p.git("reset", "-q", "--hard", "HEAD~1"); p.git("submodule", "update", "-q", "--init") }, // git's own
		func() { p.git("mv", "lib", "moved"); p.write("lib/file", "now a directory") },
	} {
		step()
		p.git("add", "-A")
		p.git("commit", "-q", "--allow-empty", "-m", "next")
		tree, said := p.open("", release.Build{})
		if diff := cmp.Diff(listing(t, p.dir), listing(t, tree.Dir)); diff != "" || said != "" {
			t.Errorf("%q\n%s", said, diff)
		}
		_ = tree.Close()
	}
}

// The submodule's remote is gone: what lies in the work tree, or what git has kept of it, is enough.
func TestASubmoduleThatIsHereNeedsNoRemote(t *testing.T) {
	p, lib := withSubmodule(t)
	want := listing(t, p.dir)
	if err := os.RemoveAll(lib.dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tree, said := p.open("", release.Build{Source: release.SourceArchive})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
			t.Errorf("%q\n%s", said, diff)
		}
		_ = tree.Close()
		p.do("deinit", os.RemoveAll(filepath.Join(p.dir, "lib"))) // git keeps its repository all the same
	}
}

func TestASubmoduleThatIsNotHereIsFetchedAndKept(t *testing.T) {
	p, lib := withSubmodule(t)
	fresh := project{t: t, dir: filepath.Join(t.TempDir(), "fresh")}
	p.git("clone", "-q", p.dir, fresh.dir)
	want := listing(t, p.dir)
	tree, said := fresh.open("", release.Build{})
	if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
		t.Fatalf("%q\n%s", said, diff)
	}
	_ = tree.Close()
	kept, _ := filepath.Glob(filepath.Join(filepath.Dir(tree.Dir), "git", "module-*"))
	if len(kept) != 1 {
		t.Fatalf("kept: %v", kept)
	}
	for name, harm := range map[string]func() error{
		"HEAD is garbage":    func() error { return os.WriteFile(filepath.Join(kept[0], "HEAD"), []byte("garbage"), 0o644) },
		"objects are cut":    func() error { return cutObjects(kept[0]) },
		"it is a file":       func() error { return errOr(os.RemoveAll(kept[0]), os.WriteFile(kept[0], nil, 0o644)) },
		"nothing was harmed": func() error { return nil },
	} {
		if err := harm(); err != nil {
			t.Fatal(name, err)
		}
		tree, said := fresh.open("", release.Build{})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
			t.Errorf("%s: %q\n%s", name, said, diff)
		}
		_ = tree.Close()
	}
	if err := os.RemoveAll(lib.dir); err != nil {
		t.Fatal(err)
	}
	if _, said = fresh.open("", release.Build{}); said != "" {
		t.Errorf("what was fetched is not kept: %q", said)
	}
}

// cutObjects truncates every object of a repository.
func cutObjects(dir string) error {
	for _, pattern := range []string{"objects/pack/*.pack", "objects/??/*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range files {
			err = errOr(err, errOr(os.Chmod(file, 0o644), os.Truncate(file, 10)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func errOr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestASubmoduleThatCannotBeFetchedIsNamedWithoutItsPassword(t *testing.T) {
	p, _ := withSubmodule(t)
	fresh := project{t: t, dir: filepath.Join(t.TempDir(), "fresh")}
	p.git("clone", "-q", p.dir, fresh.dir)
	fresh.git("config", "submodule.lib.url", "http://user:hunter2@127.0.0.1:1/lib.git")
	var out bytes.Buffer
	_, err := build.Open(t.Context(), fresh.dir, release.Build{}, &out)
	if err == nil || !strings.Contains(err.Error(), "submodule lib") || !strings.Contains(err.Error(), "http://127.0.0.1:1/lib.git") ||
		!strings.Contains(err.Error(), "git submodule update --init --recursive") || strings.Contains(err.Error()+out.String(), "hunter2") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestARepositoryThatIsNoSubmoduleButIsInACommit(t *testing.T) {
	p := small(t)
	inner := p.another("inner", "content")
	p.git("clone", "-q", inner.dir, filepath.Join(p.dir, "embedded"))
	p.git("add", "embedded")
	p.git("commit", "-q", "-m", "without .gitmodules")
	tree, said := p.open("", release.Build{})
	if diff := cmp.Diff(listing(t, p.dir), listing(t, tree.Dir)); diff != "" || said != "" {
		t.Errorf("%q\n%s", said, diff)
	}
	_ = tree.Close()
	// Where it is not, git leaves an empty directory.
	fresh := project{t: t, dir: filepath.Join(t.TempDir(), "fresh")}
	p.git("clone", "-q", p.dir, fresh.dir)
	tree, _ = fresh.open("", release.Build{})
	if diff := cmp.Diff(listing(t, fresh.dir), listing(t, tree.Dir)); diff != "" {
		t.Error(diff)
	}
}

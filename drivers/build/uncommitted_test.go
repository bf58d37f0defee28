package build_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

// uncommitted is the name of what a directory has uncommitted.
func (p project) uncommitted(at, context string) string {
	p.t.Helper()
	name, err := build.Uncommitted(p.t.Context(), filepath.Join(p.dir, at), release.Build{Source: release.SourceDirectory, Context: context, Dockerfile: "Dockerfile"})
	if err != nil {
		p.t.Fatal(err)
	}
	return name
}

func (p project) do(name string, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
}

// Each change is made to a clean commit, and taken back.
func TestEveryChangeHasANameOfItsOwn(t *testing.T) {
	p := small(t)
	path := func(name string) string { return filepath.Join(p.dir, name) }
	seen := map[string]string{"": "the clean commit"}
	if got := p.uncommitted("", ""); got != "" {
		t.Fatalf("a clean commit: %q", got)
	}
	for name, change := range map[string]func(){
		"a changed file":         func() { p.write("app/main", "changed\n") },
		"changed otherwise":      func() { p.write("app/main", "otherwise\n") },
		"an executable":          func() { p.do("chmod", os.Chmod(path("app/main"), 0o755)) },
		"a removed file":         func() { p.do("remove", os.Remove(path("app/gone"))) },
		"an untracked file":      func() { p.write("new", "") },
		"with content":           func() { p.write("new", "content") },
		"by another name":        func() { p.write("-new\n*", "content") },
		"deep":                   func() { p.write("a/b/c/new", "content") },
		"a symbolic link":        func() { p.do("link", os.Symlink("main", path("app/link"))) },
		"to elsewhere":           func() { p.do("link", os.Symlink("elsewhere", path("app/link"))) },
		"a file for a directory": func() { p.do("remove", os.RemoveAll(path("other"))); p.write("other", "x") },
		"a directory for a file": func() { p.do("remove", os.Remove(path("app/gone"))); p.write("app/gone/x", "x") },
		"a repository inside":    func() { p.git("init", "-q", "inside"); p.write("inside/file", "content") },
		"with other content":     func() { p.git("init", "-q", "inside"); p.write("inside/file", "other") },
	} {
		change()
		got := p.uncommitted("", "")
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(got) {
			t.Errorf("%s: got %q", name, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%s has the name of %s", name, other)
		}
		seen[got] = name
		p.git("reset", "-q", "--hard")
		p.git("clean", "-ffdxq")
	}
}

// What git's index says of a file is no part of the tree.
func TestEqualTreesHaveEqualNames(t *testing.T) {
	p := small(t)
	p.write("app/main", "changed\n")
	p.write("new", "new\n")
	want := p.uncommitted("", "")
	twin := project{t: t, dir: filepath.Join(t.TempDir(), "a twin")}
	p.git("clone", "-q", p.dir, twin.dir)
	twin.write("app/main", "changed\n")
	twin.write("new", "new\n")
	for name, same := range map[string]func(){
		"unstaged":      func() {},
		"staged":        func() { twin.git("add", "-A") },
		"intended":      func() { twin.git("reset", "-q"); twin.git("add", "-N", "new") },
		"untracked too": func() { twin.git("rm", "-q", "--cached", "app/main") },
		"ignored file":  func() { twin.write("a.log", "") },
	} {
		same()
		if got := twin.uncommitted("", ""); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestWhatWasTakenBackIsClean(t *testing.T) {
	p := small(t)
	for name, change := range map[string]func(){
		"touched":                    func() { p.write("app/main", "main\n") },
		"changed in the index alone": func() { p.write("app/main", "x"); p.git("add", "-A"); p.write("app/main", "main\n") },
		"removed from the index":     func() { p.git("rm", "-q", "--cached", "app/main") },
	} {
		change()
		if got := p.uncommitted("", ""); got != "" {
			t.Errorf("%s: %s", name, got)
		}
		if tree, said := p.open("", release.Build{Source: release.SourceDirectory}); said != "" || tree.Changes != nil {
			t.Errorf("%s: %q %v", name, said, tree.Changes)
		}
		p.git("reset", "-q", "--hard")
	}
}

func TestOnlyChangesThatAreInTheImageCount(t *testing.T) {
	p := small(t)
	p.write("shop/app/main", "main\n")
	p.write("shop/Dockerfile", "FROM scratch\n")
	p.commit("a project in a part of the repository")
	p.write("other/file", "changed")
	if got := p.uncommitted("shop", ""); got != "" {
		t.Errorf("a change elsewhere: %s", got)
	}
	p.write("shop/README", "changed")
	if got := p.uncommitted("shop", "app"); got != "" {
		t.Errorf("a change outside the context: %s", got)
	}
	whole := p.uncommitted("shop", "")
	if whole == "" {
		t.Error("a change in the context does not count")
	}
	p.write("shop/Dockerfile", "FROM scratch\nLABEL a=b\n")
	if p.uncommitted("shop", "app") == "" || p.uncommitted("shop", "") == whole {
		t.Error("a change of the Dockerfile does not count")
	}
	for _, source := range []string{"", release.SourceClone, release.SourceArchive} {
		if name, err := build.Uncommitted(t.Context(), p.dir, release.Build{Source: source}); name != "" || err != nil {
			t.Errorf("%s: %s %v", source, name, err)
		}
	}
}

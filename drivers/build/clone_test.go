package build_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kamald/kamald/drivers/build"
	"github.com/kamald/kamald/release"
)

func TestACloneIsKeptAndFollowsTheCommits(t *testing.T) {
	p := small(t)
	first, _ := p.open("", release.Build{})
	kept := first.Dir
	_ = first.Close()
	unchanged, err := os.Stat(filepath.Join(kept, "other/file"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func(){
		func() { p.write("app/main", "second\n") },
		func() { p.git("rm", "-q", "app/gone") },
		func() { p.git("rm", "-rq", "app"); p.write("app", "now a file\n") },
		func() { p.git("rm", "-q", "app"); p.write("app/again/deep", "a directory again\n") },
		func() { p.git("mv", "Dockerfile", "Containerfile") },
		func() {
			if err := os.Chmod(filepath.Join(p.dir, "Containerfile"), 0o755); err != nil {
				t.Fatal(err)
			}
		},
		func() { p.git("reset", "-q", "--hard", "HEAD~2") },
	} {
		step()
		p.git("add", "-A")
		p.git("commit", "-q", "--allow-empty", "-m", "next")
		tree, _ := p.open("", release.Build{})
		if diff := cmp.Diff(listing(t, p.dir), listing(t, tree.Dir)); diff != "" || tree.Dir != kept {
			t.Errorf("%s, not %s:\n%s", tree.Dir, kept, diff)
		}
		_ = tree.Close()
	}
	again, err := os.Stat(filepath.Join(kept, "other/file"))
	if err != nil || !os.SameFile(unchanged, again) || !again.ModTime().Equal(unchanged.ModTime()) {
		t.Errorf("a file that no commit changed was written anew: %v", err)
	}
}

func TestAnArchiveIsGoneWhenTheBuildHasEnded(t *testing.T) {
	p := small(t)
	tree, _ := p.open("", release.Build{Source: release.SourceArchive})
	for range 2 {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(tree.Dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// What may happen to a clone between two builds does not show in the next one.
func TestABrokenCloneIsMadeAgain(t *testing.T) {
	p := small(t)
	want := listing(t, p.dir)
	tree, _ := p.open("", release.Build{})
	_ = tree.Close()
	dir := filepath.Dir(tree.Dir)
	index := filepath.Join(dir, "git", "index")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		harm func()
		anew bool // it cannot be mended
	}{
		"an index of garbage":            {func() { write(t, index, "garbage") }, true},
		"an index that is cut":           {func() { must(os.Truncate(index, 20)) }, true},
		"an empty index":                 {func() { must(os.Truncate(index, 0)) }, true},
		"no index":                       {func() { must(os.Remove(index)) }, false},
		"a directory as the index":       {func() { must(os.Remove(index)); must(os.MkdirAll(index+"/x", 0o755)) }, true},
		"a lock of a git that was ended": {func() { write(t, index+".lock", "") }, false},
		"no tree":                        {func() { must(os.RemoveAll(tree.Dir)) }, false},
		"no directory of git":            {func() { must(os.RemoveAll(filepath.Dir(index))) }, false},
		"nothing at all":                 {func() { must(os.RemoveAll(dir)) }, false},
		"a file as the tree":             {func() { must(os.RemoveAll(tree.Dir)); write(t, tree.Dir, "") }, true},
		"a file as the clone":            {func() { must(os.RemoveAll(dir)); write(t, dir, "") }, true},
		"a file that was changed":        {func() { write(t, filepath.Join(tree.Dir, "app/main"), "other") }, false},
		"a file that was removed":        {func() { must(os.Remove(filepath.Join(tree.Dir, "app/main"))) }, false},
		"a file as a directory": {func() {
			must(os.RemoveAll(filepath.Join(tree.Dir, "app")))
			write(t, filepath.Join(tree.Dir, "app"), "")
		}, false},
		"what a build left":   {func() { write(t, filepath.Join(tree.Dir, "app/node_modules/x"), "") }, false},
		"an ignored file":     {func() { write(t, filepath.Join(tree.Dir, "app/x.log"), "") }, false},
		"a repository inside": {func() { write(t, filepath.Join(tree.Dir, "in/.git/HEAD"), "ref: refs/heads/x\n") }, false},
		"a .git of its own":   {func() { write(t, filepath.Join(tree.Dir, ".git/HEAD"), "garbage") }, false},
		"a file as .git":      {func() { write(t, filepath.Join(tree.Dir, ".git"), "gitdir: /nowhere\n") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.harm()
			p.t = t
			tree, said := p.open("", release.Build{})
			if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" {
				t.Error(diff)
			}
			if _, err := os.Lstat(filepath.Join(tree.Dir, ".git")); !os.IsNotExist(err) {
				t.Errorf("a .git lies in the tree: %v", err)
			}
			if anew := strings.Contains(said, "is broken, and is made again"); anew != c.anew {
				t.Errorf("made again: %v, said %q", anew, said)
			}
			_ = tree.Close()
		})
	}
}

func TestBuildsAtOnceHaveTreesOfTheirOwn(t *testing.T) {
	p := small(t)
	want := listing(t, p.dir)
	const builds = 4
	trees, errs := make([]*build.Tree, builds), make([]error, builds)
	var wait sync.WaitGroup
	for i := range builds {
		wait.Go(func() { trees[i], errs[i] = build.Open(t.Context(), p.dir, release.Build{}, &bytes.Buffer{}) })
	}
	wait.Wait()
	seen := map[string]bool{}
	for i, tree := range trees {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || seen[tree.Dir] {
			t.Errorf("%s, again: %v\n%s", tree.Dir, seen[tree.Dir], diff)
		}
		seen[tree.Dir] = true
	}
	// Another commit is built while the first one's builds still read their trees.
	p.write("app/main", "second\n")
	p.commit("second")
	_ = trees[2].Close()
	next, _ := p.open("", release.Build{})
	if diff := cmp.Diff(listing(t, p.dir), listing(t, next.Dir)); diff != "" || next.Dir != trees[2].Dir {
		t.Errorf("%s, not the one that is free: %s", next.Dir, diff)
	}
	for _, i := range []int{0, 1, 3} {
		if diff := cmp.Diff(want, listing(t, trees[i].Dir)); diff != "" {
			t.Errorf("a build's tree changed under it:\n%s", diff)
		}
		_ = trees[i].Close()
	}
}

func TestEveryKindOfRepositoryIsRead(t *testing.T) {
	origin := small(t)
	origin.write("app/main", "second\n")
	origin.commit("second")
	shallow := project{t: t, dir: filepath.Join(t.TempDir(), "shallow")}
	origin.git("clone", "-q", "--depth=1", "file://"+origin.dir, shallow.dir)
	linked := project{t: t, dir: filepath.Join(t.TempDir(), "linked tree")}
	origin.git("worktree", "add", "-q", "--detach", linked.dir, "HEAD~1")
	detached := project{t: t, dir: filepath.Join(t.TempDir(), "detached")}
	origin.git("clone", "-q", origin.dir, detached.dir)
	detached.git("checkout", "-q", "--detach", "HEAD~1")
	detached.write("only here", "on no branch")
	detached.commit("on no branch")
	packed := project{t: t, dir: filepath.Join(t.TempDir(), "packed")}
	origin.git("clone", "-q", origin.dir, packed.dir)
	packed.git("gc", "-q")
	dashed := project{t: t, dir: filepath.Join(t.TempDir(), "-rf")}
	origin.git("clone", "-q", origin.dir, dashed.dir)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(origin.dir, link); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]project{"shallow": shallow, "linked": linked, "detached": detached, "packed": packed, "dashed": dashed,
		"by a link": {t: t, dir: link + "/"}} {
		tree, said := p.open("", release.Build{})
		if diff := cmp.Diff(listing(t, p.dir), listing(t, tree.Dir)); diff != "" || said != "" || tree.Commit != p.git("rev-parse", "HEAD") {
			t.Errorf("%s: %q\n%s", name, said, diff)
		}
	}
}

// What a repository leaves out of its work tree, or has not even fetched, is in its commit all the same.
func TestACloneOfASparseAndPartialRepositoryIsWhole(t *testing.T) {
	origin := small(t)
	origin.git("config", "uploadpack.allowFilter", "true")
	p := project{t: t, dir: filepath.Join(t.TempDir(), "sparse")}
	origin.git("clone", "-q", "--filter=blob:none", "--sparse", "file://"+origin.dir, p.dir)
	if _, err := os.Stat(filepath.Join(p.dir, "app")); !os.IsNotExist(err) {
		t.Fatalf("the repository is not sparse: %v", err)
	}
	tree, said := p.open("", release.Build{})
	if diff := cmp.Diff(listing(t, origin.dir), listing(t, tree.Dir)); diff != "" || said != "" {
		t.Errorf("%q\n%s", said, diff)
	}
	if name := p.uncommitted("", ""); name != "" {
		t.Errorf("what is left out is taken for a change: %s", name)
	}
}

// A repository's own settings decide how a file lies in its work tree; the clone has it the same.
func TestTheRepositorysOwnSettingsHold(t *testing.T) {
	p := newProject(t)
	p.write(".gitattributes", "*.secret filter=turned\n")
	p.write(".git/info/attributes", "dos.txt text eol=crlf\n")
	p.git("config", "filter.turned.clean", "tr a-z b-za")
	p.git("config", "filter.turned.smudge", "tr b-za a-z")
	p.write("a.secret", "hello\n")
	p.write("dos.txt", "one\ntwo\n")
	p.commit("first")
	if err := os.Remove(filepath.Join(p.dir, "dos.txt")); err != nil {
		t.Fatal(err)
	}
	p.git("checkout", "-q", "--", "dos.txt")
	if stored := p.git("show", "HEAD:a.secret"); stored != "ifmmp" {
		t.Fatalf("the filter did not run: %q", stored)
	}
	want := listing(t, p.dir)
	for _, source := range sources {
		tree, said := p.open("", release.Build{Source: source})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || said != "" {
			t.Errorf("%s: %q\n%s", source, said, diff)
		}
	}
}

func TestTheVariablesOfAHookLeadNowhere(t *testing.T) {
	p, other := small(t), small(t)
	want := listing(t, p.dir)
	other.write("app/main", "of another repository")
	sha := other.commit("second")
	t.Setenv("GIT_CONFIG_GLOBAL", os.Getenv("GIT_CONFIG_GLOBAL"))
	for _, name := range []string{"GIT_DIR", "GIT_COMMON_DIR"} {
		t.Setenv(name, filepath.Join(other.dir, ".git"))
	}
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other.dir, ".git/index"))
	t.Setenv("GIT_WORK_TREE", other.dir)
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(other.dir, ".git/objects"))
	t.Setenv("GIT_PREFIX", "other/")
	t.Setenv("GIT_NAMESPACE", "other")
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.worktree")
	t.Setenv("GIT_CONFIG_VALUE_0", other.dir)
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	for _, source := range sources {
		tree, err := build.Open(t.Context(), p.dir, release.Build{Source: source}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || tree.Commit == sha || len(tree.Changes) != 0 {
			t.Errorf("%s: %v\n%s", source, tree.Changes, diff)
		}
		_ = tree.Close()
	}
}

// The filter is how the test knows that git is in the midst of its work: it says that it runs, and does not end by itself.
func TestABuildThatIsEndedLeavesACloneThatWorks(t *testing.T) {
	for _, kept := range []bool{false, true} { // whether there is a clone of an earlier commit
		p := small(t)
		p.write(".gitattributes", "*.slow filter=slow\n")
		for _, name := range []string{"a.slow", "app/m.slow", "z.slow"} {
			p.write(name, "first\n")
		}
		p.commit("files that take long")
		if kept {
			tree, _ := p.open("", release.Build{})
			_ = tree.Close()
			p.write("app/m.slow", "second\n")
			p.write("other/file", "second\n")
			p.commit("second")
		}
		want, begun := listing(t, p.dir), filepath.Join(t.TempDir(), "begun")
		p.git("config", "filter.slow.smudge", "case %f in app/*) echo $$ > '"+begun+"'; exec sleep 600 ;; esac; cat")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := build.Open(ctx, p.dir, release.Build{}, &bytes.Buffer{})
			done <- err
		}()
		filter := awaited(t, begun, done)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("an ended build: %v", err)
		}
		_ = syscall.Kill(filter, syscall.SIGKILL) // git's own child, which it has left behind
		p.git("config", "--unset", "filter.slow.smudge")
		tree, said := p.open("", release.Build{})
		if diff := cmp.Diff(want, listing(t, tree.Dir)); diff != "" || said != "" {
			t.Errorf("after a clone, %v: %q\n%s", kept, said, diff)
		}
		_ = tree.Close()
	}
}

// awaited waits for a file with a process's number.
func awaited(t *testing.T, name string, ended <-chan error) int {
	t.Helper()
	for {
		if data, err := os.ReadFile(name); err == nil && bytes.HasSuffix(data, []byte("\n")) {
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended before it was in the midst: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

package git_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kamald/kamald/drivers/git"
)

func TestFetchBringsTheBranchsCommitAndItsFilesHere(t *testing.T) {
	from := repository(t)
	commit(t, from)
	run(t, from, "branch", "other")
	write(t, from, "file", "second")
	second := commitAll(t, from, "two")
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}
	got, dir, err := git.Fetch(t.Context(), r)
	must(t, err)
	if got.SHA != second || got.At.Unix() != unix(t, from, second) || got.Signer != "" {
		t.Errorf("got %+v, want %s", got, second)
	}
	same(t, read(t, dir, "file"), "second")
	r.Branch = "other"
	other, dir, err := git.Fetch(t.Context(), r)
	must(t, err)
	if other.SHA == second {
		t.Error("the other branch is at the same commit")
	}
	same(t, read(t, dir, "file"), "content")
	r.Branch = ""
	if head, _, err := git.Fetch(t.Context(), r); err != nil || head.SHA != second {
		t.Errorf("the repository's own branch: %v %v", head, err)
	}
	r.URL = "file://" + from
	if head, _, err := git.Fetch(t.Context(), r); err != nil || head.SHA != second {
		t.Errorf("by file://: %v %v", head, err)
	}
}

func TestTheTipIsAskedForWithoutBringingAnything(t *testing.T) {
	from := repository(t)
	commit(t, from)
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}
	sha, err := r.Tip(t.Context())
	must(t, err)
	same(t, sha, strings.TrimSpace(run(t, from, "rev-parse", "HEAD")))
	if entries, err := os.ReadDir(r.Dir); err != nil || len(entries) > 0 {
		t.Errorf("%v %v", entries, err)
	}
}

func TestEachFetchFollowsAlsoABranchThatWasPushedByForce(t *testing.T) {
	from := repository(t)
	commit(t, from)
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}
	first, firstDir, err := git.Fetch(t.Context(), r)
	must(t, err)
	write(t, from, "file", "two")
	second := commitAll(t, from, "two")
	got, secondDir, err := git.Fetch(t.Context(), r)
	must(t, err)
	same(t, got.SHA, second)
	same(t, read(t, secondDir, "file"), "two")
	same(t, read(t, firstDir, "file"), "content") // whoever reads it still can

	run(t, from, "reset", "-q", "--hard", first.SHA)
	write(t, from, "file", "three")
	third := commitAll(t, from, "three")
	got, thirdDir, err := git.Fetch(t.Context(), r)
	must(t, err)
	same(t, got.SHA, third)
	same(t, read(t, thirdDir, "file"), "three")
	if _, err := os.Stat(firstDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the oldest checkout is still there: %v", err)
	}
	run(t, from, "reset", "-q", "--hard", second)
	if _, dir, err := git.Fetch(t.Context(), r); err != nil || dir != secondDir {
		t.Errorf("back at the second: %s %v", dir, err)
	}
}

func TestWhatIsWrongWithARemoteIsNamed(t *testing.T) {
	from, empty := repository(t), repository(t)
	commit(t, from)
	run(t, from, "branch", "production")
	for name, c := range map[string]struct {
		remote git.Remote
		want   string
		is     error
	}{
		"no branch":    {git.Remote{URL: from, Branch: "prodution"}, "branch prodution: the repository has no such branch: it has production, trunk", git.ErrNoBranch},
		"empty":        {git.Remote{URL: empty, Branch: "trunk"}, "the repository is empty: push a commit", git.ErrEmpty},
		"empty, HEAD":  {git.Remote{URL: empty}, "the repository is empty", git.ErrEmpty},
		"nowhere":      {git.Remote{URL: filepath.Join(from, "nowhere"), Branch: "trunk"}, "nowhere", nil},
		"unreachable":  {git.Remote{URL: "https://ada:hunter2@127.0.0.1:1/shop.git", Branch: "trunk"}, "https://127.0.0.1:1/shop.git, branch trunk: ", nil},
		"not allowed":  {git.Remote{URL: "http://127.0.0.1:1/shop.git", Branch: "trunk"}, "transport 'http' not allowed", nil},
		"a program":    {git.Remote{URL: "ext::sh -c hostname", Branch: "trunk"}, "may run any command", nil},
		"an option":    {git.Remote{URL: "--upload-pack=hostname", Branch: "trunk"}, "is no address", nil},
		"option":       {git.Remote{URL: from, Branch: "--upload-pack=hostname"}, "cannot name a branch", nil},
		"two refs":     {git.Remote{URL: from, Branch: "trunk:refs/heads/x"}, "cannot name a branch", nil},
		"no address":   {git.Remote{Branch: "trunk"}, "is no address", nil},
		"a dashed ssh": {git.Remote{URL: "ssh://-oProxyCommand=hostname/x", Branch: "trunk"}, "-oProxyCommand", nil},
	} {
		c.remote.Dir = t.TempDir()
		_, _, err := git.Fetch(t.Context(), c.remote)
		_, tip := c.remote.Tip(t.Context())
		for _, err := range []error{err, tip} {
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: said %v, want %q", name, err, c.want)
			}
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, _, err := git.Fetch(t.Context(), git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}); !errors.Is(err, git.ErrMissing) {
		t.Errorf("without git: %v", err)
	}
}

func TestACopyThatADyingProcessLeftIsMadeAnew(t *testing.T) {
	from := repository(t)
	commit(t, from)
	for name, spoil := range map[string]func(repository string){
		"locked":  func(repository string) { write(t, repository, "shallow.lock", "") },
		"no HEAD": func(repository string) { must(t, os.Remove(filepath.Join(repository, "HEAD"))) },
		"no packs": func(repository string) {
			must(t, os.RemoveAll(filepath.Join(repository, "objects", "pack")))
		},
		"full of packs": func(repository string) {
			for i := range 40 {
				write(t, filepath.Join(repository, "objects", "pack"), strings.Repeat("x", i+1)+".pack", "")
			}
		},
	} {
		r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}
		_, dir, err := git.Fetch(t.Context(), r)
		must(t, err)
		copy := filepath.Dir(dir)
		must(t, os.MkdirAll(filepath.Join(copy, "half-123", "tree"), 0o700))
		spoil(filepath.Join(copy, "repository.git"))
		write(t, from, "file", name)
		want := commitAll(t, from, name)
		got, dir, err := git.Fetch(t.Context(), r)
		if err != nil || got.SHA != want {
			t.Errorf("%s: %v %v", name, got, err)
			continue
		}
		same(t, read(t, dir, "file"), name)
		if _, err := os.Stat(filepath.Join(copy, "half-123")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: half a checkout is still there", name)
		}
		if packs, _ := filepath.Glob(filepath.Join(copy, "repository.git/objects/pack/*.pack")); len(packs) > 5 {
			t.Errorf("%s: %d packs", name, len(packs))
		}
	}
}

func TestNothingOfTheRepositoryOrTheUserRunsAtAFetch(t *testing.T) {
	from, sub := repository(t), repository(t)
	commit(t, sub)
	commit(t, from)
	run(t, from, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", sub, "sub")
	commitAll(t, from, "a submodule")
	hooks, marker := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	for _, name := range []string{"post-checkout", "reference-transaction", "post-index-change", "fsmonitor"} {
		write(t, hooks, name, "#!/bin/sh\ntouch "+marker+"\n")
		must(t, os.Chmod(filepath.Join(hooks, name), 0o700))
	}
	write(t, hooks, "config", "[core]\n\thooksPath = "+hooks+"\n\tfsmonitor = "+filepath.Join(hooks, "fsmonitor")+"\n[submodule]\n\trecurse = true\n[fetch]\n\trecurseSubmodules = true\n")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(hooks, "config"))
	_, dir, err := git.Fetch(t.Context(), git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()})
	must(t, err)
	if _, err := os.Stat(marker); !errors.Is(err, os.ErrNotExist) {
		t.Error("a hook ran")
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "sub")); err != nil || len(entries) > 0 {
		t.Errorf("the submodule has %v %v", entries, err)
	}
}

func TestSeveralMayFetchTheSameAtOnce(t *testing.T) {
	from := repository(t)
	commit(t, from)
	r := git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			_, dir, err := git.Fetch(t.Context(), r)
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(data) != "content" {
				t.Errorf("%q %v", data, err)
			}
		})
	}
	wg.Wait()
}

func TestAFetchThatIsNotWantedAnyMoreEnds(t *testing.T) {
	from := repository(t)
	commit(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := git.Fetch(ctx, git.Remote{URL: from, Branch: "trunk", Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("said %v", err)
	}
}

func commitAll(t *testing.T, dir, message string, flags ...string) string {
	t.Helper()
	run(t, dir, "add", ".")
	run(t, dir, append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", message}, flags...)...)
	return strings.TrimSpace(run(t, dir, "rev-parse", "HEAD"))
}

func unix(t *testing.T, dir, sha string) (seconds int64) {
	t.Helper()
	for _, digit := range strings.TrimSpace(run(t, dir, "show", "-s", "--format=%ct", sha)) {
		seconds = seconds*10 + int64(digit-'0')
	}
	return seconds
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package release

import (
	"errors"
	"strings"
	"testing"
)

func TestTheVersionNamesWhatIsUncommittedWhereItIsInTheImage(t *testing.T) {
	const sha = "1234567890123456789012345678901234567890"
	for _, c := range []struct{ text, given, want string }{
		{"build { source = \"directory\" }", "", sha + "_uncommitted_00ff"},
		{"build { context = \"app\" }", "", sha + "_uncommitted_00ff"},
		{"version = git.sha\nbuild { source = \"directory\" }", "", sha + "_uncommitted_00ff"},
		{"version = \"${git.sha}\"\nbuild { source = \"directory\" }", "", sha + "_uncommitted_00ff"},
		{"version = \"v-${git.short_sha}\"\nbuild { source = \"directory\" }", "", "v-1234567"},
		{"version = \"v1\"\nbuild { source = \"directory\" }", "", "v1"},
		{"build { source = \"directory\" }", "v2", "v2"},
		{"build { source = \"directory\" }", sha, sha},
		{"", "", sha},
		{"build {}", "", sha},
		{"build { source = \"clone\" }", "", sha},
		{"build { source = \"archive\" }", "", sha},
		{"build {\nsource = \"clone\"\ncontext = \"app\"\n}", "", sha},
	} {
		opts := in(least+c.text+"\n", "")
		opts.Version = c.given
		opts.Git = func() (Git, error) { return Git{SHA: sha, ShortSHA: sha[:7], Branch: "trunk"}, nil }
		opts.Uncommitted = func(Build) (string, error) { return "00ff", nil }
		r := load(t, opts)
		if r.Version != c.want || r.Uncommitted() != strings.Contains(c.want, "_uncommitted_") {
			t.Errorf("%s with --version %q: got %s, want %s", c.text, c.given, r.Version, c.want)
		}
	}
}

func TestACleanDirectoryHasTheCommitsVersionAndOtherReadersOfGitGetTheCommit(t *testing.T) {
	dirty := ""
	opts := in(least+"build { source = \"directory\" }\nenv { clear = { SHA = git.sha } }\n", "")
	opts.Git = func() (Git, error) { return Git{SHA: "abc1234"}, nil }
	opts.Uncommitted = func(Build) (string, error) { return dirty, nil }
	for _, dirty = range []string{"", "0f"} {
		r := load(t, opts)
		web, _ := r.Role("web")
		if got, want := r.Version, "abc1234"+map[string]string{"0f": "_uncommitted_0f"}[dirty]; got != want || web.Env.Clear["SHA"] != "abc1234" {
			t.Errorf("%q: version %s, SHA %s", dirty, got, web.Env.Clear["SHA"])
		}
	}
}

func TestWhatIsUncommittedIsAskedOnceForAllDestinations(t *testing.T) {
	asked := 0
	opts := in(laid+"build { source = \"directory\" }\n", "staging")
	opts.Git = func() (Git, error) { return Git{SHA: "abc1234"}, nil }
	opts.Uncommitted = func(Build) (string, error) { asked++; return "", nil }
	if load(t, opts); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestWhatIsUncommittedAndCannotBeReadIsSaid(t *testing.T) {
	opts := in(least+"build { source = \"directory\" }\n", "")
	opts.Git = func() (Git, error) { return Git{SHA: "abc1234"}, nil }
	opts.Uncommitted = func(Build) (string, error) { return "", errors.New("disk gone") }
	if got := said(opts, Options{}); !strings.Contains(got, "disk gone. Give --version") {
		t.Error(got)
	}
}

package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/drivers/source"
	"github.com/kamald/kamald/release"
)

func TestAFileProposesWhatItSays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "deploy.hcl", deploy+"version = \"v1\"\nlabels = { banner = file(\"banner.txt\") }\n")
	write(t, dir, "banner.txt", "hello")
	write(t, dir, "deploy.staging.hcl", "network = \"staging\"\n")
	f := &source.File{App: shop("staging"), Path: filepath.Join(dir, "deploy.hcl")}
	p, err := f.Read(t.Context())
	must(t, err)
	if p.Release.Version != "v1" || p.Release.Network != "staging" || p.From != f.Path || p.Commit != "" || p.At.IsZero() ||
		p.Release.Roles[0].Labels["banner"] != "hello" || p.Release.Reconcile.Mode != release.ModeHeal {
		t.Errorf("%+v", p)
	}
}

func TestTheCommitOfAFileIsThatOfItsDirectoryWhereItIsAsked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "deploy.hcl", deploy)
	f := &source.File{App: shop(""), Path: filepath.Join(dir, "deploy.hcl")}
	if _, err := f.Read(t.Context()); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "\n", " "), "of no repository") {
		t.Errorf("said %v", err)
	}
	f.Git = func(_ context.Context, asked string) (release.Git, error) {
		if asked != dir {
			t.Errorf("asked for %s", asked)
		}
		return release.Git{SHA: "abc1234", ShortSHA: "abc1234"}, nil
	}
	if p, err := f.Read(t.Context()); err != nil || p.Release.Version != "abc1234" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestWhatIsWrongWithAFileIsAnErrorThatNamesIt(t *testing.T) {
	for text, c := range map[string]struct {
		want string
		is   error
	}{
		"-":                        {"there is no such file", source.ErrMissing},
		"\n":                       {"the file is empty", source.ErrEmpty},
		deploy + "netwrok = \"x\"": {`Did you mean "network"?`, nil},
		deploy[:20]:                {"deploy.hcl", nil}, // half written
		strings.Replace(deploy, "shop", "blog", 1) + "version = \"v1\"": {"another app's", source.ErrOther},
	} {
		dir := t.TempDir()
		if text != "-" {
			write(t, dir, "deploy.hcl", text)
		}
		path := filepath.Join(dir, "deploy.hcl")
		_, err := (&source.File{App: shop(""), Path: path}).Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+":") || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q: said %v, want %q", text, err, c.want)
		}
	}
}

// Each change is told by the file system; the poll is too far away to be it.
func TestAChangeOfAFileIsToldWhicheverWayItIsMade(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deploy.hcl")
	write(t, dir, "deploy.hcl", deploy+"version = \"v1\"\nlabels = { banner = file(\"banner.txt\") }\n")
	write(t, dir, "banner.txt", "hello")
	f := &source.File{App: shop(""), Path: path}
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := watched(t, f)
	for name, change := range map[string]func(){
		"in place": func() {
			write(t, dir, "deploy.hcl", deploy+"version = \"v2\"\nlabels = { banner = file(\"banner.txt\") }\n")
		},
		"put in its place": func() {
			write(t, dir, "new", deploy+"version = \"v3\"\nlabels = { banner = file(\"banner.txt\") }\n")
			must(t, os.Rename(filepath.Join(dir, "new"), path))
		},
		"what it reads":      func() { write(t, dir, "banner.txt", "welcome") },
		"a destination more": func() { write(t, dir, "deploy.staging.hcl", "network = \"staging\"\n") },
	} {
		change()
		if !happens(told) {
			t.Fatalf("%s: nothing is told", name)
		}
		if _, err := f.Read(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		drain(told)
	}
	must(t, os.Remove(path))
	if !happens(told) {
		t.Error("removed: nothing is told")
	}
}

func TestAChangeBetweenReadingAndWatchingIsTold(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "deploy.hcl", deploy+"version = \"v1\"\n")
	f := &source.File{App: shop(""), Path: filepath.Join(dir, "deploy.hcl")}
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "deploy.hcl", deploy+"version = \"v2\"\n")
	if !happens(watched(t, f)) {
		t.Error("nothing is told")
	}
}

func TestOtherFilesOfTheDirectoryAreNobodysBusiness(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "deploy.hcl", deploy+"version = \"v1\"\n")
	f := &source.File{App: shop(""), Path: filepath.Join(dir, "deploy.hcl")}
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := watched(t, f)
	write(t, dir, "log.txt", "a line")
	write(t, dir, "deploy.hcl.swp", "x")
	write(t, dir, "deploy.hcl", deploy+"version = \"v1\"\n") // the same again
	write(t, dir, "deploy.staging.hcl", "network = \"a\"\n")
	if !happens(told) {
		t.Fatal("nothing is told")
	}
	if _, err := f.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := drain(told); n > 1 { // one for what came first, and one for the destination's file, at most
		t.Errorf("told %d times more", n)
	}
}

// watched gives a tick for each call.
func watched(t *testing.T, f *source.File) <-chan struct{} {
	t.Helper()
	told := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Watch(ctx, func() { told <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended // Watch ends with its context
	})
	return told
}

// happens waits for a call, shorter than for the next poll.
func happens(told <-chan struct{}) bool {
	select {
	case <-told:
		return true
	case <-time.After(20 * time.Second):
		return false
	}
}

func drain(told <-chan struct{}) (n int) {
	for {
		select {
		case <-told:
			n++
		default:
			return n
		}
	}
}

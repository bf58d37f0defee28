package source_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kamald/kamald/drivers/git"
	"github.com/kamald/kamald/drivers/source"
	"github.com/kamald/kamald/release"
	"github.com/kamald/kamald/state"
)

const deploy = `
service = "shop"
image   = "acme/shop"
role "web" { hosts = ["10.0.0.1"] }
reconcile { mode = "heal" }
`

func TestARepositoryProposesTheFileAndTheVersionOfOneCommit(t *testing.T) {
	from := repository(t)
	write(t, from, "deploy.hcl", deploy+"labels = { banner = file(\"banner.txt\") }\n")
	write(t, from, "deploy.staging.hcl", "network = \"staging\"\n")
	write(t, from, "banner.txt", "hello")
	first := commit(t, from)
	g := fromGit(t, from, "staging")
	p, err := g.Read(t.Context())
	must(t, err)
	if p.Release.Version != first || p.Commit != first || p.From != "git trunk@"+first[:7] || p.At.IsZero() || p.Release.Destination != "staging" ||
		p.Release.Network != "staging" || p.Release.Reconcile.Mode != release.ModeHeal || p.Release.Roles[0].Labels["banner"] != "hello" {
		t.Errorf("%+v", p)
	}
	write(t, from, "deploy.hcl", deploy+"version = \"v2-${git.short_sha}\"\n")
	second := commit(t, from)
	if p, err := g.Read(t.Context()); err != nil || p.Release.Version != "v2-"+second[:7] || p.Commit != second {
		t.Errorf("%+v %v", p, err)
	}
}

func TestWhatIsWrongInARepositoryIsAnErrorThatNamesTheCommit(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("hunter2"), 0o600))
	for name, c := range map[string]struct {
		make func(dir string)
		want string
		is   error
	}{
		"missing":         {func(dir string) { write(t, dir, "other.hcl", "x") }, "there is no such file: deploy.hcl", source.ErrMissing},
		"empty":           {func(dir string) { write(t, dir, "deploy.hcl", " \n") }, "the file is empty", source.ErrEmpty},
		"invalid":         {func(dir string) { write(t, dir, "deploy.hcl", deploy+"netwrok = \"x\"\n") }, `Did you mean "network"?`, nil},
		"another's":       {func(dir string) { write(t, dir, "deploy.hcl", strings.Replace(deploy, "shop", "blog", 1)) }, `its service is "blog", and the source is of "shop"`, source.ErrOther},
		"a link out":      {func(dir string) { must(t, os.Symlink(outside, filepath.Join(dir, "deploy.hcl"))) }, "deploy.hcl in the repository is not read", nil},
		"a file out":      {func(dir string) { write(t, dir, "deploy.hcl", deploy+"labels = { a = file(\"../../secret\") }\n") }, "outside of the repository", nil},
		"an absolute one": {func(dir string) { write(t, dir, "deploy.hcl", deploy+"labels = { a = file(\""+outside+"\") }\n") }, "outside of the repository", nil},
		"a link in it": {func(dir string) {
			must(t, os.Symlink(outside, filepath.Join(dir, "in")))
			write(t, dir, "deploy.hcl", deploy+"labels = { a = file(\"in\") }\n")
		}, "in the repository is not read", nil},
	} {
		from := repository(t)
		c.make(from)
		sha := commit(t, from)
		p, err := fromGit(t, from, "").Read(t.Context())
		said := ""
		if err != nil {
			said = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if !strings.Contains(said, c.want) || !strings.HasPrefix(said, "git trunk@"+sha[:7]+":") || strings.Contains(said, "hunter2") || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: said %q, want %q", name, said, c.want)
		}
		if p.Commit != sha {
			t.Errorf("%s: the commit is %q", name, p.Commit)
		}
	}
	g := fromGit(t, filepath.Join(t.TempDir(), "nowhere"), "")
	if p, err := g.Read(t.Context()); err == nil || p.Commit != "" {
		t.Errorf("unreachable: %+v %v", p, err)
	}
}

func TestALinkWithinTheRepositoryIsFollowed(t *testing.T) {
	from := repository(t)
	write(t, from, "shop.hcl", deploy)
	must(t, os.Symlink("shop.hcl", filepath.Join(from, "deploy.hcl")))
	commit(t, from)
	if _, err := fromGit(t, from, "").Read(t.Context()); err != nil {
		t.Error(err)
	}
}

// remote is a repository whose tip a test moves; it counts the questions.
type remote struct {
	tip      atomic.Pointer[string] // nil: it cannot be reached
	asked    atomic.Int32
	checkout source.Checkout
	broken   error
}

func (r *remote) Tip(context.Context) (string, error) {
	r.asked.Add(1)
	if sha := r.tip.Load(); sha != nil {
		return *sha, nil
	}
	return "", errors.New("no route")
}

func (r *remote) Checkout(context.Context) (source.Checkout, error) { return r.checkout, r.broken }

func TestABranchIsAskedForItsTipNowAndThenAndOnlyAMoveIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "deploy.hcl", deploy)
		one, two := "1111111", "2222222"
		r := &remote{checkout: source.Checkout{SHA: one, Dir: dir}}
		r.tip.Store(&one)
		g := &source.Git{App: shop(""), Repository: r, Path: "deploy.hcl", Every: time.Minute}
		if _, err := g.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		var told atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go g.Watch(ctx, func() { told.Add(1) })
		after := func(what string, want int32) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if told.Load() != want {
				t.Fatalf("%s: told %d times, want %d", what, told.Load(), want)
			}
		}
		after("at the commit that was read", 0)
		if n := r.asked.Load(); n < 4 || n > 6 {
			t.Errorf("asked %d times in five minutes", n)
		}
		r.tip.Store(&two)
		after("it moved", 1)
		r.broken = errors.New("not signed")
		if _, err := g.Read(t.Context()); err == nil {
			t.Fatal("an error was expected")
		}
		after("the move was told, though it could not be read", 1)
		r.tip.Store(nil)
		after("it cannot be reached", 2)
		r.tip.Store(&two)
		after("it can be reached again", 3)
		cancel()
		asked := r.asked.Load()
		time.Sleep(time.Hour)
		if r.asked.Load() != asked {
			t.Error("it is asked after the end")
		}
	})
}

// checkouts fetches by git itself.
type checkouts struct{ git.Remote }

func (c checkouts) Checkout(ctx context.Context) (source.Checkout, error) {
	commit, dir, err := git.Fetch(ctx, c.Remote)
	return source.Checkout{SHA: commit.SHA, Dir: dir, Signer: commit.Signer, At: commit.At}, err
}

func fromGit(t *testing.T, url, destination string) *source.Git {
	t.Helper()
	return &source.Git{App: shop(destination), Branch: "trunk", Path: "deploy.hcl", Every: time.Minute,
		Repository: checkouts{git.Remote{URL: url, Branch: "trunk", Dir: t.TempDir()}}}
}

func shop(destination string) source.App {
	return source.App{Name: state.App{Service: "shop", Destination: destination}, KamaldVersion: "0.1.0"}
}

func repository(t *testing.T) string {
	t.Helper()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir := t.TempDir()
	run(t, dir, "init", "-q", "--initial-branch=trunk")
	return dir
}

func commit(t *testing.T, dir string) string {
	t.Helper()
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "x")
	return strings.TrimSpace(run(t, dir, "rev-parse", "HEAD"))
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

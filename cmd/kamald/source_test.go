package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kamald/kamald/release"
)

func TestTheSourceOfAnAppIsWhatTheBastionsFileNames(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	dir, store := t.TempDir(), filepath.Join(t.TempDir(), "state.db")
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "--initial-branch=trunk")
	text := "service = \"shop\"\nimage = \"acme/shop\"\nrole \"web\" { hosts = [\"10.0.0.1\"] }\ndestination \"staging\" {\n  network = \"staging\"\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "shop.hcl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "one")
	sha := git("rev-parse", "HEAD")
	for want, from := range map[string]release.Source{
		"git trunk@" + sha[:7]:         {Kind: release.SourceGit, URL: dir, Branch: "trunk", Path: "shop.hcl", Every: time.Minute},
		filepath.Join(dir, "shop.hcl"): {Kind: release.SourceFile, Path: filepath.Join(dir, "shop.hcl")},
	} {
		p, err := newSource(release.DrivenApp{Service: "shop", Source: from}, "staging", store).Read(t.Context())
		if err != nil || p.From != want || p.Release.Version != sha || p.Release.Network != "staging" {
			t.Errorf("%s: %+v %v", from.Kind, p, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(filepath.Dir(store), "git")); err != nil || len(entries) != 1 {
		t.Errorf("beside the store: %v %v", entries, err)
	}
}
